"""vLLM's own server, in a house that nobody leaves or enters unseen.

It imports vLLM and only then asks what to serve, so that this is done while a model's bytes
are still on their way. It is told on stdin, in one line of JSON, and answers on descriptor 3::

    → (started, vLLM imported)                             {"event": "parked"}
    → {"argv": […], "env": {name: value, …}, "grows": …}   is vLLM's server from here on
    → (end of file)                                        ends, whatever goes on

Its start has `ENGINE_SOCKET`, `VLLM_API_KEY` and all variables that vLLM reads as it is
imported; see variables.py. `grows` has vLLM's engine forked from here; see zygote.py.

Runs in vLLM's environment, so it imports nothing of Pilotlight, and nothing
heavy at its top: each process that vLLM spawns runs this file again. It adds
what vLLM leaves open:

- vLLM's engine and workers outlive a server that is killed. A watcher, forked
  before anything else, kills the whole group when the gateway or the server goes.
- vLLM's key guards a few prefixes only. Here every path asks for it.
- Its token endpoints have names of their own. Here they answer to llama.cpp's.
- An adapter's name in vLLM is ours for one version of its bytes: ``model:adapter #tag``. Here
  answers carry the part that clients know, and one that is gone is refused: to vLLM, which
  takes any name for the model's, it would be the bare model.
- On a CPU, a request without an adapter is computed with the last slot's wherever another in
  its batch has one. Here that slot is always empty.
"""

from __future__ import annotations

import ctypes
import hashlib
import importlib
import json
import os
import secrets
import select
import signal
import sys
from collections.abc import Awaitable, Callable, MutableMapping
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Message, Receive, Send], Awaitable[None]]

TAG = " #"
"""Before an adapter's tag: no name that a client may use has a space."""

CHANNEL_FD = 3
_PR_SET_PDEATHSIG = 1
_PARENT_GONE = signal.SIGUSR1


def watch() -> None:
    """Fork the watcher; returns in the server.

    The server itself can't do this: the kernel kills it together with the gateway.
    """
    server = os.getpid()
    if os.fork() == 0:
        _wait_for_an_end(server)


def _wait_for_an_end(server: int) -> None:
    # A stop is told to the whole group, and the server must have time for it.
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(_PARENT_GONE, lambda *_: os.killpg(0, signal.SIGKILL))
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, _PARENT_GONE)
    if os.getppid() == server:  # it may have gone before prctl
        _wait_for_hangup(0)
    os.killpg(0, signal.SIGKILL)


def _wait_for_hangup(descriptor: int) -> None:
    """Until its other end is closed; what comes before that is for the server to read."""
    poll = select.poll()
    poll.register(descriptor, 0)
    while not poll.poll():
        pass


def take_order() -> dict[str, Any]:
    """The line on standard input, which is empty for whoever reads it afterwards."""
    line = b""
    while not line.endswith(b"\n"):
        more = os.read(0, 1 << 16)
        if not more:
            os._exit(0)
        line += more
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    os.close(null)
    order: dict[str, Any] = json.loads(line)
    return order


class Door:
    """ASGI middleware around all of vLLM's routes: the secret first, then the token endpoints."""

    def __init__(self, app: App) -> None:
        self._app = app
        self._expected = _digest(b"Bearer " + os.environ["VLLM_API_KEY"].encode())

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        if scope["type"] != "lifespan" and not self._knows(scope):
            await _answer(send, 401, _refusal("no key or a wrong one"))
        elif rename := RENAMED.get(scope.get("path", "")):
            await rename(self._app, scope, receive, send)
        else:
            await self._app(scope, receive, send)

    def _knows(self, scope: Message) -> bool:
        given = dict(scope["headers"]).get(b"authorization", b"")
        return secrets.compare_digest(_digest(given), self._expected)


def _refusal(message: str, param: str | None = None) -> dict[str, Any]:
    return {"error": {"message": message, "param": param}}


def _digest(text: bytes) -> bytes:
    return hashlib.sha256(text).digest()


async def tokenize(app: App, scope: Message, receive: Receive, send: Send) -> None:
    asked = await _body(receive)
    if not isinstance(asked.get("content"), str):
        await _answer(send, 400, _refusal("vLLM tokenizes one text at a time", "content"))
        return
    told = {
        "model": asked.get("model"),
        "prompt": asked["content"],
        "add_special_tokens": asked.get("add_special", False),
    }
    status, answer = await _ask(app, scope, receive, "/tokenize", told)
    await _answer(send, status, answer if status != 200 else {"tokens": answer["tokens"]})


async def detokenize(app: App, scope: Message, receive: Receive, send: Send) -> None:
    asked = await _body(receive)
    told = {"model": asked.get("model"), "tokens": asked.get("tokens")}
    status, answer = await _ask(app, scope, receive, "/detokenize", told)
    await _answer(send, status, answer if status != 200 else {"content": answer["prompt"]})


RENAMED = {"/pilotlight/tokenize": tokenize, "/pilotlight/detokenize": detokenize}


async def _body(receive: Receive) -> dict[str, Any]:
    raw = b""
    more = True
    while more:
        message = await receive()
        raw += message.get("body", b"")
        more = message.get("more_body", False)
    try:
        asked = json.loads(raw)
    except ValueError:
        return {}
    return asked if isinstance(asked, dict) else {}


async def _ask(
    app: App, scope: Message, rest: Receive, path: str, body: dict[str, Any]
) -> tuple[int, Any]:
    """vLLM's answer to `body` at `path`, as if the client had asked that."""
    raw = json.dumps(body).encode()
    messages: list[Message] = [{"type": "http.request", "body": raw, "more_body": False}]
    status, parts = 500, []

    async def receive() -> Message:
        # Once the body is read vLLM waits here for the client to leave.
        return messages.pop() if messages else await rest()

    async def send(message: Message) -> None:
        nonlocal status
        status = message.get("status", status)
        parts.append(message.get("body", b""))

    length = (b"content-length", str(len(raw)).encode())
    headers = [each for each in scope["headers"] if each[0] != b"content-length"]
    inner = {**scope, "path": path, "raw_path": path.encode(), "headers": [*headers, length]}
    await app(inner, receive, send)
    return status, json.loads(b"".join(parts))


async def _answer(send: Send, status: int, body: Any) -> None:
    raw = json.dumps(body).encode()
    headers = [
        (b"content-type", b"application/json"),
        (b"content-length", str(len(raw)).encode()),
    ]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": raw})


def tell_adapters_apart(models: Any, serving: Any) -> None:
    """Of vLLM's two classes: what `models` calls an adapter in answers, what `serving` lets in."""
    name_of, is_supported = models.model_name, serving._is_model_supported

    def model_name(self: Any, lora_request: Any = None) -> Any:
        name = name_of(self, lora_request)
        return name if lora_request is None else name.rpartition(TAG)[0]

    def is_model_supported(self: Any, model_name: str | None) -> Any:
        return TAG not in (model_name or "") and is_supported(self, model_name)

    models.model_name, serving._is_model_supported = model_name, is_model_supported


def keep_the_last_slot_empty(manager: Any) -> None:
    """Of vLLM's lora.model_manager: each layer gets one slot more than adapters are given.

    Where a token has no adapter its slot is -1, which vLLM's kernels for CPUs take for an
    index like any other. https://github.com/vllm-project/vllm/pull/48421
    """
    of_layer, of_logits = manager.from_layer, manager.from_layer_logits_processor

    def from_layer(layer: Any, max_loras: int, *rest: Any) -> Any:
        return of_layer(layer, max_loras + 1, *rest)

    def from_layer_logits_processor(layer: Any, lm_head: Any, max_loras: int, *rest: Any) -> Any:
        return of_logits(layer, lm_head, max_loras + 1, *rest)

    manager.from_layer = from_layer
    manager.from_layer_logits_processor = from_layer_logits_processor


def has_adapters() -> bool:
    return os.environ.get("VLLM_ALLOW_RUNTIME_LORA_UPDATING") == "1"


def mend_answers() -> None:
    from vllm.entrypoints.openai.models.serving import OpenAIServingModels
    from vllm.entrypoints.serve.engine.serving import BaseServing

    tell_adapters_apart(OpenAIServingModels, BaseServing)


def mend_kernels() -> None:
    if _on_cpu():
        from vllm.lora import model_manager

        keep_the_last_slot_empty(model_manager)


def import_all() -> None:
    """What a start spends its time on, and what needs to know nothing of the model."""
    importlib.import_module("vllm.entrypoints.launchers.api_server.entry")
    importlib.import_module("vllm.v1.engine.async_llm")
    if _on_cpu():
        # The engine's part, for the fork. It stands in for what torch has on GPUs alone, which
        # makes no difference to the server: that computes nothing.
        importlib.import_module("vllm.v1.engine.core")
        importlib.import_module("vllm.v1.worker.cpu_worker")


def _on_cpu() -> bool:
    from vllm.platforms import current_platform

    return bool(current_platform.is_cpu())


def grow_engine() -> None:
    """Have vLLM's engine forked from what is imported here, rather than import it again."""
    zygote = _beside("zygote")
    engine = zygote.Zygote()
    if not zygote.others_are_gone():
        engine.close()
        return
    from vllm.v1.engine import utils

    zygote.adopt(utils, engine)


def _beside(name: str) -> Any:
    """A module in this file's directory, which is on no path. What it defines can be pickled."""
    full_name = f"pilotlight_vllm_{name}"
    spec = spec_from_file_location(full_name, Path(__file__).with_name(f"{name}.py"))
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    sys.modules[full_name] = module
    spec.loader.exec_module(module)
    return module


def serve(order: dict[str, Any]) -> None:
    """Become vLLM's server."""
    # Not vLLM's own command line: that asks for a distribution called vllm, and the build for
    # CPUs has another name.
    from vllm.entrypoints.launchers.api_server.entry import main

    os.environ.update(order["env"])
    socket = os.environ.pop("ENGINE_SOCKET")
    sys.argv[1:] = ["--uds", socket, "--middleware", "__main__.Door", *order["argv"]]
    if has_adapters():
        mend_answers()
        mend_kernels()
    if order["grows"]:
        grow_engine()
    main()


if __name__ == "__main__":
    watch()
    import_all()
    os.write(CHANNEL_FD, b'{"event": "parked"}\n')
    serve(take_order())

# A process that vLLM spawned, before it runs what it was spawned for; a forked one has it all.
if __name__ == "__mp_main__" and has_adapters():
    mend_kernels()
