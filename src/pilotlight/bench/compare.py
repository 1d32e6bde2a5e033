"""Two reports beside each other: ratios with bounds, and "no difference" where there is none."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

from pilotlight.bench.figures import Estimate
from pilotlight.bench.likeness import cautions, pairs, refuse_unlike
from pilotlight.bench.report import Report, Stage
from pilotlight.bench.statistics.ratios import paired, ratio

Better = Literal["higher", "lower"]
Verdict = Literal["better", "worse", "no difference", "can't tell"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One figure of one load. Ratio and verdict are of b against a."""

    stage: str
    figure: str
    """As the report names it, such as ``output_tokens_per_s`` or ``ttft_ms.p95``."""

    title: str
    unit: str
    better: Better
    a: Estimate
    b: Estimate
    ratio: Estimate | None
    verdict: Verdict
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    a: str
    b: str
    rows: tuple[Row, ...]
    cautions: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Figure:
    name: str
    title: str
    unit: str
    better: Better
    of: Callable[[Stage], Estimate | None]


def compare(a: Report, b: Report, *, rounds: bool = False) -> Comparison:
    """b against a, stage by stage under one load.

    With `rounds` the n-th run of one was made beside the n-th of the other: then the ratio is that
    of pairs, in which what both felt cancels. It takes two runs of each.

    Raises:
        BenchError: they share no load, or were asked different work.
    """
    refuse_unlike(a, b)
    rows = [
        row
        for ours, theirs in pairs(a, b)
        for figure in FIGURES
        if (row := _row(figure, ours, theirs, rounds)) is not None
    ]
    return Comparison(
        a=a.subject.name, b=b.subject.name, rows=tuple(rows), cautions=tuple(cautions(a, b))
    )


def _row(figure: Figure, a: Stage, b: Stage, rounds: bool) -> Row | None:
    ours, theirs = figure.of(a), figure.of(b)
    if ours is None or theirs is None:
        return None
    found = (_by_rounds(figure, a, b) if rounds else None) or ratio(theirs, ours)
    verdict = verdict_of(found, figure.better)
    return Row(
        stage=a.name, figure=figure.name, title=figure.title, unit=figure.unit,
        better=figure.better, a=ours, b=theirs, ratio=found, verdict=verdict,
        text=_text(found, verdict),
    )  # fmt: skip


def _by_rounds(figure: Figure, a: Stage, b: Stage) -> Estimate | None:
    """None where runs aren't pairs; a median of latency is what a run has of it."""
    name = figure.name.removesuffix(".p50")
    ours, theirs = (_above_zero(stage.by_run.get(name, ())) for stage in (a, b))
    if len(ours) != len(theirs) or len(ours) < 2:
        return None
    return paired(theirs, ours)


def _above_zero(values: tuple[float | None, ...]) -> list[float]:
    found = [value for value in values if value is not None and value > 0]
    return found if len(found) == len(values) else []


def verdict_of(found: Estimate | None, better: Better) -> Verdict:
    """A bound that nobody knows is taken to hold 1: it can't tell for either side."""
    if found is None or (found.low is None and found.high is None):
        return "can't tell"
    more = found.low is not None and found.low > 1
    less = found.high is not None and found.high < 1
    if not more and not less:
        return "can't tell" if found.low is None or found.high is None else "no difference"
    return "better" if more == (better == "higher") else "worse"


def _text(found: Estimate | None, verdict: Verdict) -> str:
    if found is None:
        return verdict
    low, high = ("?" if bound is None else f"{bound:.3g}" for bound in (found.low, found.high))
    return f"{verdict}: {found.value:.3g}x [{low}, {high}]"


def _rates() -> Iterator[Figure]:
    titles = {
        "output_tokens_per_s": ("output rate", "tokens/s"),
        "total_tokens_per_s": ("total rate", "tokens/s"),
        "requests_per_s": ("requests", "1/s"),
        "goodput_per_s": ("goodput", "1/s"),
        "slo_share": ("met the service level", ""),
    }
    for name, (title, unit) in titles.items():
        yield Figure(name, title, unit, "higher", _number(name))


def _latencies() -> Iterator[Figure]:
    titles: Mapping[str, str] = {
        "ttft_ms": "TTFT", "itl_ms": "ITL", "tpot_ms": "TPOT", "e2e_ms": "end to end",
    }  # fmt: skip
    for name, title in titles.items():
        for at in (50, 95, 99):
            yield Figure(f"{name}.p{at}", f"{title} p{at}", "ms", "lower", _percentile(name, at))


def _number(name: str) -> Callable[[Stage], Estimate | None]:
    def of(stage: Stage) -> Estimate | None:
        return stage.numbers.rate(name)

    return of


def _percentile(name: str, at: float) -> Callable[[Stage], Estimate | None]:
    def of(stage: Stage) -> Estimate | None:
        return stage.numbers.percentile(name, at)

    return of


def _joules(stage: Stage) -> Estimate | None:
    """Quartiles over windows are no bounds of a median: only what they say of it is kept."""
    found = stage.metrics.joules_per_output_token
    return None if found is None else Estimate(found.median)


FIGURES = (
    *_rates(),
    *_latencies(),
    Figure("joules_per_output_token", "energy", "J/token", "lower", _joules),
)
