"""How far an install is, as lines for a terminal or for a log."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pilotlight.quantities import about_bytes, about_seconds

if TYPE_CHECKING:
    from pilotlight.engines.environments.progress import Progress

_REDRAW_S = 0.1
_LOG_S = 10.0


class StepMeter:
    """Turns reports into lines, few enough for where they go. Times are monotonic seconds."""

    def __init__(self, *, tty: bool) -> None:
        self._interval_s = _REDRAW_S if tty else _LOG_S
        self._number = 0
        self._began_s = 0.0
        self._shown_s = 0.0

    def line(self, progress: Progress, now_s: float) -> str | None:
        """The line to show for this report; None when it is too soon for another."""
        changed = progress.number != self._number
        if changed:
            self._number, self._began_s = progress.number, now_s
        elif now_s - self._shown_s < self._interval_s:
            return None
        self._shown_s = now_s
        spent_s = now_s - self._began_s
        spent = f", {about_seconds(spent_s)}" if spent_s >= 1 else ""
        return f"{progress.number}/{progress.steps} {progress.step}{_place(progress)}{spent}"


def _place(progress: Progress) -> str:
    parts = []
    if progress.done is not None:
        parts.append(f"{progress.done} of {progress.total}" if progress.total else "")
    if progress.item:
        parts.append(progress.item + _bytes(progress))
    return "".join(f", {part}" for part in parts if part)


def _bytes(progress: Progress) -> str:
    if progress.item_bytes is None:
        return ""
    total = progress.item_total_bytes
    of = f" of {about_bytes(total)}" if total else ""
    return f" {about_bytes(progress.item_bytes)}{of}"
