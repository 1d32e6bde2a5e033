"""A fork of the server, made while it is nothing but libraries, that becomes vLLM's engine.

vLLM runs its engine in a process of its own, and has that start an interpreter and import
everything a second time: as long as the server took. Forked instead, the engine finds it all
there, and shares its pages.

A fork keeps the forking thread alone, and locks that others held stay locked. So the zygote is
forked before vLLM makes threads, loops or an engine; whoever makes it looks at
`others_are_gone` afterwards. Runs in vLLM's environment: imports nothing of Pilotlight.
"""

from __future__ import annotations

import io
import os
import pickle
import signal
import socket
import struct
import traceback
from collections.abc import Callable
from multiprocessing import context, popen_fork, reduction
from multiprocessing.process import BaseProcess
from multiprocessing.util import Finalize
from pathlib import Path
from typing import Any, NoReturn

_LENGTH = struct.Struct("!Q")


class Zygote:
    """The fork; its process ends when this one does, whether or not it became anything."""

    def __init__(self) -> None:
        self._line, theirs = socket.socketpair()
        self.sentinel, alive = os.pipe()
        self.pid = os.fork()
        if self.pid == 0:
            self._line.close()
            os.close(self.sentinel)
            _live(theirs)
        theirs.close()
        os.close(alive)

    def become(self, process: bytes) -> None:
        """Run a pickled process, in the environment of this one as it is now."""
        order = pickle.dumps((dict(os.environ), process))
        self._line.sendall(_LENGTH.pack(len(order)) + order)

    def close(self) -> None:
        """Nobody needs it."""
        self._line.close()
        os.close(self.sentinel)
        os.kill(self.pid, signal.SIGKILL)  # it may wait for a lock that no thread of it holds
        os.waitpid(self.pid, 0)


def _live(line: socket.socket) -> NoReturn:
    """Whatever happens, a fork doesn't go on where it was forked."""
    code = 1
    try:
        code = _wait(line)
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(code)


def _wait(line: socket.socket) -> int:
    with line.makefile("rb") as orders:
        length = orders.read(_LENGTH.size)
        if len(length) < _LENGTH.size:
            return 0  # the server is gone, or does without
        environment, process = pickle.loads(orders.read(_LENGTH.unpack(length)[0]))
    _take_over(environment)
    # From here on the line says nothing but that the server is gone.
    code: int = pickle.loads(process)._bootstrap(parent_sentinel=line.fileno())
    return code


def _take_over(environment: dict[str, str]) -> None:
    """Only what differs: what stays where it is lets setproctitle find the program's title."""
    for name in os.environ.keys() - environment.keys():
        del os.environ[name]
    for name, value in environment.items():
        if os.environ.get(name) != value:
            os.environ[name] = value


def others_are_gone() -> bool:
    """After a fork: whether no thread but this one is left, so that none was in its way.

    Libraries of linear algebra end their idle threads themselves before a fork.
    """
    return len(list(Path("/proc/self/task").iterdir())) == 1


class Grown(context.SpawnProcess):
    """A process that isn't started but grown from `zygote`; else one like any that is spawned."""

    def __init__(self, zygote: Zygote, **given: Any) -> None:
        super().__init__(**given)
        self.zygote: Zygote | None = zygote

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "zygote": None}

    @staticmethod
    def _Popen(process_obj: BaseProcess) -> popen_fork.Popen:  # type: ignore[override]
        return _Growth(process_obj)


class _Growth(popen_fork.Popen):
    """How multiprocessing watches a child, with the zygote as that."""

    method = "zygote"

    @staticmethod
    def DupFd(fd: int) -> int:
        raise TypeError(f"descriptor {fd} can't be handed to a zygote")

    def _launch(self, process_obj: Any) -> None:
        zygote: Zygote = process_obj.zygote
        self.pid, self.sentinel = zygote.pid, zygote.sentinel
        self.finalizer = Finalize(self, os.close, (zygote.sentinel,))
        packed = io.BytesIO()
        context.set_spawning_popen(self)  # type: ignore[arg-type]
        try:
            reduction.dump(process_obj, packed)
        finally:
            context.set_spawning_popen(None)
        zygote.become(packed.getvalue())


class Nursery:
    """A multiprocessing context that grows the first process, and leaves the rest to `spawn`."""

    def __init__(self, zygote: Zygote, spawn: Callable[[], Any]) -> None:
        self._zygote: Zygote | None = zygote
        self._spawn = spawn

    def Process(self, **given: Any) -> BaseProcess:
        zygote, self._zygote = self._zygote, None
        if zygote is not None:
            return Grown(zygote, **given)
        process: BaseProcess = self._spawn().Process(**given)
        return process

    def __getattr__(self, name: str) -> Any:
        return getattr(self._spawn(), name)


def adopt(engines: Any, zygote: Zygote) -> None:
    """Have `engines`, vLLM's module that starts its engine process, grow it."""
    nursery = Nursery(zygote, engines.get_mp_context)
    engines.get_mp_context = lambda: nursery
