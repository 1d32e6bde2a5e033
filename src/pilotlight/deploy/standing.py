"""How a deployment stands: what its platform says, what it costs, how fast it was measured."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from pilotlight.bench.costs import Cost
from pilotlight.bench.report import Report, Stage
from pilotlight.catalog.catalog import Catalog
from pilotlight.deploy.costs import Hourly, hourly
from pilotlight.deploy.release import Release
from pilotlight.deploy.rented import rented
from pilotlight.deploy.resolve import copies
from pilotlight.deploy.target import Status, Target
from pilotlight.metrics import Spread


@dataclass(frozen=True, slots=True, kw_only=True)
class Speed:
    """At one load, and what tokens cost at it. None is what nobody measured or priced."""

    load: str
    total_tokens_per_s: float | None = None
    output_tokens_per_s: float | None = None
    usd_per_total_mtok: float | None = None
    """For a million tokens, prompt and output, with the instance as busy as in the run."""

    usd_per_output_mtok: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    target: str
    name: str
    status: Status
    hourly: Hourly | None = None
    """None where nobody knows what such a size costs there."""

    measured_at: str | None = None
    measured: tuple[Speed, ...] = ()
    cold_start_ms: float | None = None
    predicted: Speed | None = None
    """Of the plan, with what its own traffic leaves idle; None without one."""


def standing(
    target: Target, release: Release[Any], status: Status, catalog: Catalog, last: Report | None
) -> Standing:
    """Pure: `status` is what the platform said, `last` the latest report of this name."""
    rentable = rented(release, target.platform(release), catalog)
    cold = last.subject.cold_start if last else None
    return Standing(
        target=target.name,
        name=release.name,
        status=status,
        hourly=hourly(release, rentable) if rentable else None,
        measured_at=last.made_at if last else None,
        measured=tuple(_measured(last)) if last else (),
        cold_start_ms=cold.first_token_ms if cold else None,
        predicted=_predicted(release),
    )


def _measured(report: Report) -> Iterator[Speed]:
    for stage in report.stages:
        numbers = stage.numbers
        total, output = numbers.total_tokens_per_s, numbers.output_tokens_per_s
        way = _platform_way(stage)
        yield Speed(
            load=stage.name,
            total_tokens_per_s=total.value if total else None,
            output_tokens_per_s=output.value if output else None,
            usd_per_total_mtok=way.usd_per_total_mtok if way else None,
            usd_per_output_mtok=way.usd_per_output_mtok if way else None,
        )


def _platform_way(stage: Stage) -> Cost | None:
    ways = stage.costs.ways if stage.costs else ()
    return next((way for way in ways if way.kind in ("platform", "own")), None)


def _predicted(release: Release[Any]) -> Speed | None:
    if release.plan is None:
        return None
    plan, each = release.plan, copies(release.plan.deployment)
    return Speed(
        load=plan.name,
        total_tokens_per_s=_times(plan.metrics.total_tokens_per_s, each),
        output_tokens_per_s=_times(plan.metrics.output_tokens_per_s, each),
        usd_per_output_mtok=plan.money.usd_per_mtok,
    )


def _times(found: Spread | None, factor: int) -> float | None:
    return None if found is None else found.median * factor
