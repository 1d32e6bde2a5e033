"""The process that runs the xllamacpp wheel: a script of its own, started by path.

Its start is the product's cold start, so it imports little and nothing of
pilotlight. It is run with ``-I -S`` and told where the wheel lies. It reads
JSON lines on stdin and answers with JSON lines on descriptor 3::

    → (started)                                    {"event": "parked"}
    → {"op": "load", "params": {path: value, …}}   {"event": "ready", "load_ms": …}
                                                   {"event": "failed", "error": …}
    → {"op": "load", …, "size_bytes": …}           the same with "copied_bytes", see gate.py
    → {"arrived_bytes": …}                         (nothing)
    → {"op": "unload"}                             {"event": "parked"}
    → (end of file)                                exits, also from within a load

The wheel holds the interpreter's lock while it loads, so no thread of ours could
see the end of stdin then: for that time the kernel is asked to kill us with SIGIO.
The owner sends nothing while a load is under way, but for what of a file of `size_bytes`
has arrived: then stdin is read in the gate, until all has.
"""

from __future__ import annotations

import enum
import fcntl
import json
import os
import select
import signal
import socket
import sys
import time
from collections import deque
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any

CHANNEL_FD = 3
PR_SET_PDEATHSIG = 1


def main(site: str) -> None:
    die_with_parent()
    sys.path.insert(0, site)
    import xllamacpp

    Host(xllamacpp, os.environ.pop("ENGINE_SOCKET"), os.environ.pop("ENGINE_SECRET")).run()


def die_with_parent() -> None:
    """A parent that went before this call shows as the end of stdin."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C in the terminal is the owner's to handle
    if sys.platform == "linux":
        import ctypes

        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


class Host:
    """At most one model at a time, in `self.server` while it is loaded."""

    def __init__(self, wheel: Any, listen_at: str, secret: str) -> None:
        self.wheel = wheel
        self.listen_at = listen_at
        self.secret = secret
        self.server: Any = None
        self.inbox = Inbox()

    def run(self) -> None:
        say({"event": "parked"})
        acts: dict[str, Callable[..., dict[str, Any]]] = {"load": self.load, "unload": self.unload}
        while True:
            order = self.inbox.next()
            if "op" in order:  # else more arrived of a file whose load has failed
                say(acts[order.pop("op")](**order))

    def load(self, params: dict[str, Any], size_bytes: int | None = None) -> dict[str, Any]:
        started = time.monotonic()
        arriving = Arriving(self.inbox, size_bytes)
        try:
            common = self.common_params(params)
            gate: Any = self.gate(params["model.path"], arriving) if size_bytes else nullcontext()
            with gate:
                arriving.begin()
                self.server = self.wheel.Server(common)
            self.await_loop()
            arriving.await_bytes(size_bytes or 0)
        except Exception as error:
            return {"event": "failed", "error": f"{type(error).__name__}: {error}"}
        finally:
            watch_stdin(False)
        ready = {"event": "ready", "load_ms": (time.monotonic() - started) * 1000}
        return ready if size_bytes is None else {**ready, "copied_bytes": gate.copied_bytes}

    def gate(self, path: str, arriving: Arriving) -> AbstractContextManager[Any]:
        """From the file beside this one, which nobody else pays for."""
        from importlib.util import module_from_spec, spec_from_file_location

        beside = os.path.join(os.path.dirname(__file__), "gate.py")
        found = spec_from_file_location("gate", beside)
        assert found is not None
        assert found.loader is not None
        module = module_from_spec(found)
        found.loader.exec_module(module)
        library = sys.modules[f"{self.wheel.__name__}.{self.wheel.__name__}"].__file__
        gate: AbstractContextManager[Any] = module.Gate(library, path, arriving.await_bytes)
        return gate

    def await_loop(self) -> None:
        """Until the server's own loop runs, for only that answers this question.

        The constructor returns before it does, and a destructor that comes first hangs:
        it ends the loop once, and the loop then starts.
        """
        question = f"GET /slots HTTP/1.0\r\nAuthorization: Bearer {self.secret}\r\n\r\n"
        with socket.socket(socket.AF_UNIX) as connection:
            connection.connect(self.listen_at)
            connection.sendall(question.encode())
            connection.recv(1)

    def unload(self) -> dict[str, Any]:
        self.server = None
        return {"event": "parked"}

    def common_params(self, given: dict[str, Any]) -> Any:
        params = self.wheel.CommonParams()
        for path, value in given.items():
            self.assign(params, path.split("."), value)
        params.hostnames = [self.listen_at]
        params.api_keys = [self.secret]
        if os.path.lexists(self.listen_at):
            os.unlink(self.listen_at)  # binding to one that is there fails
        return params

    def assign(self, holder: Any, path: list[str], value: Any) -> None:
        for name in path[:-1]:
            holder = getattr(holder, name)
        setattr(holder, path[-1], self.typed(path[-1], getattr(holder, path[-1]), value))

    def typed(self, name: str, current: Any, value: Any) -> Any:
        """JSON's `value` as the type that the parameter has now."""
        if name == "lora_adapters":
            return [self.wheel.CommonAdapterLoraInfo(**adapter) for adapter in value]
        if name == "tensor_split":
            return value + [0.0] * (len(current) - len(value))
        if isinstance(current, enum.Enum):
            return type(current)[value]
        if isinstance(current, list) and current and isinstance(current[0], enum.Enum):
            return [type(current[0])[member] for member in value]
        return set(value) if isinstance(current, set) else value


class Inbox:
    """The owner's messages, one at a time; where they end, so does the process."""

    def __init__(self) -> None:
        self.rest = b""
        self.lines: deque[bytes] = deque()

    def next(self) -> dict[str, Any]:
        while not self.lines:
            chunk = os.read(0, 1 << 16)
            if not chunk:
                os._exit(0)  # skips the model's destructors: the kernel frees faster
            *lines, self.rest = (self.rest + chunk).split(b"\n")
            self.lines.extend(lines)
        message: dict[str, Any] = json.loads(self.lines.popleft())
        return message


class Arriving:
    """How much of the model's file is here; `None` of one that was whole before the load."""

    def __init__(self, inbox: Inbox, size_bytes: int | None) -> None:
        self.inbox = inbox
        self.size_bytes = size_bytes
        self.here_bytes = 0

    def begin(self) -> None:
        """When nothing more is to be read from stdin, its end has to be noticed otherwise."""
        if self.size_bytes is None or self.here_bytes >= self.size_bytes:
            watch_stdin(True)

    def await_bytes(self, wanted_bytes: int) -> None:
        while self.here_bytes < wanted_bytes:
            self.here_bytes = self.inbox.next()["arrived_bytes"]
            self.begin()


def watch_stdin(on: bool) -> None:
    """Have the kernel end this process when stdin does; see the module's docstring."""
    flags = fcntl.fcntl(0, fcntl.F_GETFL) & ~os.O_ASYNC
    if on:
        fcntl.fcntl(0, fcntl.F_SETOWN, os.getpid())
        fcntl.fcntl(0, fcntl.F_SETFL, flags | os.O_ASYNC)
        poll = select.poll()
        poll.register(0, select.POLLIN)
        if any(event & (select.POLLHUP | select.POLLERR) for _, event in poll.poll(0)):
            os._exit(0)  # it ended before the kernel was asked
    else:
        fcntl.fcntl(0, fcntl.F_SETFL, flags)


def say(message: dict[str, Any]) -> None:
    os.write(CHANNEL_FD, json.dumps(message).encode() + b"\n")


if __name__ == "__main__":
    main(sys.argv[1])
