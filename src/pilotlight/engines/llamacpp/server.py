"""llama-server as the program: one process, one model, from start to end."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from pathlib import Path

from pilotlight.engines.base import Adapter, EngineProcess, Launch, ModelJob, Seat
from pilotlight.engines.llamacpp import failure
from pilotlight.engines.llamacpp.adapters import loaded_options
from pilotlight.engines.llamacpp.engine import LlamacppEngine
from pilotlight.engines.llamacpp.flags import UNQUOTABLE, flags
from pilotlight.engines.llamacpp.flags import refuse as refuse_flags
from pilotlight.engines.llamacpp.options import Options
from pilotlight.engines.llamacpp.prompt_shelf import shelf_of
from pilotlight.errors import (
    AdapterError,
    EngineCrashedError,
    EngineMissingError,
    EngineStartError,
)
from pilotlight.machine import Machine

KEYS_FILE = "keys"
READY_POLL_S = 0.005

_FIXED = (
    "--offline", "--jinja", "--no-webui", "--slots", "--cont-batching",
    "--sse-ping-interval", "-1", "--cors-origins", "",
)  # fmt: skip


class ServerEngine(LlamacppEngine):
    """A llama-server of the user's own, often built for this very processor or GPU."""

    standby = False
    process_bytes = 22 * 2**20

    def __init__(
        self, binary: Path, version: str, machine: Machine, offloads: Callable[[], bool]
    ) -> None:
        super().__init__(machine, offloads)
        self._binary = binary
        self.build = f"llama-server {version}"

    def refuse(self, options: Options) -> None:
        refuse_flags(options)

    def check_adapter(self, job: ModelJob, adapter: Adapter) -> None:
        path = str(adapter.files.path)
        if UNQUOTABLE & set(path):
            raise AdapterError(
                f"adapter {adapter.name!r} is at {path!r}, and llama-server can't take a path with "
                "a comma, a colon or a quote",
                hint="rename the file, or use the xllamacpp wheel (engines.llamacpp.prefer: wheel)",
            )
        super().check_adapter(job, adapter)

    def command(self, seat: Seat, job: ModelJob | None) -> Launch:
        if job is None:
            raise EngineStartError(
                "llama-server can't wait without a model",
                hint="set the model's standby to 0, or engines.llamacpp.prefer to wheel",
            )
        if not os.access(self._binary, os.X_OK):
            raise EngineMissingError(
                f"{str(self._binary)!r} is gone or can't be run any more",
                hint="install it again, or set engines.llamacpp.server to another",
            )
        keys = _write_keys(seat)
        sizing = self.launch_sizing(job)
        return Launch(
            argv=(
                str(self._binary),
                "--model",
                str(job.files.path),
                "--alias",
                job.name,
                "--host",
                str(seat.socket),
                "--api-key-file",
                str(keys),
                *_FIXED,
                *flags(loaded_options(job), sizing, self.offloads),
                *_prompts(job),
            ),
            seat=seat,
        )

    async def load(self, process: EngineProcess, job: ModelJob) -> None:
        """It loads as it starts; this watches until it answers that it is healthy."""
        while process.alive:
            try:
                status, _ = await process.client.fetch("/health")
            except (EngineCrashedError, TimeoutError):
                status = 0
            if status == 200:
                return
            await asyncio.sleep(READY_POLL_S)
        how = f"the engine ended: {await process.wait()}"
        raise await failure.start_error(process, job.name, how)

    async def unload(self, process: EngineProcess) -> None:
        raise EngineStartError(
            "llama-server can't unload its model", hint="stop the process instead"
        )


def _prompts(job: ModelJob) -> tuple[str, ...]:
    """It won't start without the directory."""
    shelf = shelf_of(job)
    if shelf is None:
        return ()
    shelf.make()
    return ("--slot-save-path", str(shelf.directory))


def _write_keys(seat: Seat) -> Path:
    """The secret in a file only we can read: a command line is every user's to read."""
    path = seat.directory / KEYS_FILE
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(f"{seat.secret}\n")
    return path
