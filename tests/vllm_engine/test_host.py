"""The house around vLLM's server: nobody in without the secret, nobody left behind."""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from pilotlight.engines.vllm import engine, host

SERVER = """
import importlib.util, subprocess, sys
spec = importlib.util.spec_from_file_location("host", sys.argv[1])
host = importlib.util.module_from_spec(spec)
spec.loader.exec_module(host)
host.watch()
worker = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
print(worker.pid, flush=True)
print(host.take_order(), repr(sys.stdin.read()), flush=True)
worker.wait()
"""


@contextmanager
def parked() -> Iterator[tuple[subprocess.Popen[bytes], int]]:
    """A host as vLLM's is, with a worker that knows of nothing; and the worker's id."""
    with subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(SERVER), str(engine.HOST)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        start_new_session=True,
    ) as server:
        assert server.stdout is not None
        try:
            yield server, int(server.stdout.readline())
        finally:
            server.kill()


@contextmanager
def served() -> Iterator[tuple[subprocess.Popen[bytes], int]]:
    """The same with its order taken."""
    with parked() as (server, worker):
        assert server.stdin is not None
        assert server.stdout is not None
        server.stdin.write(b'{"argv": ["--model",')
        server.stdin.flush()
        server.stdin.write(b' "m"]}\n')
        server.stdin.flush()
        taken = server.stdout.readline()
        assert taken == b"{'argv': ['--model', 'm']} ''\n", "nothing is left to read"
        yield server, worker


def gone(pid: int, within_s: float = 10.0) -> bool:
    try:
        descriptor = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    try:
        return bool(select.select([descriptor], [], [], within_s)[0])
    finally:
        os.close(descriptor)


def test_workers_go_with_a_killed_server() -> None:
    with served() as (server, worker):
        server.kill()
        assert gone(worker)


def test_all_go_when_the_gateway_does() -> None:
    with served() as (server, worker):
        assert server.stdin is not None
        server.stdin.close()
        assert gone(worker)
        assert server.wait(10) == -signal.SIGKILL


def test_a_parked_one_goes_with_the_gateway_too() -> None:
    with parked() as (server, worker):
        assert server.stdin is not None
        server.stdin.close()
        assert gone(worker)
        assert server.wait(10) in (0, -signal.SIGKILL), "it saw the end, or the watcher did"


def test_a_stop_is_the_servers_own_affair() -> None:
    """The whole group is told to end, and the watcher must not take that for the end."""
    with served() as (server, worker):
        # Here nobody handles it, so server and worker end of it, by it.
        os.killpg(server.pid, signal.SIGTERM)
        assert server.wait(10) == -signal.SIGTERM
        assert gone(worker)


class Inside:
    """vLLM behind the door: what it was asked, and what it says."""

    def __init__(self, *, status: int = 200, **answer: Any) -> None:
        self.status = status
        self.answer = answer
        self.asked: list[tuple[str, Any]] = []

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        body = json.loads((await receive())["body"] or b"null")
        assert int(dict(scope["headers"]).get(b"content-length", 0)) == len(json.dumps(body))
        self.asked.append((scope["path"], body))
        await send({"type": "http.response.start", "status": self.status, "headers": []})
        await send({"type": "http.response.body", "body": json.dumps(self.answer).encode()})


async def knock(
    inside: Inside, path: str, body: Any, key: bytes | None = b"Bearer s3cret"
) -> tuple[int, Any]:
    """One POST to the door; status and JSON."""
    raw = json.dumps(body).encode()
    headers = [(b"content-length", str(len(raw)).encode())]
    if key is not None:
        headers.append((b"authorization", key))
    inbox = [{"type": "http.request", "body": raw}]
    sent: list[Any] = []

    async def receive() -> Any:
        return inbox.pop()

    async def send(message: Any) -> None:
        sent.append(message)

    door = host.Door(inside)  # type: ignore[arg-type]
    await door({"type": "http", "path": path, "headers": headers}, receive, send)
    return sent[0]["status"], json.loads(b"".join(part.get("body", b"") for part in sent))


@pytest.fixture(autouse=True)
def secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VLLM_API_KEY", "s3cret")


@pytest.mark.parametrize("path", ["/v1/chat/completions", "/sleep", "/metrics", "/health", "/ping"])
@pytest.mark.parametrize(
    "key", [None, b"", b"s3cret", b"Bearer", b"Bearer wrong", b"bearer s3cret"]
)
async def test_every_path_asks_for_the_secret(path: str, key: bytes | None) -> None:
    inside = Inside()
    assert (await knock(inside, path, {}, key))[0] == 401
    assert not inside.asked


async def test_with_the_secret_vllm_answers() -> None:
    inside = Inside(choices=[])
    assert await knock(inside, "/v1/chat/completions", {"a": 1}) == (200, {"choices": []})
    assert inside.asked == [("/v1/chat/completions", {"a": 1})]


async def test_tokens_have_the_names_that_clients_know() -> None:
    inside = Inside(count=2, max_model_len=8, tokens=[1, 2], token_strs=None)
    asked = {"model": "m", "content": "Hello there", "add_special": True}
    assert await knock(inside, "/pilotlight/tokenize", asked) == (200, {"tokens": [1, 2]})
    told = {"model": "m", "prompt": "Hello there", "add_special_tokens": True}
    assert inside.asked == [("/tokenize", told)]


async def test_text_comes_back_as_content() -> None:
    inside = Inside(prompt="Hello there")
    asked = {"model": "m", "tokens": [1, 2]}
    assert await knock(inside, "/pilotlight/detokenize", asked) == (200, {"content": "Hello there"})
    assert inside.asked == [("/detokenize", {"model": "m", "tokens": [1, 2]})]


async def test_a_list_of_texts_is_refused_by_name() -> None:
    inside = Inside()
    status, answer = await knock(inside, "/pilotlight/tokenize", {"content": ["a", "b"]})
    assert status == 400
    assert answer["error"]["param"] == "content"
    assert not inside.asked


async def test_vllms_refusal_passes() -> None:
    inside = Inside(status=400, error={"message": "no"})
    answer = await knock(inside, "/pilotlight/tokenize", {"content": "a"})
    assert answer == (400, {"error": {"message": "no"}})
