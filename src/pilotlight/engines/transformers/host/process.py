"""The life of this process, told over a channel as JSON lines: stdin in, descriptor 3 out.

    → (started)                        {"event": "parked"}
    → {"op": "load", "job": {…}}       {"event": "ready", "load_ms": …}
                                       {"event": "failed", "error": …}
    → {"op": "unload"}                 {"event": "parked"}
    → (end of file)                    exits, also from within a load

The main thread reads stdin and nothing else, so that it sees the end whatever goes on; a
thread of its own does what is asked, one order at a time.
"""

from __future__ import annotations

import ctypes
import json
import os
import signal
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

CHANNEL_FD = 3
PR_SET_PDEATHSIG = 1


def main() -> None:
    die_with_parent()
    # torch and transformers: seconds, which a standby has behind it when it says "parked".
    from .loading import give_memory_back
    from .serving import Serving

    path, secret = os.environ.pop("ENGINE_SOCKET"), os.environ.pop("ENGINE_SECRET")
    host = Host(lambda job: Serving(job, path, secret), give_memory_back)
    say({"event": "parked"})
    with ThreadPoolExecutor(1) as worker:
        for order in orders():
            worker.submit(host.follow, order)
        os._exit(0)  # skips the model's destructors: the kernel frees faster


def die_with_parent() -> None:
    """A parent that went before this call shows as the end of stdin."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C in the terminal is the owner's to handle
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


class Host:
    """At most one model at a time, in `self._serving` while it is loaded."""

    def __init__(
        self, serve: Callable[[dict[str, Any]], Any], give_back: Callable[[], None]
    ) -> None:
        self._serve = serve
        self._give_back = give_back
        self._serving: Any = None

    def follow(self, order: dict[str, Any]) -> None:
        acts: dict[str, Callable[..., dict[str, Any]]] = {"load": self.load, "unload": self.unload}
        try:
            say(acts[order.pop("op")](**order))
        except BaseException:  # an order without an answer would be waited for until a timeout
            traceback.print_exc(file=sys.stderr)
            os._exit(1)

    def load(self, job: dict[str, Any]) -> dict[str, Any]:
        started = time.monotonic()
        try:
            self._serving = self._serve(job)
        except BaseException as error:
            traceback.print_exc(file=sys.stderr)
            said = f"{type(error).__name__}: {error}"
        else:
            return {"event": "ready", "load_ms": (time.monotonic() - started) * 1000}
        self._give_back()  # after the traceback let go of what was half loaded
        return {"event": "failed", "error": said}

    def unload(self) -> dict[str, Any]:
        if self._serving is not None:
            self._serving.close()
            self._serving = None
        self._give_back()
        return {"event": "parked"}


def orders() -> Iterator[dict[str, Any]]:
    rest = b""
    while chunk := os.read(0, 1 << 16):
        *lines, rest = (rest + chunk).split(b"\n")
        yield from map(json.loads, lines)


def say(message: dict[str, Any]) -> None:
    os.write(CHANNEL_FD, json.dumps(message).encode() + b"\n")
