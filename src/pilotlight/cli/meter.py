"""How far downloads are, as text for a terminal or for a log."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from pilotlight.core import ModelRef
from pilotlight.quantities import about_bytes, about_seconds
from pilotlight.redact import without_credentials

if TYPE_CHECKING:
    from pilotlight.store.progress import Progress

Key = tuple[ModelRef, str | None]
"""A ref, and one of its files or None for all of them together."""

State = tuple[str, int, int | None]
"""Phase, bytes done, bytes in all where they are known."""

_REDRAW_S = 0.1
_LOG_S = 10.0
_SMOOTHING = 0.2  # weight of the newest rate; a steady figure is easier to read than a true one
_MOST_LINES = 12


class ProgressMeter:
    """Turns reports into lines, few enough for where they go. Times are monotonic seconds."""

    def __init__(self, *, tty: bool) -> None:
        self._interval_s = _REDRAW_S if tty else _LOG_S
        self._phase: str | None = None
        self._shown_s = 0.0
        self._seen_s = 0.0
        self._seen_bytes = 0
        self._rate: float | None = None

    def line(self, label: str, state: State, now_s: float) -> str | None:
        """The line to show for this report; None when it is too soon for another."""
        phase, done_bytes, total_bytes = state
        changed = phase != self._phase
        if changed:
            self._begin(phase, done_bytes, now_s)
        complete = done_bytes == total_bytes
        if not (changed or complete) and now_s - self._shown_s < self._interval_s:
            return None
        self._measure(done_bytes, now_s)
        self._shown_s = now_s
        return f"{label}: {self._text(state)}"

    def _begin(self, phase: str, done_bytes: int, now_s: float) -> None:
        self._phase = phase
        self._seen_s, self._seen_bytes = now_s, done_bytes
        self._rate = None

    def _measure(self, done_bytes: int, now_s: float) -> None:
        elapsed_s = now_s - self._seen_s
        if elapsed_s <= 0:
            return
        rate = max(0.0, (done_bytes - self._seen_bytes) / elapsed_s)
        self._rate = rate if self._rate is None else self._rate + _SMOOTHING * (rate - self._rate)
        self._seen_s, self._seen_bytes = now_s, done_bytes

    def _text(self, state: State) -> str:
        phase, done, total = state
        if not done and not total:
            return phase
        parts = [about_bytes(done)]
        if total:
            parts = [f"{100 * done // total}%", f"{about_bytes(done)} of {about_bytes(total)}"]
        if self._rate:
            parts.append(f"{about_bytes(self._rate)}/s")
            if total and done < total:
                parts.append(f"{about_seconds((total - done) / self._rate)} left")
        return f"{phase} {', '.join(parts)}"


class Panel:
    """All downloads together: a block that is redrawn on a terminal, else lines one by one."""

    def __init__(self, *, tty: bool, width: int = 100) -> None:
        self._tty = tty
        self._width = width
        self._meters: dict[Key, ProgressMeter] = {}
        self._states: dict[Key, State] = {}
        self._lines: dict[Key, str] = {}
        self._drawn = 0

    def update(self, progress: Progress, now_s: float) -> str | None:
        """What to write for this report; None for nothing."""
        fresh = [line for key, state in _parts(progress) if (line := self._line(key, state, now_s))]
        if not fresh:
            return None
        return self._redrawn() if self._tty else "".join(f"{line}\n" for line in fresh)

    def cleared(self) -> str:
        """What removes the block."""
        text = f"\x1b[{self._drawn}F\x1b[J" if self._drawn else ""
        self._drawn = 0
        return text

    def _line(self, key: Key, state: State, now_s: float) -> str | None:
        if self._states.get(key) == state:
            return None
        self._states[key] = state
        meter = self._meters.setdefault(key, ProgressMeter(tty=self._tty))
        ref, name = key
        label = without_credentials(str(ref))
        if name is not None:
            label = f"  {name}" if self._tty else f"{label} {name}"
        line = meter.line(label, state, now_s)
        if line is not None:
            self._lines[key] = line
        return line

    def _redrawn(self) -> str:
        text = self.cleared()
        shown = [self._lines[key] for key in sorted(self._lines, key=_order) if self._is_open(key)]
        shown = [line[: self._width - 1] for line in shown[:_MOST_LINES]]
        self._drawn = len(shown)
        return text + "".join(f"{line}\n" for line in shown)

    def _is_open(self, key: Key) -> bool:
        """Files that are whole make room for the others."""
        phase, done_bytes, total_bytes = self._states[key]
        return key[1] is None or phase == "download" or done_bytes != total_bytes


def _order(key: Key) -> tuple[str, str]:
    return str(key[0]), key[1] or ""


def _parts(progress: Progress) -> Iterator[tuple[Key, State]]:
    yield (
        (progress.ref, None),
        (progress.phase, progress.done_bytes, progress.total_bytes),
    )
    for file in progress.files:
        yield (progress.ref, file.name), (file.phase, file.done_bytes, file.total_bytes)
