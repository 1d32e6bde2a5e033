"""How far a download is, as lines for a terminal or for a log."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pilotlight.quantities import about_bytes, about_seconds
from pilotlight.redact import without_credentials

if TYPE_CHECKING:
    from pilotlight.store.progress import Progress

_REDRAW_S = 0.1
_LOG_S = 10.0
_SMOOTHING = 0.2  # weight of the newest rate; a steady figure is easier to read than a true one


class ProgressMeter:
    """Turns reports into lines, few enough for where they go. Times are monotonic seconds."""

    def __init__(self, *, tty: bool) -> None:
        self._interval_s = _REDRAW_S if tty else _LOG_S
        self._phase: str | None = None
        self._shown_s = 0.0
        self._seen_s = 0.0
        self._seen_bytes = 0
        self._rate: float | None = None

    def line(self, progress: Progress, now_s: float) -> str | None:
        """The line to show for this report; None when it is too soon for another."""
        changed = progress.phase != self._phase
        if changed:
            self._begin(progress, now_s)
        complete = progress.done_bytes == progress.total_bytes
        if not (changed or complete) and now_s - self._shown_s < self._interval_s:
            return None
        self._measure(progress.done_bytes, now_s)
        self._shown_s = now_s
        return self._text(progress)

    def _begin(self, progress: Progress, now_s: float) -> None:
        self._phase = progress.phase
        self._seen_s, self._seen_bytes = now_s, progress.done_bytes
        self._rate = None

    def _measure(self, done_bytes: int, now_s: float) -> None:
        elapsed_s = now_s - self._seen_s
        if elapsed_s <= 0:
            return
        rate = (done_bytes - self._seen_bytes) / elapsed_s
        self._rate = rate if self._rate is None else self._rate + _SMOOTHING * (rate - self._rate)
        self._seen_s, self._seen_bytes = now_s, done_bytes

    def _text(self, progress: Progress) -> str:
        ref = without_credentials(str(progress.ref))
        done, total = progress.done_bytes, progress.total_bytes
        if not done and not total:
            return f"{ref}: {progress.phase}"
        parts = [about_bytes(done)]
        if total:
            parts = [f"{100 * done // total}%", f"{about_bytes(done)} of {about_bytes(total)}"]
        if self._rate:
            parts.append(f"{about_bytes(self._rate)}/s")
            if total and done < total:
                parts.append(f"{about_seconds((total - done) / self._rate)} left")
        return f"{ref}: {progress.phase} {', '.join(parts)}"
