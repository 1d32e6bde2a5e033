"""A glance as lines of text: several that a terminal redraws, or one for a log."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from pilotlight.bench.glance import Glance
from pilotlight.bench.words.figure_rows import load_words
from pilotlight.bench.words.text_table import printable
from pilotlight.planner.figures import UNKNOWN, milliseconds, number, percent

_BAR = 24


def frame(glance: Glance, width: int) -> list[str]:
    """Each line is cut to `width`, so that redrawing finds as many as it wrote."""
    return [printable(line)[:width] for line in _lines(glance)]


def log_line(glance: Glance) -> str:
    """All that matters in one line, for a file."""
    latencies = (
        f"{name} p50 {milliseconds(_at(values, 0.5))}, p95 {milliseconds(_at(values, 0.95))}"
        for name, values in (("TTFT", glance.ttft_ms), ("TPOT", glance.tpot_ms))
    )
    words = [f"{clock(glance.elapsed_s)} {glance.name}", _answers(glance), _rates(glance)]
    return printable("; ".join([*words, *latencies]))


def clock(seconds: float) -> str:
    """``0:42``, ``12:05``, ``1:00:00``."""
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def _lines(glance: Glance) -> Iterator[str]:
    named = dict.fromkeys((glance.name, load_words(glance.load), clock(glance.elapsed_s)))
    yield f"{' · '.join(named)}{_bar(glance)}"
    yield f"  {_answers(glance)}"
    yield f"  {_rates(glance)}"
    slo = glance.slo
    yield _latency("TTFT", glance.ttft_ms, slo.ttft_ms if slo else None)
    yield _latency("TPOT", glance.tpot_ms, slo.tpot_ms if slo else None)
    if glance.kept is not None:
        yield f"  {percent(glance.kept)} kept the service level"


def _bar(glance: Glance) -> str:
    if glance.share is None:
        return ""
    full = round(glance.share * _BAR)
    bar = "█" * full + "░" * (_BAR - full)
    return f" {bar} {glance.share:.0%}"


def _answers(glance: Glance) -> str:
    errors = ", ".join(f"{count} {kind}" for kind, count in sorted(glance.errors.items()))
    words = [f"{glance.done:,} answered"]
    words += [f"{glance.warmup:,} of them warm-up"] if glance.warmup else []
    words += [f"{glance.in_flight:,} in flight"]
    words += [f"{glance.waiting:,} held back"] if glance.waiting else []
    return ", ".join([*words, f"errors: {errors}" if errors else "no errors"])


def _rates(glance: Glance) -> str:
    requests, tokens = number(glance.requests_per_s), number(glance.output_tokens_per_s)
    late = milliseconds(glance.lag_ms) if glance.lag_ms is not None else UNKNOWN
    return f"{requests} requests/s, {tokens} output tokens/s; sent {late} after due"


def _latency(name: str, values: Sequence[float], limit: float | None) -> str:
    shown = f"  {name}  p50 {milliseconds(_at(values, 0.5))}  p95 {milliseconds(_at(values, 0.95))}"
    return f"{shown}  (limit {milliseconds(limit)})" if limit is not None else shown


def _at(values: Sequence[float], share: float) -> float | None:
    return values[min(int(share * len(values)), len(values) - 1)] if values else None
