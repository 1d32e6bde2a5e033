"""transformers behind the engine seam: a host process of ours in an environment of its own."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pilotlight.core import Capabilities, Footprint, ModelFiles, ModelRef, Operation
from pilotlight.engines import environments
from pilotlight.engines.base import EngineProcess, Launch, ModelJob, Seat
from pilotlight.engines.transformers import failure, launch, memory, refusals
from pilotlight.engines.transformers.options import Options, complete
from pilotlight.engines.transformers.request_fields import PARAMETERS
from pilotlight.engines.transformers.sizing import Sizing, size
from pilotlight.errors import (
    EngineCrashedError,
    EngineError,
    EngineStartError,
    PilotlightError,
    StoreError,
)
from pilotlight.machine import Machine
from pilotlight.store.checkpoint import Checkpoint, read_checkpoint

NAME = "transformers"
ENDPOINTS: Mapping[Operation, str] = {
    Operation.CHAT: "/v1/chat/completions",
    Operation.COMPLETIONS: "/v1/completions",
    Operation.EMBEDDINGS: "/v1/embeddings",
    Operation.TOKENIZE: "/tokenize",
    Operation.DETOKENIZE: "/detokenize",
}
_CALL_MARK = "<tool_call>"
_THINK_MARK = "<think>"


class TransformersEngine:
    """`engines.base.Engine`. One host process can be loaded, unloaded and loaded again."""

    name = NAME
    parked_bytes = memory.PARKED_BYTES

    def __init__(self, directory: Path, machine: Machine) -> None:
        """`directory` is where engines are installed; it may be empty until one is launched."""
        self._directory = directory
        self._machine = machine

    @property
    def build(self) -> str:
        found = environments.find(self._directory, NAME)
        if found is None:
            return f"{NAME}, not installed"
        return f"{NAME} {found.version} ({found.record.variant})"

    def options(self, given: Mapping[str, Any]) -> Options:
        return complete(given, self._machine)

    def owns(self, ref: ModelRef) -> bool:
        return False

    def slots(self, options: Options) -> int:
        return options.parallel

    def context(self, files: ModelFiles, options: Options) -> int | None:
        return self._sizing(files, options)[1].context

    def _sizing(self, files: ModelFiles, options: Options) -> tuple[Checkpoint, Sizing]:
        """Raises ModelFormatError or StoreError."""
        checkpoint = read_checkpoint(files.path)
        return checkpoint, size(options, checkpoint)

    def predict(self, files: ModelFiles, options: Options) -> Footprint:
        checkpoint, sizing = self._sizing(files, options)
        return memory.predict(checkpoint, options, sizing, self._machine)

    def capabilities(self, files: ModelFiles, options: Options) -> Capabilities:
        _, sizing = self._sizing(files, options)
        operations = _operations(sizing)
        template = sizing.template or ""
        return Capabilities(
            stream_usage="asked",
            operations=operations,
            parameters={operation: PARAMETERS[operation] for operation in operations},
            sleep=True,
            standby=True,
            # The template must have a place for tools, in the one format whose calls are read.
            tools="tools" in template and _CALL_MARK in template,
            thinking=_THINK_MARK in template,
        )

    def endpoint(self, operation: Operation) -> str:
        if operation not in ENDPOINTS:
            raise EngineError(
                f"the transformers engine has no {operation.value!r} of its own",
                hint="translate it to 'chat'",
            )
        return ENDPOINTS[operation]

    def command(self, seat: Seat, job: ModelJob | None) -> Launch:
        """The same host for a job and for a standby: it starts before it is told what to load."""
        environment = environments.require(self._directory, NAME)
        return Launch(
            argv=launch.argv(environment.python),
            seat=seat,
            env=launch.env(seat),
            channel=True,
        )

    async def load(self, process: EngineProcess, job: ModelJob) -> None:
        order = {"op": "load", "job": self._order(job)}
        try:
            await process.send(order)
            answer = await _outcome(process)
        except EngineStartError:
            words = f"the engine ended: {await process.wait()} | {process.last_words()}"
            raise failure.start_error(job.name, words) from None
        if answer["event"] == "failed":
            raise failure.start_error(job.name, answer["error"])

    def _order(self, job: ModelJob) -> dict[str, Any]:
        """Where an unreadable directory is a failed start."""
        try:
            checkpoint, sizing = self._sizing(job.files, job.options)
        except StoreError as error:
            raise EngineStartError(
                f"the model {job.name!r} can't be loaded", last_words=error.message, hint=error.hint
            ) from None
        return launch.order(job.name, checkpoint, job.options, sizing)

    async def unload(self, process: EngineProcess) -> None:
        await process.send({"op": "unload"})
        await process.receive()

    def canary(self, job: ModelJob) -> tuple[str, bytes]:
        _, sizing = self._sizing(job.files, job.options)
        if not sizing.generates:
            return ENDPOINTS[Operation.EMBEDDINGS], json.dumps({"input": "Hi"}).encode()
        request = {"prompt": "Hi", "max_tokens": 1, "temperature": 0}
        return ENDPOINTS[Operation.COMPLETIONS], json.dumps(request).encode()

    async def progress(self, process: EngineProcess) -> int | None:
        """Grows with every request taken in, piece of a prompt read and token made."""
        try:
            status, body = await process.client.fetch("/progress")
        except (TimeoutError, EngineCrashedError):
            return None
        return int(json.loads(body)["progress"]) if status == 200 else None

    def error(self, status: int, body: bytes) -> PilotlightError:
        return refusals.translate(status, body)


def _operations(sizing: Sizing) -> frozenset[Operation]:
    found = {Operation.TOKENIZE, Operation.DETOKENIZE}
    if sizing.generates:
        found.add(Operation.COMPLETIONS)
    if sizing.template is not None:
        found.add(Operation.CHAT)
    if sizing.embeds:
        found.add(Operation.EMBEDDINGS)
    return frozenset(found)


async def _outcome(process: EngineProcess) -> dict[str, Any]:
    """The answer to a load; the host's word that it is parked may still be unread before it."""
    while (answer := await process.receive())["event"] == "parked":
        pass
    return answer
