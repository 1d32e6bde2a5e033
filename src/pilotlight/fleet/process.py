"""One engine program as a child process: spawned, talked to, watched and never left behind."""

from __future__ import annotations

import asyncio
import ctypes
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from pilotlight.engines.base import Launch
from pilotlight.errors import EngineStartError
from pilotlight.fleet import resident
from pilotlight.fleet.client import SocketClient

CHANNEL_FD = 3
_PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None, use_errno=True) if sys.platform == "linux" else None


def _die_with(parent: int) -> None:
    """In the child, before exec: the kernel kills it when the parent goes, even by kill -9."""
    if _libc is not None:
        _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:  # it went between fork and prctl
            os._exit(1)


class LocalProcess:
    """`engines.base.EngineProcess` on this machine.

    Spawn it from the event loop's thread: the parent-death signal is tied to
    the thread that forked.
    """

    def __init__(
        self,
        launch: Launch,
        popen: subprocess.Popen[bytes],
        log: Path,
        up: asyncio.StreamReader,
    ) -> None:
        seat = launch.seat
        self.port = seat.port if launch.tcp else None
        self.client = SocketClient(seat.port if launch.tcp else seat.socket, seat.secret)
        self._secret = launch.seat.secret
        self._popen = popen
        self.log = log
        self._up = up
        loop = asyncio.get_running_loop()
        self._ended: asyncio.Future[str] = loop.create_future()
        self._on_exit: list[Callable[[], None]] = []
        threading.Thread(target=self._reap, args=(loop,), daemon=True).start()

    @classmethod
    def spawn(cls, launch: Launch, log: Path) -> LocalProcess:
        """Raises EngineStartError when the program can't be executed."""
        parent = os.getpid()
        read_end, write_end = os.pipe()
        with log.open("ab") as log_file:
            os.chmod(log, 0o600)
            try:
                popen = subprocess.Popen(
                    launch.argv,
                    stdin=subprocess.PIPE,
                    stdout=log_file,
                    stderr=log_file,
                    env=_environment(launch.env),
                    start_new_session=True,
                    preexec_fn=lambda: _in_child(parent, write_end),
                    close_fds=False,
                )
            except OSError as error:
                os.close(read_end)
                raise EngineStartError(
                    f"can't run {launch.argv[0]!r}", last_words=str(error)
                ) from None
            finally:
                os.close(write_end)
        return cls(launch, popen, log, _reader(read_end))

    def _reap(self, loop: asyncio.AbstractEventLoop) -> None:
        code = self._popen.wait()
        try:
            loop.call_soon_threadsafe(self._exited, _describe(code))
        except RuntimeError:
            pass  # the loop is closed: nobody is left to tell

    def _exited(self, how: str) -> None:
        # What it started and left behind: the group is its own, and lasts as long as one of them.
        self._signal(signal.SIGKILL)
        if self._popen.stdin is not None:
            try:
                self._popen.stdin.close()
            except BrokenPipeError:
                pass
        self._ended.set_result(how)
        for callback in self._on_exit:
            callback()

    def on_exit(self, callback: Callable[[], None]) -> None:
        self._on_exit.append(callback)

    @property
    def pid(self) -> int | None:
        return self._popen.pid

    @property
    def alive(self) -> bool:
        return not self._ended.done()

    async def send(self, message: Mapping[str, Any]) -> None:
        assert self._popen.stdin is not None
        try:
            # A load order is a few kilobytes and a pipe takes 64: this does not block.
            self._popen.stdin.write(json.dumps(message).encode() + b"\n")
            self._popen.stdin.flush()
        except (BrokenPipeError, ValueError):
            await self._raise_ended()

    async def receive(self) -> dict[str, Any]:
        line = await self._up.readline()
        if not line:
            await self._raise_ended()
        answer: dict[str, Any] = json.loads(line)
        return answer

    async def _raise_ended(self) -> None:
        how = await self.wait()
        raise EngineStartError(f"the engine ended ({how})", last_words=self.last_words())

    async def wait(self) -> str:
        return await asyncio.shield(self._ended)

    async def stop(self, grace_s: float = 5.0) -> None:
        await self.client.close()
        if self.alive:
            self._signal(signal.SIGTERM)
            try:
                async with asyncio.timeout(grace_s):
                    await self.wait()
            except TimeoutError:
                self._signal(signal.SIGKILL)
                await self.wait()

    def _signal(self, number: signal.Signals) -> None:
        try:
            os.killpg(self._popen.pid, number)
        except ProcessLookupError:
            pass

    def last_words(self, lines: int = 5) -> str:
        try:
            with self.log.open("rb") as log:
                log.seek(max(0, log.seek(0, os.SEEK_END) - 16384))
                text = log.read().decode(errors="replace")
        except OSError:
            return ""
        words = [line.strip() for line in text.splitlines() if line.strip()]
        return " | ".join(words[-lines:]).replace(self._secret, "***")

    def memory_bytes(self) -> int | None:
        return resident.now_bytes(self._popen.pid)

    def peak_memory_bytes(self) -> int | None:
        return resident.peak_bytes(self._popen.pid)


_SECRET_ENDINGS = ("_TOKEN", "_KEY", "_SECRET", "_PASSWORD")
_SETTINGS = ("PILOTLIGHT_", "LLAMA_ARG_", "VLLM_")
"""Ours, and engines' own ways around the options they were given."""


def _environment(extra: Mapping[str, str]) -> dict[str, str]:
    """Ours without settings and without anybody's secrets: an engine needs neither."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(_SETTINGS) and not name.upper().endswith(_SECRET_ENDINGS)
    }
    return {**kept, **extra}


def _in_child(parent: int, write_end: int) -> None:
    _die_with(parent)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())  # whatever we hold back, it must hear
    # The pipe's read end took the lowest free descriptor, so 3 is in use here and
    # can't be the one subprocess reports a failed exec through.
    if write_end != CHANNEL_FD:
        os.dup2(write_end, CHANNEL_FD)
    os.set_inheritable(CHANNEL_FD, True)


def _reader(fd: int) -> asyncio.StreamReader:
    """A stream over the read end of a pipe; closes it at the end of file."""
    loop = asyncio.get_running_loop()
    stream = asyncio.StreamReader(loop=loop)
    os.set_blocking(fd, False)

    def on_readable() -> None:
        try:
            data = os.read(fd, 65536)
        except BlockingIOError:
            return
        if data:
            stream.feed_data(data)
            return
        loop.remove_reader(fd)
        os.close(fd)
        stream.feed_eof()

    loop.add_reader(fd, on_readable)
    return stream


def _describe(code: int) -> str:
    if code >= 0:
        return f"exit code {code}"
    try:
        return f"signal {signal.Signals(-code).name}"
    except ValueError:
        return f"signal {-code}"
