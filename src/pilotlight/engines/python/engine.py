"""A user's class behind the engine seam: one host process for each replica."""

from __future__ import annotations

import json
import os
import platform
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pilotlight.core import Capabilities, Footprint, ModelFiles, ModelRef, Operation
from pilotlight.engines.base import EngineProcess, Launch, ModelJob, Seat
from pilotlight.engines.python import refusals
from pilotlight.engines.python.options import Options, read
from pilotlight.engines.python.source import Source, locate
from pilotlight.engines.python.source import read as read_source
from pilotlight.engines.python.target import Target
from pilotlight.errors import (
    EngineCrashedError,
    EngineError,
    EngineMissingError,
    EngineStartError,
    PilotlightError,
)

HOST = Path(__file__).with_name("pilotlight_host")
PROCESS_BYTES = 24 * 2**20
"""The host and an interpreter, until a load was measured or the model's memory declared."""

ENDPOINTS: Mapping[Operation, str] = {
    Operation.CHAT: "/v1/chat/completions",
    Operation.EMBEDDINGS: "/v1/embeddings",
    Operation.PREDICT: "/v1/predict",
}
_OF_TOOLS = frozenset({"tools", "tool_choice"})
CHAT_FIELDS = _OF_TOOLS | {
    "max_tokens", "max_completion_tokens", "temperature", "top_p", "frequency_penalty",
    "presence_penalty", "seed", "stop", "n", "logit_bias", "response_format", "logprobs",
    "top_logprobs",
}  # fmt: skip
"""What an engine of chat must honour besides messages; a class says which of them it does."""

_OWN_VARIABLE = re.compile(r"\$([A-Za-z_]\w*)")


class PythonEngine:
    """`engines.base.Engine` for classes."""

    name = "python"
    build = f"python {platform.python_version()}"

    def options(self, given: Mapping[str, Any]) -> Options:
        return read(given)

    def owns(self, ref: ModelRef) -> bool:
        return ref.scheme == "python"

    def slots(self, options: Options) -> int:
        return options.parallel

    def context(self, files: ModelFiles, options: Options) -> int | None:
        return options.context or self._source(files, options).declared.context

    def predict(self, files: ModelFiles, options: Options) -> Footprint:
        if options.memory_bytes is not None:
            return Footprint(options.memory_bytes, source="declared")
        return Footprint(PROCESS_BYTES, parts={"process": PROCESS_BYTES})

    def capabilities(self, files: ModelFiles, options: Options) -> Capabilities:
        source = self._source(files, options)
        declared = source.declared
        honoured = declared.parameters | (_OF_TOOLS if declared.tools else frozenset())
        return Capabilities(
            stream_usage="asked",
            operations=source.operations,
            parameters={Operation.CHAT: declared.parameters - CHAT_FIELDS},
            lacks={Operation.CHAT: CHAT_FIELDS - honoured},
            sleep=True,
            # A parked process runs the default interpreter, in the default environment.
            standby=options.python is None and not options.env,
            tools=declared.tools,
            vision=declared.vision,
            thinking=declared.thinking,
        )

    def _source(self, files: ModelFiles, options: Options) -> Source:
        target = Target.parse(files.ref)
        if target.file is not None:
            return read_source(target.file, target)
        assert target.module is not None
        environ = {**os.environ, **_expanded(options.env)}
        return read_source(locate(target.module, options.interpreter, environ), target)

    def endpoint(self, operation: Operation) -> str:
        if operation not in ENDPOINTS:
            raise EngineError(f"the python engine has no {operation.value!r}")
        return ENDPOINTS[operation]

    def command(self, seat: Seat, job: ModelJob | None) -> Launch:
        options = job.options if job is not None else Options()
        interpreter = options.interpreter
        if not os.access(interpreter, os.X_OK):
            raise EngineMissingError(
                f"the interpreter {str(interpreter)!r} is gone or can't be run",
                hint="set the model's option python to another",
            )
        own = {"ENGINE_SOCKET": str(seat.socket), "ENGINE_SECRET": seat.secret}
        return Launch(
            argv=(str(interpreter), str(HOST)),
            seat=seat,
            # What the class prints belongs into the log when it prints it.
            env={"PYTHONUNBUFFERED": "1", **_expanded(options.env), **own},
            channel=True,
        )

    async def load(self, process: EngineProcess, job: ModelJob) -> None:
        try:
            await process.send(self._order(job))
            answer = await process.receive()
            while answer["event"] == "parked":  # said at its start and after each unload
                answer = await process.receive()
        except EngineStartError:
            words = f"{process.last_words(3)} | the process ended: {await process.wait()}"
            raise _start_error(job, words, None) from None
        if answer["event"] == "failed":
            raise _start_error(job, answer["error"], answer["hint"] or refusals.SEE_LOG)

    def _order(self, job: ModelJob) -> dict[str, Any]:
        options: Options = job.options
        return {
            "op": "load",
            "model": job.name,
            "target": Target.parse(job.files.ref).as_json(),
            "kwargs": options.keywords,
            "parallel": options.parallel,
            "needs": sorted(self._source(job.files, options).operations),
        }

    async def unload(self, process: EngineProcess) -> None:
        await process.send({"op": "unload"})
        await process.receive()

    def canary(self, job: ModelJob) -> tuple[str, bytes]:
        return "/canary", b"{}"

    async def progress(self, process: EngineProcess) -> int | None:
        try:
            status, body = await process.client.fetch("/progress")
        except (TimeoutError, EngineCrashedError):
            return None
        return int(json.loads(body)["progress"]) if status == 200 else None

    def error(self, status: int, body: bytes) -> PilotlightError:
        return refusals.translate(status, body)


_MEMORY = "it takes more memory than there is: stop other models, or make this one smaller"
_OUT_OF_MEMORY = ("SIGKILL", "MemoryError", "out of memory", "OutOfMemoryError")


def _start_error(job: ModelJob, words: str, hint: str | None) -> EngineStartError:
    short = any(sign in words for sign in _OUT_OF_MEMORY)
    return EngineStartError(
        f"the model {job.name!r} failed to load", last_words=words, hint=_MEMORY if short else hint
    )


def _expanded(env: Mapping[str, str]) -> dict[str, str]:
    """Secrets stay out of the configuration: `$NAME` is the server's own variable.

    Raises:
        EngineStartError: the server has no such variable.
    """
    return {name: _value(name, text) for name, text in env.items()}


def _value(name: str, text: str) -> str:
    own = _OWN_VARIABLE.fullmatch(text)
    if own is None:
        return text
    if own[1] not in os.environ:
        raise EngineStartError(
            f"the option env sets {name!r} to {text!r}, and the server has no {own[1]!r}",
            hint=f"start the server with {own[1]} in its environment",
        )
    return os.environ[own[1]]
