"""The fake as an `Engine`: the second implementation of the seam, for tests and benchmarks."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Callable, Mapping
from pathlib import Path
from typing import Any

import msgspec

from pilotlight import __version__
from pilotlight.config import EngineSettings
from pilotlight.core import Capabilities, Footprint, ModelFiles, ModelRef, Operation
from pilotlight.engines.base import Adapter, EngineProcess, Launch, ModelJob, Seat
from pilotlight.errors import (
    AdapterError,
    CapacityError,
    ContextTooLongError,
    EngineCrashedError,
    EngineError,
    EngineStartError,
    PilotlightError,
    RequestError,
)
from pilotlight.machine import Machine
from pilotlight.testing.brain import ADAPTERS_PATH, ENDPOINTS
from pilotlight.testing.options import FakeOptions

SECRET_VARIABLE = "FAKE_ENGINE_SECRET"

_EXTRAS = frozenset(
    {"response_format.schema", "ignore_eos", "top_k", "min_p", "repeat_penalty", "n_predict"}
)


def fake_files(name: str, size_bytes: int = 2**20) -> ModelFiles:
    """What a store would say of ``fake:<name>``: there are no bytes."""
    return ModelFiles(ModelRef("fake", name), Path("/dev/null"), size_bytes)


class FakeEngine:
    """`engines.base.Engine`; a FakeFleet runs it in memory, any other fleet as a real process."""

    name = "fake"
    build = f"fake {__version__}"

    def options(self, given: Mapping[str, Any]) -> FakeOptions:
        return FakeOptions.parse(given)

    def owns(self, ref: ModelRef) -> bool:
        return False

    def slots(self, options: FakeOptions) -> int:
        return options.parallel

    def context(self, files: ModelFiles, options: FakeOptions) -> int | None:
        return options.context

    def predict(self, files: ModelFiles, options: FakeOptions) -> Footprint:
        return Footprint(options.ram_bytes, parts={"weights": options.ram_bytes})

    def capabilities(self, files: ModelFiles, options: FakeOptions) -> Capabilities:
        return Capabilities(
            operations=frozenset(ENDPOINTS),
            parameters={Operation.CHAT: _EXTRAS, Operation.COMPLETIONS: _EXTRAS},
            sleep=options.sleep,
            standby=options.standby,
            tools=options.tools,
            lora=options.lora is not None,
            vision=options.vision,
            stream_usage="always" if options.counts else "asked",
        )

    def endpoint(self, operation: Operation) -> str:
        if operation not in ENDPOINTS:
            raise EngineError(
                f"the fake engine has no {operation.value!r} of its own",
                hint="translate it to 'chat'",
            )
        return ENDPOINTS[operation]

    def command(self, seat: Seat, job: ModelJob | None) -> Launch:
        """The same program either way: it parks, and `load` gives it the job."""
        argv = (sys.executable, "-m", "pilotlight.testing.server", "--socket", str(seat.socket))
        return Launch(argv, seat, {SECRET_VARIABLE: seat.secret}, channel=True)

    async def load(self, process: EngineProcess, job: ModelJob) -> None:
        params = {
            "model": job.name,
            "options": job.options.as_json(),
            "adapters": [adapter.name for adapter in job.adapters],
        }
        await process.send({"op": "load", "params": params})
        message = await process.receive()
        while message["event"] == "parked":  # said once at its start and after each unload
            message = await process.receive()
        if message["event"] == "failed":
            raise EngineStartError(f"{job.name!r} did not load", last_words=message["error"])

    def can_load_early(self, job: ModelJob) -> bool:
        return job.options.early is not None

    async def load_early(
        self, process: EngineProcess, job: ModelJob, arrived: AsyncIterator[int]
    ) -> bool:
        """As the option `early` says, once all of the file is here."""
        async for here_bytes in arrived:
            if here_bytes >= job.files.size_bytes:
                break
        if job.options.early == "hangs":
            await asyncio.Event().wait()
        if job.options.early == "fails":
            await process.stop(grace_s=0.0)
        await self.load(process, job)
        return bool(job.options.early == "loads")

    async def unload(self, process: EngineProcess) -> None:
        await process.send({"op": "unload"})
        message = await process.receive()
        if message["event"] == "failed":
            raise EngineError(message["error"], hint="set its option 'sleep' to true")

    def check_adapter(self, job: ModelJob, adapter: Adapter) -> None:
        """A ref that begins with ``fake:bad`` is of another model."""
        if adapter.files.ref.locator.startswith("bad"):
            raise AdapterError(
                f"adapter {adapter.name!r} is of another model than {job.name!r}",
                hint="take one that was trained on this model",
            )

    async def adapt(
        self, process: EngineProcess, loaded: ModelJob, wanted: ModelJob
    ) -> ModelJob | None:
        if wanted.options.lora == "reload":
            return loaded if set(wanted.adapters) <= set(loaded.adapters) else None
        names = {"adapters": [adapter.name for adapter in wanted.adapters]}
        status, answer = await process.client.fetch(ADAPTERS_PATH, msgspec.json.encode(names))
        if status != 200:
            raise AdapterError(self.error(status, answer).message)
        return wanted

    def address(self, payload: bytes, job: ModelJob, adapter: str | None) -> bytes:
        if adapter is None:
            return payload
        return msgspec.json.encode({**msgspec.json.decode(payload), "adapter": adapter})

    def canary(self, job: ModelJob) -> tuple[str, bytes]:
        return ENDPOINTS[Operation.CHAT], _CANARY

    async def progress(self, process: EngineProcess) -> int | None:
        try:
            status, body = await process.client.fetch("/slots", timeout_s=1.0)
        except (EngineCrashedError, TimeoutError):
            return None
        if status != 200:
            return None
        return sum(int(slot["n_decoded_total"]) for slot in msgspec.json.decode(body))

    def error(self, status: int, body: bytes) -> PilotlightError:
        try:
            told = msgspec.json.decode(body)["error"]
            message, kind = str(told["message"]), told.get("type")
        except (msgspec.DecodeError, KeyError, TypeError, AttributeError):
            return EngineError(f"the fake engine answered {status} with {body[:200]!r}")
        if kind == "exceed_context_size_error":
            return _context_error(told)
        families: list[tuple[bool, Callable[[str], PilotlightError]]] = [
            (status in (401, 403), EngineError),  # our own secret was refused: not the client's
            (status == 503, CapacityError),
            (400 <= status < 500 or status == 501, RequestError),
        ]
        family = next((made for holds, made in families if holds), EngineError)
        return family(message)


_CANARY = msgspec.json.encode({"messages": [{"role": "user", "content": "hi"}], "max_tokens": 1})


def _context_error(told: Mapping[str, Any]) -> ContextTooLongError:
    return ContextTooLongError(
        f"the request has {told['n_prompt_tokens']} tokens, the model's context is {told['n_ctx']}",
        param="messages",
        hint="shorten the prompt or raise the model's context",
    )


def FACTORY(settings: EngineSettings, machine: Machine) -> FakeEngine:
    """For ``Engines(settings, machine, {**FACTORIES, "fake": FACTORY})``."""
    return FakeEngine()
