"""The xllamacpp wheel as the program: a host process that loads, unloads and waits in between."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

from pilotlight.engines.base import EngineProcess, Launch, ModelJob, Seat
from pilotlight.engines.llamacpp import failure, gate, weights
from pilotlight.engines.llamacpp.adapters import loaded_options
from pilotlight.engines.llamacpp.engine import LlamacppEngine
from pilotlight.engines.llamacpp.options import Options
from pilotlight.engines.llamacpp.parameters import parameters
from pilotlight.engines.llamacpp.parameters import refuse as refuse_parameters
from pilotlight.engines.llamacpp.prompt_shelf import shelf_of
from pilotlight.engines.llamacpp.sizing import header_of
from pilotlight.errors import EngineStartError, PilotlightError
from pilotlight.machine import Machine

HOST = Path(__file__).with_name("host.py")

WORDS = 1024
"""At most so many, and a few, about how much is here: a pipe takes 64 KiB, and whoever loads
reads it only when it lacks something."""

_FIXED = {
    "ui": False,
    "endpoint_props": False,
    "endpoint_slots": True,
    "endpoint_metrics": False,
    "cors_origins": "",
    "sse_ping_interval": -1,
    "use_jinja": True,
    "cont_batching": True,
}


class WheelEngine(LlamacppEngine):
    """One host process can be loaded, unloaded and loaded again: the warm rungs of the ladder."""

    standby = True
    process_bytes = 35 * 2**20

    def __init__(
        self, version: str, site: Path, machine: Machine, offloads: Callable[[], bool]
    ) -> None:
        """`site` is the directory that holds the installed package."""
        super().__init__(machine, offloads)
        self._site = site
        self.build = f"xllamacpp {version}"

    def refuse(self, options: Options) -> None:
        refuse_parameters(options)

    def command(self, seat: Seat, job: ModelJob | None) -> Launch:
        """The same host for a job and for a standby: it starts before it is told what to load."""
        return Launch(
            argv=(sys.executable, "-I", "-S", str(HOST), str(self._site)),
            seat=seat,
            env={"ENGINE_SOCKET": str(seat.socket), "ENGINE_SECRET": seat.secret},
            channel=True,
        )

    async def load(self, process: EngineProcess, job: ModelJob) -> None:
        await self._order(process, job)
        await _outcome(process, job)

    def can_load_early(self, job: ModelJob) -> bool:
        """With a map of one file, and on a CPU: there is no GPU path that was ever tried."""
        options: Options = job.options
        if not gate.suits_here():
            return False
        is_split = "split.count" in header_of(job.files.path).metadata
        plain = options.mmap is not False and not options.mlock and not options.warmup
        moved = options.override_tensor is not None or bool(options.cpu_moe_layers)
        return plain and not (is_split or moved or self.offloads or options.speculative)

    async def load_early(
        self, process: EngineProcess, job: ModelJob, arrived: AsyncIterator[int]
    ) -> bool:
        """The header says how much llama.cpp copies. If it copied anything else, it did so in a
        way that nobody waited for."""
        size_bytes = job.files.size_bytes
        expected_bytes = self._copied_bytes(job)  # now: the file gets another name at its end
        await self._order(process, job, size_bytes=size_bytes)
        telling = asyncio.create_task(_tell(process, size_bytes, arrived))
        try:
            answer = await _outcome(process, job)
        finally:
            telling.cancel()
            await asyncio.gather(telling, return_exceptions=True)
        return bool(answer["copied_bytes"] == expected_bytes)

    def _copied_bytes(self, job: ModelJob) -> int:
        if job.options.repack is False:
            return 0
        return weights.copied_bytes(header_of(job.files.path), self._machine.instruction_sets)

    async def _order(self, process: EngineProcess, job: ModelJob, **more: Any) -> None:
        order = {"op": "load", "params": self.params(job), **more}
        if (shelf := shelf_of(job)) is not None:
            shelf.make()
        try:
            await process.send(order)
        except EngineStartError:
            raise await _ended(process, job) from None

    def params(self, job: ModelJob) -> dict[str, Any]:
        sizing = self.launch_sizing(job)
        return {
            **_FIXED,
            **parameters(loaded_options(job), sizing, self.offloads),
            "model.path": str(job.files.path),
            "model_alias": [job.name],
            **_prompts(job),
        }

    async def unload(self, process: EngineProcess) -> None:
        await process.send({"op": "unload"})
        await process.receive()


def _prompts(job: ModelJob) -> dict[str, Any]:
    """It puts the file's name right behind."""
    shelf = shelf_of(job)
    return {} if shelf is None else {"slot_save_path": f"{shelf.directory}/"}


async def _tell(process: EngineProcess, size_bytes: int, arrived: AsyncIterator[int]) -> None:
    told_bytes, step_bytes = 0, size_bytes // WORDS
    async for here_bytes in arrived:
        if here_bytes < min(told_bytes + step_bytes, size_bytes):
            continue
        told_bytes = here_bytes
        await process.send({"arrived_bytes": here_bytes})
        if here_bytes >= size_bytes:
            return  # from then on, any word would end the process


async def _outcome(process: EngineProcess, job: ModelJob) -> dict[str, Any]:
    """The answer to a load; the host's word that it is parked may still be unread before it."""
    try:
        while (answer := await process.receive())["event"] == "parked":
            pass
    except EngineStartError:
        raise await _ended(process, job) from None
    if answer["event"] == "failed":
        raise await failure.start_error(process, job.name, answer["error"])
    return answer


async def _ended(process: EngineProcess, job: ModelJob) -> PilotlightError:
    how = f"the engine ended: {await process.wait()}"
    return await failure.start_error(process, job.name, how)
