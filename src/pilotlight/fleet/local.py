"""The fleet that is this machine: operating-system processes on Unix sockets."""

from __future__ import annotations

import itertools
import os
import secrets
import shutil
import socket
import tempfile
from pathlib import Path

from pilotlight.engines.base import EngineProcess, Launch, Seat
from pilotlight.errors import EngineStartError
from pilotlight.fleet.process import LocalProcess
from pilotlight.fleet.remote import RemoteProcess

LOGS_KEPT = 20
"""Engine logs that stay in the log directory; the oldest go first."""


class LocalFleet:
    """Owns one private directory of sockets (short paths: a Unix socket's is at most 107 bytes)."""

    def __init__(self, log_dir: Path) -> None:
        self._log_dir = log_dir
        self._run_dir = Path(tempfile.mkdtemp(prefix=f"pilotlight-{os.getpid()}-"))
        self._running: set[LocalProcess] = set()
        self._seats = itertools.count(1)
        self._remove_orphans()

    def _remove_orphans(self) -> None:
        """Directories of gateways that were killed before they could tidy up."""
        for path in self._run_dir.parent.glob("pilotlight-*-*"):
            owner = path.name.split("-")[1]
            if owner.isdigit() and not _is_alive(int(owner)) and _owner(path) == os.getuid():
                shutil.rmtree(path, ignore_errors=True)

    def seat(self, replica_id: str) -> Seat:
        # Its own for each launch: what a failed one left behind is in nobody's way.
        directory = self._run_dir / f"{replica_id}-{next(self._seats)}"
        directory.mkdir(mode=0o700)
        # llama.cpp takes a host name for a Unix socket only when it ends in .sock.
        return Seat(directory, directory / "e.sock", secrets.token_urlsafe(32), _free_port())

    async def launch(self, launch: Launch) -> EngineProcess:
        if launch.remote is not None:
            shutil.rmtree(launch.seat.directory, ignore_errors=True)
            return RemoteProcess(launch.remote)
        self._log_dir.mkdir(parents=True, exist_ok=True)
        self._drop_old_logs()
        # A log of its own for each process: last words must be this one's.
        log = self._log_dir / f"{launch.seat.directory.name}-{os.getpid()}.log"
        try:
            process = LocalProcess.spawn(launch, log)
        except EngineStartError:
            shutil.rmtree(launch.seat.directory, ignore_errors=True)
            raise
        self._running.add(process)
        process.on_exit(lambda: self._forget(process, launch.seat))
        return process

    def _forget(self, process: LocalProcess, seat: Seat) -> None:
        self._running.discard(process)
        shutil.rmtree(seat.directory, ignore_errors=True)

    def _drop_old_logs(self) -> None:
        """Of processes that are gone; another gateway may be doing the same."""
        running = {process.log for process in self._running}
        logs = sorted(set(self._log_dir.glob("*.log")) - running, key=_modified_s)
        for path in logs[: -LOGS_KEPT + 1]:
            path.unlink(missing_ok=True)

    async def close(self) -> None:
        for process in list(self._running):
            await process.stop(grace_s=1.0)
        shutil.rmtree(self._run_dir, ignore_errors=True)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _modified_s(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except FileNotFoundError:
        return 0.0


def _owner(path: Path) -> int | None:
    try:
        return path.stat().st_uid
    except FileNotFoundError:
        return None


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
