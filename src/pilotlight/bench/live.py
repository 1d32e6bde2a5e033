"""A run watched while it goes: redrawn in place on a terminal, a line now and then elsewhere."""

from __future__ import annotations

import shutil
import threading
import time
from collections.abc import Callable
from types import TracebackType
from typing import Self, TextIO

from pilotlight.bench.glance import Glance, Watched
from pilotlight.bench.live_frame import frame, log_line
from pilotlight.bench.load import Load
from pilotlight.bench.record import Record
from pilotlight.bench.run import Progress
from pilotlight.bench.slo import Slo
from pilotlight.bench.words.text_table import printable

FRAME_S = 0.25
LOG_S = 10.0


class Live:
    """Draws from a thread of its own, so that it goes on while a model loads and nothing runs.

    Everything may be called from any thread. What the run calls, `on_record` and `on_tick`, only
    counts: it never waits for the output, which a user may have paused with Ctrl-S. An output that
    can't be written to ends the drawing, never the run.
    """

    def __init__(
        self,
        out: TextIO,
        *,
        tty: bool | None = None,
        width: int | None = None,
        every_s: float | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._out, self._width, self._clock = out, width, clock
        self._tty = out.isatty() if tty is None else tty
        self._every_s = every_s or (FRAME_S if self._tty else LOG_S)
        self._counting, self._writing = threading.Lock(), threading.Lock()
        self._watched: Watched | None = None
        self._drawn = 0
        """Lines of the frame that stands on the terminal."""

        self._broken = False
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._keep_drawing, name="live", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._over.set()
        self._thread.join()
        with self._writing:
            self._write(self._erased())

    def stage(self, name: str, load: Load, slo: Slo | None = None) -> None:
        """A stage begins; one before it that nobody ended is gone from view."""
        with self._counting:
            self._watched = Watched(name, load, slo, self._clock())

    def on_record(self, record: Record) -> None:
        with self._counting:
            if self._watched is not None:
                self._watched.add(record, self._clock())

    def on_tick(self, progress: Progress) -> None:
        with self._counting:
            if self._watched is not None:
                self._watched.progress(progress)

    def say(self, text: str) -> None:
        """A line that stays, above what is redrawn."""
        with self._writing:
            self._write(f"{self._erased()}{printable(text)}\n")

    def finished(self, text: str) -> None:
        """The stage is over, and this line is what remains of it."""
        with self._counting:
            self._watched = None
        self.say(text)

    def draw(self) -> None:
        """What the thread does each time; nothing while no stage runs."""
        with self._writing:
            with self._counting:
                glance = self._watched.glance(self._clock()) if self._watched else None
            if glance is not None:
                self._write(self._picture(glance))

    def _picture(self, glance: Glance) -> str:
        if not self._tty:
            return f"{log_line(glance)}\n"
        lines = frame(glance, self._width or shutil.get_terminal_size().columns - 1)
        erased = self._erased()
        self._drawn = len(lines)
        return erased + "".join(f"{line}\n" for line in lines)

    def _erased(self) -> str:
        """Moves to where the frame began and clears from there."""
        drawn, self._drawn = self._drawn, 0
        return f"\x1b[{drawn}A\x1b[J" if drawn else ""

    def _keep_drawing(self) -> None:
        while not self._over.wait(self._every_s):
            self.draw()

    def _write(self, text: str) -> None:
        if not text or self._broken:
            return
        try:
            self._out.write(text)
            self._out.flush()
        except (OSError, ValueError):
            self._broken = True
