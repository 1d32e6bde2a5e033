"""As the starting serverless study priced: a run's seconds at its unit prices, over all tokens."""

from __future__ import annotations

from collections.abc import Iterator

from pilotlight.bench.costs import Cost, Served
from pilotlight.bench.pricing.asked import Container
from pilotlight.bench.pricing.billing import per_mtok
from pilotlight.planner.cost.study import CLOUD_RUN, LAMBDA, StudyRow
from pilotlight.planner.traffic import MONTH_S


def study_costs(served: Served, container: Container) -> tuple[Cost, ...]:
    """No requests, no rounding and no cold start are in it. Lambda's vCPUs come with its memory."""
    return tuple(_priced(row, served, container) for row in (LAMBDA, CLOUD_RUN))


def _priced(row: StudyRow, served: Served, container: Container) -> Cost:
    usd_per_s = container.vcpus * row.vcpu_usd_per_s + container.memory_gib * row.gib_usd_per_s
    each = usd_per_s / served.requests_per_s
    return Cost(
        kind="study",
        name=f"study-{row.platform.lower().replace(' ', '-')}",
        title=f"{row.platform}, as the serverless study priced it",
        usd_per_request=each,
        usd_per_output_mtok=per_mtok(each, served.output_tokens),
        usd_per_total_mtok=per_mtok(each, served.total_tokens),
        usd_per_month=usd_per_s * MONTH_S,
        arithmetic=tuple(_arithmetic(row, served, container, usd_per_s)),
        source="the serverless study's unit prices",
        note="the run's seconds alone, busy or not, as if the platform were as fast as what was "
        "measured",
    )


def _arithmetic(
    row: StudyRow, served: Served, container: Container, usd_per_s: float
) -> Iterator[str]:
    vcpus = f"{container.vcpus:g} vCPU × ${row.vcpu_usd_per_s:.6f} + " if row.vcpu_usd_per_s else ""
    yield f"{vcpus}{container.memory_gib:g} GB × ${row.gib_usd_per_s:.8f} = ${usd_per_s:.8f}/s"
    if served.total_tokens is not None:
        rate = served.total_tokens * served.requests_per_s
        usd = usd_per_s / rate * 1e6
        yield f"${usd_per_s:.8f}/s / {rate:,.5g} total tokens/s × 10⁶ = ${usd:,.4g}"
