"""What a fetch says of itself while it runs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from pilotlight.core import ModelRef

FetchPhase = Literal["resolve", "download", "verify", "extract"]


@dataclass(frozen=True, slots=True)
class Progress:
    """How far one ref is; `total_bytes` is None while nobody has said it."""

    ref: ModelRef
    phase: FetchPhase
    done_bytes: int
    total_bytes: int | None


Report = Callable[[Progress], None]


@dataclass(frozen=True, slots=True)
class Reporter:
    """Tells `report`, if there is one, about `ref`. Call it on the event loop only."""

    ref: ModelRef
    report: Report | None

    def say(self, phase: FetchPhase, done_bytes: int, total_bytes: int | None) -> None:
        if self.report is not None:
            self.report(Progress(self.ref, phase, done_bytes, total_bytes))

    def counter(self, phase: FetchPhase, total_bytes: int | None) -> Callable[[int], None]:
        """`say` with everything but the bytes done filled in."""
        return lambda done_bytes: self.say(phase, done_bytes, total_bytes)
