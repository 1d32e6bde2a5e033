"""What a reader must know before believing a report."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from pilotlight.bench.report import Report, Stage
from pilotlight.bench.words.labels import Labelled


def cautions(report: Report) -> tuple[str, ...]:
    """One sentence each, with the stages that it is of, unless it is of all."""
    found: dict[str, list[str]] = {}
    for stage in report.stages:
        for words in dict.fromkeys(_of_stage(stage)):
            found.setdefault(words, []).append(stage.name)
    of_stages = (
        words if len(names) == len(report.stages) else f"{', '.join(names)}: {words}"
        for words, names in found.items()
    )
    return tuple(dict.fromkeys([*report.notes, *of_stages]))


def all_cautions(shown: Sequence[Labelled]) -> tuple[str, ...]:
    """Of every report, by its name where there are several."""
    return tuple(
        f"{each.name}: {words}" if len(shown) > 1 else words
        for each in shown
        for words in cautions(each.report)
    )


def _of_stage(stage: Stage) -> Iterator[str]:
    yield from stage.notes
    if stage.stability is not None and not stage.stability.stable:
        yield f"{stage.stability.verdict}: {stage.stability.why}{_more_runs(stage)}"
    if stage.energy is not None:
        yield from stage.energy.notes
        if stage.energy.source == "estimated-tdp" and not stage.energy.notes:
            yield "the joules are an estimate from rated power and load, not a measurement"


def _more_runs(stage: Stage) -> str:
    more = stage.stability.more_runs if stage.stability else None
    if not more:
        return ""
    return f"; {more} more {'run' if more == 1 else 'runs'} like it would settle it"
