"""A month of what was measured, billed by a platform's own rule."""

from __future__ import annotations

from collections.abc import Iterable

from pilotlight.bench.costs import Cost, Served, Way
from pilotlight.catalog.platform import Rentable
from pilotlight.planner.coldstart import ColdStart
from pilotlight.planner.cost.bill import Bill
from pilotlight.planner.cost.refusal import Demand, refusals
from pilotlight.planner.cost.rules import items
from pilotlight.planner.cost.usage import Span, Usage
from pilotlight.planner.traffic import MONTH_S

ALONE = 1.1
"""At once in the mean, up to which requests came one at a time."""


def refused(rentable: Rentable, served: Served, memory_bytes: int) -> tuple[str, ...]:
    """Why the platform wouldn't run it so; nothing where it would.

    That its image is small enough isn't looked at: a benchmark doesn't build one.
    """
    demand = Demand(
        memory_bytes=memory_bytes,
        image_bytes=0,
        request_s=served.request_s,
        output_tokens=served.output_tokens or 0.0,
        concurrency=1 if served.at_once <= ALONE else round(served.at_once),
        instances=1,
    )
    return refusals(rentable, demand)


def month(served: Served) -> Usage:
    """One instance that does day and night what it did in the run; it never stops, so it is never
    started."""
    requests = served.requests_per_s * MONTH_S
    busy_s = served.busy_share * MONTH_S
    return Usage(
        requests=requests,
        input_tokens=requests * (served.input_tokens or 0.0),
        output_tokens=requests * (served.output_tokens or 0.0),
        spans=(Span(served.request_s, requests),),
        busy_s=busy_s,
        busy_spans=served.busy_spans / served.seconds * MONTH_S,
        up_s=MONTH_S,
        cold_starts=0.0,
        waiting=0.0,
        standby_s=0.0,
        standby_busy_s=0.0,
        standby_busy_spans=0.0,
        peak_instances=1,
        work_load=1.0,
    )


def billed(rentable: Rentable, served: Served, kind: Way = "platform", note: str = "") -> Cost:
    """By the rule of `rentable`, as if it were as fast as what was measured."""
    usage = month(served)
    bill = Bill(
        items=items(rentable, usage, ColdStart(())),
        requests=usage.requests,
        input_tokens=usage.input_tokens,
        output_tokens=usage.output_tokens,
    )
    title = f"{rentable.offer.name} ({rentable.platform.title})"
    return of_month(
        served,
        bill.usd_per_month,
        kind=kind,
        name=rentable.offer.name,
        title=title,
        lines=bill.arithmetic,
        source=rentable.platform.source,
        as_of=rentable.as_of,
        note=note,
    )


def of_month(
    served: Served,
    usd_per_month: float,
    *,
    kind: Way,
    name: str,
    title: str,
    lines: Iterable[str],
    source: str,
    as_of: str | None,
    note: str = "",
) -> Cost:
    """The month shared out over its requests and tokens, with the arithmetic of that."""
    requests = served.requests_per_s * MONTH_S
    each = usd_per_month / requests
    arithmetic = [*lines, f"${usd_per_month:,.4g} a month / {requests:,.6g} requests = ${each:.4g}"]
    return Cost(
        kind=kind,
        name=name,
        title=title,
        usd_per_request=each,
        usd_per_output_mtok=per_mtok(each, served.output_tokens),
        usd_per_total_mtok=per_mtok(each, served.total_tokens),
        usd_per_month=usd_per_month,
        arithmetic=(*arithmetic, *_of_tokens(each, served)),
        source=source,
        as_of=as_of,
        note=note,
    )


def per_mtok(usd_per_request: float, tokens: float | None) -> float | None:
    return usd_per_request / tokens * 1e6 if tokens else None


def _of_tokens(each: float, served: Served) -> Iterable[str]:
    for tokens, what in ((served.output_tokens, "output"), (served.total_tokens, "total")):
        usd = per_mtok(each, tokens)
        if usd is not None:
            yield f"${each:.4g} a request / {tokens:,.5g} {what} tokens × 10⁶ = ${usd:,.4g}"
