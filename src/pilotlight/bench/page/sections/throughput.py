"""Throughput against latency: what more load gives, and what it takes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from pilotlight.bench.page.chart.lines import Limit, Point, Series, lines
from pilotlight.bench.page.durations import Unit, unit
from pilotlight.bench.page.elements import figure, section, side_by_side
from pilotlight.bench.slo import Slo
from pilotlight.bench.words.figure_rows import load_words
from pilotlight.bench.words.labels import Labelled
from pilotlight.planner.figures import milliseconds, number

_LATENCIES = (("TTFT", "ttft_ms"), ("TPOT", "tpot_ms"), ("end to end", "e2e_ms"))


def throughput(shown: Sequence[Labelled]) -> str:
    """Of two points and more: one is in the table."""
    if sum(len(each.report.stages) for each in shown) < 2:
        return ""
    charts = [_latency(shown, title, name) for title, name in _LATENCIES]
    return section("Throughput against latency", side_by_side(*charts, _goodput(shown)))


def _latency(shown: Sequence[Labelled], title: str, name: str) -> str:
    slo = next((each.report.slo for each in shown if each.report.slo), None)
    percentile = _percentile(shown, name)
    if percentile is None:
        return ""
    what = f"{title} p{percentile:g}"
    latencies = [
        stage.numbers.percentile(name, percentile) for each in shown for stage in each.report.stages
    ]
    axis = unit(found.value for found in latencies if found)
    drawing = lines(
        f"{what} against output tokens per second",
        [
            Series(each.name, each.look, tuple(_points(each, name, percentile, axis)))
            for each in shown
        ],
        x_label="output tokens/s",
        y_label=f"{what}, {axis.name}",
        limits=tuple(_limits(slo, name, axis)),
    )
    return figure(f"{what} against output tokens/s", drawing)


def _percentile(shown: Sequence[Labelled], name: str) -> float | None:
    """One for all points, so that they mean the same: which every report has for most stages.

    Other tools' files may have the 99th where they lack the 95th.
    """
    having = [each for each in shown if any(getattr(s.numbers, name) for s in each.report.stages)]
    for percentile in (95.0, 99.0, 90.0, 50.0):
        if having and all(_share(each, name, percentile) >= 0.5 for each in having):
            return percentile
    return None


def _share(shown: Labelled, name: str, percentile: float) -> float:
    stages = shown.report.stages
    return sum(stage.numbers.percentile(name, percentile) is not None for stage in stages) / len(
        stages
    )


def _points(shown: Labelled, name: str, percentile: float, axis: Unit) -> Iterator[Point]:
    """In order of the load: the line turns back where more of it gives less."""
    for stage in shown.report.stages:
        rate, latency = (
            stage.numbers.output_tokens_per_s,
            stage.numbers.percentile(name, percentile),
        )
        if rate is not None and latency is not None:
            words = (
                f"{load_words(stage.load)}: {number(rate.value)} output tokens/s, "
                f"{milliseconds(latency.value)}"
            )
            low, high = axis.of_bound(latency.low), axis.of_bound(latency.high)
            yield Point(rate.value, axis.of(latency.value), words, low, high)


def _limits(slo: Slo | None, name: str, axis: Unit) -> Iterator[Limit]:
    limit: float | None = getattr(slo, name) if slo else None
    if slo is not None and limit is not None:
        yield Limit(axis.of(limit), f"SLO {slo.name}: {milliseconds(limit)}")


def _goodput(shown: Sequence[Labelled]) -> str:
    series = [Series(each.name, each.look, tuple(_good(each))) for each in shown]
    drawing = lines(
        "Goodput against all requests answered, per second",
        series,
        x_label="requests/s answered",
        y_label="goodput, requests/s",
    )
    return figure("Goodput: requests/s that kept the service level", drawing)


def _good(shown: Labelled) -> Iterator[Point]:
    for stage in shown.report.stages:
        every, good = stage.numbers.requests_per_s, stage.numbers.goodput_per_s
        if every is not None and good is not None:
            words = f"{load_words(stage.load)}: {number(good.value)} of {number(every.value)}"
            yield Point(every.value, good.value, words, good.low, good.high)
