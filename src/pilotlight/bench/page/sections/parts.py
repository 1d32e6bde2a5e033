"""What the chosen stage is made of: its kinds of requests, and its runs."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

from pilotlight.bench.page.elements import section, table
from pilotlight.bench.report import Stage
from pilotlight.bench.words.labels import Labelled
from pilotlight.bench.words.stage_rows import MAIN
from pilotlight.planner.figures import UNKNOWN, milliseconds, number, percent


def parts(shown: Sequence[Labelled]) -> str:
    tables = [held for each in shown for held in _of_one(each, named=len(shown) > 1)]
    return section("By kind of request, and run by run", *tables)


def _of_one(shown: Labelled, *, named: bool) -> Iterator[str]:
    stage = shown.report.stage
    name = f"{shown.name}: " if named else ""
    if len(stage.groups) > 1:
        yield table(_GROUPS, _groups(stage), f"{name}by kind of request")
    if stage.runs > 1:
        header = ("figure", *(f"run {at + 1}" for at in range(stage.runs)))
        yield table(header, _runs(stage), f"{name}run by run")


_GROUPS = ("kind", "requests", *(each.name for each in MAIN))


def _groups(stage: Stage) -> Iterator[tuple[str, ...]]:
    """Rates and joules are of all kinds together."""
    for kind, numbers in stage.groups.items():
        alone = replace(stage, numbers=numbers, energy=None)
        yield (kind, f"{numbers.requests:,}", *(each.cell(alone) for each in MAIN))


_RUNS: tuple[tuple[str, str, Callable[[float], str]], ...] = (
    ("requests_per_s", "requests/s", number),
    ("output_tokens_per_s", "output tokens/s", number),
    ("total_tokens_per_s", "total tokens/s", number),
    ("goodput_per_s", "goodput, requests/s", number),
    ("slo_share", "kept the SLO", percent),
    ("ttft_ms", "TTFT p50", milliseconds),
    ("tpot_ms", "TPOT p50", milliseconds),
    ("e2e_ms", "end to end p50", milliseconds),
)


def _runs(stage: Stage) -> Iterator[tuple[str, ...]]:
    for name, title, words in _RUNS:
        if values := stage.by_run.get(name):
            yield (title, *(UNKNOWN if value is None else words(value) for value in values))
