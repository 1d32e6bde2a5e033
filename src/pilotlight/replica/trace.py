"""The phases of one cold start, as they happen."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager

from pilotlight.core import ColdStart, Phase


class Trace:
    """Collects phases on the caller's clock; `finish` makes the record."""

    def __init__(
        self,
        model: str,
        replica: str,
        rung: str,
        now: Callable[[], float],
        before: Iterable[Phase] = (),
    ) -> None:
        self.model = model
        self.replica = replica
        self.rung = rung
        self._now = now
        self._phases: list[Phase] = list(before)
        self._open: tuple[str, float] | None = None

    @contextmanager
    def phase(self, name: str) -> Iterator[None]:
        self.begin(name)
        try:
            yield
        finally:
            self.end()

    def begin(self, name: str) -> None:
        self.end()
        self._open = (name, self._now())

    def end(self) -> None:
        if self._open is not None:
            name, started_s = self._open
            self._phases.append(Phase(name, started_s, self._now()))
            self._open = None

    def precede(self, phases: Iterable[Phase]) -> None:
        """Put what happened before the claim, or beside what happened since, at the front."""
        self._phases[:0] = phases

    def drop(self) -> None:
        """Forget the phase under way: what it was to measure never came."""
        self._open = None

    def finish(self, outcome: str) -> ColdStart:
        self.end()
        return ColdStart(self.model, self.replica, self.rung, tuple(self._phases), outcome)
