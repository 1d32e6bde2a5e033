"""How it was measured: enough to do it again, and to see what the figures leave out."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from pilotlight.bench.page.elements import definitions, folded, section, table
from pilotlight.bench.report import Report, Stage, Tested
from pilotlight.bench.told import machine_words, slo_words
from pilotlight.bench.words.figure_rows import load_words
from pilotlight.bench.words.labels import Labelled
from pilotlight.planner.figures import milliseconds, number
from pilotlight.quantities import about_bytes

DEFINITIONS = (
    ("TTFT", "from when a request was due until its first token; not from when it was sent"),
    ("TPOT", "after the first token, over the tokens after it, as the server counts them"),
    ("ITL", "gaps between reads over the tokens that each brought"),
    ("output and total tokens/s", "answers alone, and answers with their prompts: two figures"),
    ("the study's TPS", "total tokens over the wall time of the whole run"),
    ("goodput", "requests per second that kept the service level; an error is a miss"),
)


def method(shown: Sequence[Labelled]) -> str:
    parts = [_of_one(each, named=len(shown) > 1) for each in shown]
    words = folded("What the figures mean", definitions(DEFINITIONS))
    return section("How it was measured", *parts, words)


def _of_one(shown: Labelled, *, named: bool) -> str:
    report = shown.report
    facts = definitions(_facts(report)) + table(_RUNS, map(_runs, report.stages))
    return folded(shown.name, facts) if named else facts


def _facts(report: Report) -> Iterator[tuple[str, str]]:
    yield from _subject(report.subject)
    if report.workload is not None:
        yield "workload", f"{report.workload.name}: {report.workload.description}"
        yield "source of the workload", report.workload.source or ""
    yield "service level", slo_words(report.slo)
    yield "source of the service level", report.slo.source if report.slo else ""
    yield "machine", machine_words(report)
    yield "versions", ", ".join(f"{name} {version}" for name, version in report.versions.items())
    yield "measured by", report.tool
    yield "made at", report.made_at
    yield "command", report.command or ""


def _subject(subject: Tested) -> Iterator[tuple[str, str]]:
    yield "model", " ".join(filter(None, (subject.model, subject.quantization)))
    yield "from", subject.ref or ""
    yield "engine", " ".join(filter(None, (subject.engine, subject.build)))
    yield "options", ", ".join(f"{name} {value}" for name, value in subject.options.items())
    yield "server", " at ".join(filter(None, (subject.server, subject.url)))
    yield "size", about_bytes(subject.size_bytes) if subject.size_bytes else ""
    yield "context", f"{subject.context:,} tokens" if subject.context else ""
    yield "slots", str(subject.slots or "")
    yield "digest", subject.digest or ""


def _generator(stage: Stage) -> str:
    """Why it was, stands among the cautions."""
    if not stage.health:
        return ""
    return "was the limit" if any(each.was_limit for each in stage.health) else "kept up"


_RUNS = (
    "load", "runs", "requests", "warm-up", "cold", "before the window", "after it", "window",
    "stability", "generator", "lag p99", "lag at most",
)  # fmt: skip


def _runs(stage: Stage) -> tuple[str, ...]:
    left = stage.excluded
    lags = [each.lag_p99_ms for each in stage.health if each.lag_p99_ms is not None]
    most = [each.lag_max_ms for each in stage.health if each.lag_max_ms is not None]
    return (
        load_words(stage.load), str(stage.runs), str(stage.numbers.requests), str(left.warmup),
        str(left.cold), str(left.before_window), str(left.after_window),
        ", ".join(f"{number(w.start_s)} to {number(w.end_s)} s" for w in stage.windows),
        stage.stability.verdict if stage.stability else "",
        _generator(stage),
        milliseconds(max(lags, default=None)), milliseconds(max(most, default=None)),
    )  # fmt: skip
