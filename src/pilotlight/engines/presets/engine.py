"""A server that somebody else wrote as an engine: started by its command, or reached."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Mapping
from typing import Any

import msgspec

from pilotlight.core import Capabilities, Footprint, ModelFiles, ModelRef, Operation
from pilotlight.engines.base import EngineProcess, Launch, ModelJob, Remote, Seat
from pilotlight.engines.openai import refusals
from pilotlight.engines.openai.heartbeat import Heartbeat
from pilotlight.engines.openai.key import Keys
from pilotlight.engines.presets import command_line, failure
from pilotlight.engines.presets.options import Options, complete
from pilotlight.engines.presets.port import stranger
from pilotlight.engines.presets.preset import Preset
from pilotlight.engines.presets.pulse import Meter, Pulse
from pilotlight.errors import (
    ConfigError,
    EngineCrashedError,
    EngineMissingError,
    EngineStartError,
    PilotlightError,
)

ENDPOINTS: Mapping[Operation, str] = {
    Operation.CHAT: "/v1/chat/completions",
    Operation.COMPLETIONS: "/v1/completions",
    Operation.EMBEDDINGS: "/v1/embeddings",
    Operation.RERANK: "/v1/rerank",
}
READY_POLL_S = 0.05
ASK_S = 5.0


class PresetEngine:
    """`engines.base.Engine` for one preset."""

    def __init__(self, preset: Preset) -> None:
        self.preset = preset
        self.name = preset.name
        self.build = preset.name
        self._keys = Keys()
        self._heartbeat = Heartbeat(self._keys.hidden)
        self._pulse = Pulse()

    def options(self, given: Mapping[str, Any]) -> Options:
        return complete(self.preset, given)

    def owns(self, ref: ModelRef) -> bool:
        """A model by the server's own name for it; any other ref is fetched to here."""
        return ref.scheme == "openai"

    def slots(self, options: Options) -> int:
        return options.parallel

    def context(self, files: ModelFiles, options: Options) -> int | None:
        return options.context

    def predict(self, files: ModelFiles, options: Options) -> Footprint:
        """What was declared, else the weights' size: nothing more is known of it beforehand."""
        if options.endpoint is not None:
            return Footprint(0)
        if options.memory is not None:
            return Footprint(options.memory, source="declared")
        return Footprint(files.size_bytes, parts={"weights": files.size_bytes})

    def capabilities(self, files: ModelFiles, options: Options) -> Capabilities:
        _reject_bytes_elsewhere(self.name, files.ref, options)
        operations = options.operations or self.preset.operations
        extra = self.preset.parameters if options.parameters is None else options.parameters
        return Capabilities(
            stream_usage="asked",
            operations=operations,
            parameters=dict.fromkeys(operations, extra),
            tools=options.tools,
            vision=options.vision,
            model=options.model_name or (files.ref.locator if options.endpoint else None),
        )

    def endpoint(self, operation: Operation) -> str:
        return ENDPOINTS[operation]

    def command(self, seat: Seat, job: ModelJob | None) -> Launch:
        if job is None:
            raise EngineStartError(
                f"the {self.name} engine can't wait without a model",
                hint="set the model's standby to 0",
            )
        options: Options = job.options
        if options.endpoint is not None:
            headers = self._keys.bearer(options.api_key_env) if options.api_key_env else {}
            remote = Remote(options.endpoint, headers, options.timeout)
            return Launch(argv=(), seat=seat, remote=remote)
        words = command_line.argv(self.preset, seat, job)
        self._require(words[0])
        return Launch(words, seat, command_line.environment(self.preset, seat, job), tcp=True)

    def _require(self, program: str) -> None:
        if shutil.which(program) is None:
            raise EngineMissingError(
                f"{self.preset.title} can't be run: there is no program {program!r} on PATH",
                hint=self.preset.install,
            )

    async def load(self, process: EngineProcess, job: ModelJob) -> None:
        """Raises EngineStartError with its last words; EngineUnreachableError for one elsewhere."""
        options: Options = job.options
        path = options.ready or self.preset.ready
        if options.endpoint is None:
            await _until_ready(process, job, path)
        await self._heartbeat.first(process, path, options.timeout)
        counters = options.counters or self.preset.counters
        metrics = options.metrics or self.preset.metrics
        if counters and metrics:
            self._pulse.watch(process, Meter(metrics, frozenset(counters)))

    async def unload(self, process: EngineProcess) -> None:
        raise EngineStartError(
            f"the {self.name} engine can't unload its model", hint="stop the process instead"
        )

    def canary(self, job: ModelJob) -> tuple[str, bytes | None]:
        """Whoever runs it elsewhere may bill for a token; one started here proves itself."""
        options: Options = job.options
        if options.endpoint is not None:
            return options.ready or self.preset.ready, None
        name = self.capabilities(job.files, options).model or job.name
        operations = options.operations or self.preset.operations
        operation = next(op for op in CANARIES if op in operations)
        return ENDPOINTS[operation], msgspec.json.encode({"model": name, **CANARIES[operation]})

    async def progress(self, process: EngineProcess) -> int | None:
        """Its own count of tokens where it shows one, else whether it answers at all."""
        counted = await self._pulse.count(process)
        return counted if counted is not None else await self._heartbeat.next(process)

    def error(self, status: int, body: bytes) -> PilotlightError:
        return refusals.translate(status, self._keys.hidden(body))


CANARIES: Mapping[Operation, Mapping[str, Any]] = {
    Operation.CHAT: {"messages": [{"role": "user", "content": "Hi"}], "max_tokens": 1},
    Operation.COMPLETIONS: {"prompt": "Hi", "max_tokens": 1},
    Operation.EMBEDDINGS: {"input": "Hi"},
    Operation.RERANK: {"query": "Hi", "documents": ["Hi"]},
}


def _reject_bytes_elsewhere(engine: str, ref: ModelRef, options: Options) -> None:
    if options.endpoint is not None and ref.scheme != "openai":
        raise ConfigError(
            f"the {engine} server at {options.endpoint} can't run {str(ref)!r}: "
            "it has its own models",
            hint="write ref: openai:NAME, with the name that it knows, or remove endpoint",
        )


async def _until_ready(process: EngineProcess, job: ModelJob, path: str) -> None:
    """Its process may end first, and its port may be somebody else's before it is its own."""
    await _refuse_stranger(process, job)  # before it is shown the secret, if it is there already
    while process.alive:
        try:
            status, _ = await process.client.fetch(path, timeout_s=ASK_S)
        except (EngineCrashedError, TimeoutError):
            status = 0
        if status == 200:
            await _refuse_stranger(process, job)
            return
        await asyncio.sleep(READY_POLL_S)
    raise failure.start_error(process, job.name, f"it ended: {await process.wait()}")


async def _refuse_stranger(process: EngineProcess, job: ModelJob) -> None:
    if process.port is None or process.pid is None:
        return
    other = await asyncio.to_thread(stranger, process.port, process.pid)
    if other is not None:
        raise EngineStartError(
            f"the server of {job.name!r} can't have port {process.port}: process {other} listens "
            "there already",
            hint="ask again: another free port is chosen then",
        )
