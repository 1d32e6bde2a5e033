"""What the terminal shows of a serving house: progress, the address, one curl line that works."""

from __future__ import annotations

import json
import shlex
import sys
import time
from typing import TYPE_CHECKING, TextIO

from pilotlight.core import ColdStart
from pilotlight.replica.replica import Replica
from pilotlight.router.watchers import Watchers
from pilotlight.store.progress import Progress

if TYPE_CHECKING:
    from pilotlight.gateway.assembly import House

REDRAW_S = 0.1
LINE_S = 5.0
"""Without a terminal to redraw, one line of progress each this many seconds."""


def curl_line(url: str, model: str, *, keyed: bool, private_ca: bool) -> str:
    """A request that works as it is, pasted into a shell."""
    body = json.dumps({"model": model, "messages": [{"role": "user", "content": "Say hello."}]})
    parts = ["curl", f"{url}/v1/chat/completions"]
    if private_ca:
        parts.insert(1, "--insecure")
    line = " ".join(shlex.quote(part) for part in parts)
    if keyed:
        line += ' -H "Authorization: Bearer $PILOTLIGHT_API_KEY"'
    return f"{line} -H 'Content-Type: application/json' -d {shlex.quote(body)}"


class Console:
    """Progress on standard error, redrawn on a terminal, a line now and then elsewhere."""

    def __init__(self, out: TextIO | None = None) -> None:
        self._out = out or sys.stderr
        self._tty = self._out.isatty()
        self._shown_s = 0.0
        self._drawn = False
        self._next: Watchers | None = None

    def beside(self, other: Watchers) -> Console:
        """Tell `other` everything too."""
        self._next = other
        return self

    def listening(self, url: str, house: House) -> None:
        self._clear()
        model = next(iter(house.catalogue))
        keyed = house.keyed
        private = house.settings.tls_certificate is not None
        print(f"\nPilotlight serves {', '.join(house.catalogue)} on {url}", file=self._out)
        print(f"  {curl_line(url, model, keyed=keyed, private_ca=private)}\n", file=self._out)
        self._out.flush()

    def downloading(self, model: str, progress: Progress) -> None:
        now = time.monotonic()
        if now - self._shown_s >= (REDRAW_S if self._tty else LINE_S):
            self._shown_s = now
            self._draw(f"{model}: {_words(progress)}")
        if self._next:
            self._next.downloading(model, progress)

    def loaded(self, model: str, replica: Replica) -> None:
        self._clear()
        if self._next:
            self._next.loaded(model, replica)

    def leaving(self, model: str, reason: str) -> None:
        self._clear()
        if self._next:
            self._next.leaving(model, reason)

    def cold_start(self, start: ColdStart) -> None:
        if self._next:
            self._next.cold_start(start)

    def _draw(self, line: str) -> None:
        if self._tty:
            self._out.write(f"\r\033[K{line}")
            self._drawn = True
        else:
            self._out.write(line + "\n")
        self._out.flush()

    def _clear(self) -> None:
        if self._drawn:
            self._out.write("\r\033[K")
            self._out.flush()
            self._drawn = False

    def close(self) -> None:
        self._clear()


def _words(progress: Progress) -> str:
    done = f"{progress.done_bytes / 1e6:.1f}"
    if not progress.total_bytes:
        return f"{progress.phase} {done} MB"
    share = progress.done_bytes / progress.total_bytes
    return f"{progress.phase} {done} of {progress.total_bytes / 1e6:.1f} MB ({share:.0%})"
