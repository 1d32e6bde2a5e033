"""What stands beside a run: a meter, prices, and somebody who looks on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from pilotlight.bench.load import Load
from pilotlight.bench.record import Record
from pilotlight.bench.run import Progress
from pilotlight.bench.slo import Slo

if TYPE_CHECKING:
    from pilotlight.bench.costs import Costs, Served
    from pilotlight.meter.energy import Energy
    from pilotlight.meter.idle import Idle
    from pilotlight.meter.meter import Meter


class View(Protocol):
    """Whoever looks on; none of these may block or raise."""

    def say(self, text: str) -> None: ...

    def stage(self, name: str, load: Load, slo: Slo | None = None) -> None: ...

    def on_record(self, record: Record) -> None: ...

    def on_tick(self, progress: Progress) -> None: ...

    def finished(self, line: str) -> None: ...


class Unseen:
    """Nobody looks on."""

    def say(self, text: str) -> None:
        pass

    def stage(self, name: str, load: Load, slo: Slo | None = None) -> None:
        pass

    def on_record(self, record: Record) -> None:
        pass

    def on_tick(self, progress: Progress) -> None:
        pass

    def finished(self, line: str) -> None:
        pass


@dataclass(frozen=True, slots=True, kw_only=True)
class Instruments:
    """None of them is needed. Whoever made the meter starts and stops it."""

    meter: Meter | None = None
    idle: Idle | None = None
    """What the machine took without the subject, to be subtracted."""

    price: Callable[[Served, Energy | None], Costs] | None = None
    view: View = field(default_factory=Unseen)
