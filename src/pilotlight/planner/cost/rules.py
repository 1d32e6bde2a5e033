"""The platforms' billing rules, one function each: a month's use in, the lines of its bill out."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from pilotlight.catalog.billing import (
    Boost,
    Free,
    InstanceBilling,
    MachineBilling,
    OwnedBilling,
    RequestBilling,
    Tier,
)
from pilotlight.catalog.platform import Offer, Rentable
from pilotlight.meter.rating import IDLE_SHARE
from pilotlight.planner.coldstart import ColdStart
from pilotlight.planner.cost.bill import Item
from pilotlight.planner.cost.usage import Span, Usage
from pilotlight.planner.traffic import HOURS_PER_MONTH, MONTH_S


def items(rentable: Rentable, usage: Usage, cold: ColdStart) -> tuple[Item, ...]:
    """All lines that aren't nothing."""
    rule = _RULES[type(rentable.platform.billing)]
    lines = rule(rentable.platform.billing, rentable.offer, usage, cold)
    return tuple(line for line in lines if line.quantity and line.usd_per_unit)


def rounded_up(seconds: float, granularity_s: float) -> float:
    """The next whole number of `granularity_s`; what is one already stays, whatever its digits."""
    return math.ceil(round(seconds / granularity_s, 6)) * granularity_s


def _rounded_requests(spans: Iterable[Span], granularity_s: float) -> float:
    return sum(span.count * rounded_up(span.seconds, granularity_s) for span in spans)


def _by_request(
    billing: RequestBilling, offer: Offer, usage: Usage, cold: ColdStart
) -> Iterable[Item]:
    asked_s, ready_s = _answering_s(billing, offer, usage)
    start_s = rounded_up(cold.billed_s, billing.granularity_s) if billing.start_billed else 0.0
    starting_s = usage.cold_starts * start_s
    answering_s = asked_s + ready_s * _at_full_rate(billing)
    yield Item("requests", usage.requests / 1e6, "M requests", billing.usd_per_million_requests)
    yield from _active(billing, offer, "answering", answering_s)
    yield from _active(billing, offer, "starting", starting_s, answering_s)
    yield from _boost(billing.boost, billing.vcpu_usd_per_s, offer, usage, start_s)
    yield from _standby(billing, offer, usage, ready_s)
    disk_gib = max(0.0, offer.disk_gib - billing.disk_included_gib)
    disk_s = (asked_s + ready_s + starting_s) * disk_gib
    yield Item("disk", disk_s, "GiB-s", billing.disk_gib_usd_per_s)


def _answering_s(billing: RequestBilling, offer: Offer, usage: Usage) -> tuple[float, float]:
    """Billed seconds on instances started for it, and on those that stood by."""
    granularity_s = billing.granularity_s
    if billing.span == "request":
        total_s = _rounded_requests(usage.spans, granularity_s)
        both_s = usage.busy_s + usage.standby_busy_s
        ready = usage.standby_busy_s / both_s if both_s else 0.0
        return total_s * (1 - ready), total_s * ready
    # A busy time ends anywhere between two ticks: half of one is lost in the mean.
    lost_s = granularity_s / 2
    return (
        usage.busy_s + usage.busy_spans * lost_s,
        usage.standby_busy_s + usage.standby_busy_spans * lost_s,
    )


def _at_full_rate(billing: RequestBilling) -> float:
    """1 where instances that stood by answer at the rate of all others."""
    standby = billing.standby
    return 0.0 if standby and standby.busy_gib_usd_per_s is not None else 1.0


def _active(
    billing: RequestBilling, offer: Offer, label: str, seconds: float, before_s: float = 0.0
) -> Iterable[Item]:
    """`before_s` are billed already: a month has each tier once."""
    yield Item(f"{label}: vCPU", seconds * offer.vcpus, "vCPU-s", billing.vcpu_usd_per_s)
    begin, end = before_s * offer.memory_gib, (before_s + seconds) * offer.memory_gib
    for amount, rate in _tiered(begin, end, billing.gib_usd_per_s, billing.tiers):
        yield Item(f"{label}: memory", amount, "GiB-s", rate)


def _tiered(
    begin: float, end: float, usd: float, tiers: tuple[Tier, ...]
) -> Iterable[tuple[float, float]]:
    """How much of what a month has from `begin` to `end` at which rate, the first tier at `usd`."""
    bounds = [0.0, *(tier.above_gib_s for tier in tiers), math.inf]
    rates = [usd, *(tier.gib_usd_per_s for tier in tiers)]
    for rate, low, high in zip(rates, bounds, bounds[1:], strict=False):
        if min(end, high) > max(begin, low):
            yield min(end, high) - max(begin, low), rate


def _boost(
    boost: Boost | None, vcpu_usd_per_s: float, offer: Offer, usage: Usage, start_s: float
) -> Iterable[Item]:
    """The vCPUs beyond the offer's own, from the start to so long after it."""
    if boost is not None:
        more = boost.vcpus(offer.vcpus) - offer.vcpus
        seconds = usage.cold_starts * (start_s + boost.after_s)
        yield Item("startup boost", more * seconds, "vCPU-s", vcpu_usd_per_s)


def _standby(billing: RequestBilling, offer: Offer, usage: Usage, ready_s: float) -> Iterable[Item]:
    standby = billing.standby
    if standby is None or not usage.standby_s:
        return
    seconds = usage.standby_s - (0.0 if standby.while_busy else min(ready_s, usage.standby_s))
    seconds = rounded_up(seconds, standby.granularity_s)
    yield Item("standby: vCPU", seconds * offer.vcpus, "vCPU-s", standby.vcpu_usd_per_s)
    yield Item("standby: memory", seconds * offer.memory_gib, "GiB-s", standby.gib_usd_per_s)
    if standby.busy_gib_usd_per_s is not None:
        gib_s = ready_s * offer.memory_gib
        yield Item("standby: answering", gib_s, "GiB-s", standby.busy_gib_usd_per_s)


def _by_instance(
    billing: InstanceBilling, offer: Offer, usage: Usage, cold: ColdStart
) -> Iterable[Item]:
    start_s = cold.billed_s if billing.start_billed else 0.0
    up_s = _lives_s(usage, start_s, billing.granularity_s, billing.minimum_s)
    idle_s = usage.standby_s - usage.standby_busy_s
    reduced = billing.idle_vcpu_usd_per_s is not None and offer.gpu is None
    full_s = up_s + usage.standby_s - (idle_s if reduced else 0.0)
    total_s = up_s + usage.standby_s
    millions = usage.requests / 1e6
    yield Item("requests", millions, "M requests", billing.usd_per_million_requests)
    yield Item("vCPU", full_s * offer.vcpus, "vCPU-s", billing.vcpu_usd_per_s)
    if reduced:
        rate = billing.idle_vcpu_usd_per_s or 0.0
        yield Item("vCPU, idle", idle_s * offer.vcpus, "vCPU-s", rate)
    yield Item("memory", total_s * offer.memory_gib, "GiB-s", billing.gib_usd_per_s)
    yield Item("GPU", total_s * offer.gpus, "GPU-s", offer.gpu_usd_per_s or 0.0)
    yield from _boost(billing.boost, billing.vcpu_usd_per_s, offer, usage, start_s)


def _lives_s(usage: Usage, start_s: float, granularity_s: float, minimum_s: float) -> float:
    """Billed seconds of all instances that came and went: each to the tick, none too short."""
    if not usage.cold_starts:
        return usage.up_s
    life_s = usage.up_s / usage.cold_starts + start_s + granularity_s / 2
    return usage.cold_starts * max(life_s, minimum_s)


def _by_machine(
    billing: MachineBilling, offer: Offer, usage: Usage, cold: ColdStart
) -> Iterable[Item]:
    up_s = _lives_s(usage, cold.billed_s, billing.granularity_s, billing.minimum_s)
    hours = (up_s + usage.standby_s) / 3600
    yield Item("machines", hours, "h", offer.usd_per_hour or 0.0)
    # A stopped machine keeps its disk.
    disks = offer.disk_gib * usage.peak_instances
    yield Item("disk", disks, "GiB-months", billing.disk_usd_per_gib_month)


def _by_owner(billing: OwnedBilling, offer: Offer, usage: Usage, cold: ColdStart) -> Iterable[Item]:
    # It is there and draws power whether or not anybody asks: starts change nothing.
    del cold
    machines = usage.peak_instances
    months = (offer.years or 1.0) * 12
    yield Item("machines", machines, "machine-months", (offer.capital_usd or 0.0) / months)
    watts = mean_w(offer, usage) * billing.overhead
    yield Item("power", machines * watts / 1000 * HOURS_PER_MONTH, "kWh", billing.usd_per_kwh)
    yield Item("place and hands", machines, "machine-months", billing.usd_per_month)


def mean_w(offer: Offer, usage: Usage) -> float:
    """Of one machine over the month: idle at its least, with the cube of its load above."""
    load_w = offer.load_w or 0.0
    idle_w = IDLE_SHARE * load_w if offer.idle_w is None else offer.idle_w
    busy_s = (usage.busy_s + usage.standby_busy_s) / usage.peak_instances
    return idle_w + (load_w - idle_w) * min(1.0, busy_s / MONTH_S) * usage.work_load**3


def free_items(rentable: Rentable, lines: Iterable[Item]) -> tuple[Item, ...]:
    """What an account that runs nothing else has back of those lines."""
    free: Free | None = getattr(rentable.platform.billing, "free", None)
    if free is None:
        return ()
    back: list[Item] = []
    for unit, amount in (
        ("M requests", free.requests / 1e6),
        ("vCPU-s", free.vcpu_s),
        ("GiB-s", free.gib_s),
    ):
        back.extend(_back(unit, amount, lines))
    return tuple(back)


def _back(unit: str, amount: float, lines: Iterable[Item]) -> Iterable[Item]:
    """The free amount goes to the first lines of its unit; standby and disks never have any."""
    for line in lines:
        free_kind = not line.label.startswith(("standby", "disk", "vCPU, idle"))
        if line.unit == unit and free_kind and amount > 0:
            taken = min(amount, line.quantity)
            amount -= taken
            yield Item(f"free: {line.label}", -taken, unit, line.usd_per_unit)


_RULES: Mapping[type, Callable[[Any, Offer, Usage, ColdStart], Iterable[Item]]] = {
    RequestBilling: _by_request,
    InstanceBilling: _by_instance,
    MachineBilling: _by_machine,
    OwnedBilling: _by_owner,
}
