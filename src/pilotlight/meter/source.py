"""The seam: something that knows what devices of this machine draw."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from pilotlight.meter.energy import DeviceKind, Method
from pilotlight.metrics import EnergySource


@dataclass(frozen=True, slots=True, kw_only=True)
class Device:
    """One thing that is metered, and how its readings are to be taken."""

    name: str
    kind: DeviceKind
    title: str
    source: EnergySource
    method: Method
    counts_per_j: float = 1.0
    wraps_at: int | None = None
    """The count after which its counter begins again at 0; None where that never comes."""

    most_w: float | None = None
    """No true reading is above it: a counter that seems to have grown faster began anew."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """What a device said at one moment. None: it didn't say."""

    count: int | None = None
    watts: float | None = None
    """Now; of a rating, in the mean since the reading before."""

    temperature_c: float | None = None
    clock_mhz: float | None = None


class PowerSource(Protocol):
    """Reads some devices of one kind. Called from one thread at a time.

    A device that fails gives an empty reading, and `read` never raises for it: a meter goes on.
    """

    @property
    def devices(self) -> tuple[Device, ...]: ...

    def read(self) -> tuple[Reading, ...]:
        """One for each of `devices`, in their order. May block for some milliseconds."""

    def close(self) -> None: ...


@dataclass(frozen=True, slots=True)
class Opened:
    """What a kind of source found here: a source, or notes on why there is none, or both."""

    source: PowerSource | None = None
    notes: tuple[str, ...] = ()
