"""How platforms charge: one rule a class, told apart by `kind` in a data file.

Rates are dollars for one second of one vCPU or one GiB, as the sellers print them; where a seller
writes "GB" for memory it is counted in GiB, as all of them do.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from pilotlight.catalog.row import Bounds, NotNegative, Positive

Overhead = Annotated[float, Bounds(at_least=1)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Free:
    """What an account has free each month, over everything that it runs there."""

    requests: NotNegative = 0
    vcpu_s: NotNegative = 0
    gib_s: NotNegative = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Boost:
    """More vCPUs than asked for while an instance starts and `after_s` longer; they are billed."""

    factor: Positive
    least_vcpus: Positive
    most_vcpus: Positive
    after_s: NotNegative

    def vcpus(self, vcpus: float) -> float:
        """What an instance of so many has while it starts."""
        return max(vcpus, min(self.most_vcpus, max(self.least_vcpus, self.factor * vcpus)))


@dataclass(frozen=True, slots=True, kw_only=True)
class Standby:
    """Instances kept ready though nobody asks."""

    vcpu_usd_per_s: NotNegative = 0
    gib_usd_per_s: NotNegative
    while_busy: bool = False
    """Whether these are due in the time, too, in which they answer."""

    busy_gib_usd_per_s: NotNegative | None = None
    """What they cost on top in that time; None: what any other instance does."""

    granularity_s: Positive = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Tier:
    """A lower rate for what a month has above so much."""

    above_gib_s: Positive
    gib_usd_per_s: NotNegative


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestBilling:
    """Only the time in which there are requests is paid for, and the starts."""

    kind: Literal["request"]
    span: Literal["request", "busy"]
    """What is measured and rounded up: every request, or an instance's time with at least one."""

    granularity_s: Positive
    vcpu_usd_per_s: NotNegative = 0
    gib_usd_per_s: NotNegative
    usd_per_million_requests: NotNegative
    tiers: tuple[Tier, ...] = ()
    start_billed: bool = True
    boost: Boost | None = None
    standby: Standby | None = None
    disk_included_gib: NotNegative = 0
    disk_gib_usd_per_s: NotNegative = 0
    free: Free | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class InstanceBilling:
    """An instance is paid for from its start to its end, busy or idle; GPUs by the offer."""

    kind: Literal["instance"]
    granularity_s: Positive
    minimum_s: NotNegative = 0
    vcpu_usd_per_s: NotNegative
    gib_usd_per_s: NotNegative
    usd_per_million_requests: NotNegative = 0
    idle_vcpu_usd_per_s: NotNegative | None = None
    """Of the minimum instances while idle; None: as ever. GPUs never have such a rate."""

    start_billed: bool = True
    boost: Boost | None = None
    free: Free | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class MachineBilling:
    """A virtual machine by the second, at its hourly price; a stopped one keeps its disk."""

    kind: Literal["machine"]
    granularity_s: Positive
    minimum_s: NotNegative = 0
    disk_usd_per_gib_month: NotNegative = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnedBilling:
    """A machine that was bought: its price over its years, and the power that it draws."""

    kind: Literal["owned"]
    usd_per_kwh: NotNegative
    overhead: Overhead = 1.0
    """Power drawn at the meter for each watt of the machine: cooling, losses (PUE)."""

    usd_per_month: NotNegative = 0
    """Rack, network, hands."""


Billing = RequestBilling | InstanceBilling | MachineBilling | OwnedBilling
