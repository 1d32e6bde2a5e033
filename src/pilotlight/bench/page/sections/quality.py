"""How near a quantized model comes to its reference, beside its speed and cost."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from pilotlight.bench.figures import Estimate
from pilotlight.bench.page.elements import items, section, table
from pilotlight.bench.quality_facts import Quality, TaskScore
from pilotlight.bench.report import Report
from pilotlight.bench.told import estimate_words
from pilotlight.bench.words.labels import Labelled
from pilotlight.metrics import Spread
from pilotlight.planner.figures import UNKNOWN, dollars, number

_HEADER = (
    "who", "reference", "same token", "KL divergence, nats", "perplexity", "of the reference",
    "output tokens/s", "J per output token", "$ per million output tokens",
)  # fmt: skip
_TASKS = ("who", "task", "questions", "right", "reference", "difference")


def quality(shown: Sequence[Labelled]) -> str:
    held = [(each, found) for each in shown if (found := each.report.quality)]
    notes = dict.fromkeys(note for _, found in held for note in found.notes)
    return section(
        "Quality beside speed and cost",
        table(_HEADER, ((each.name, *_row(found, each.report)) for each, found in held)),
        table(_TASKS, (line for each, found in held for line in _tasks(each.name, found))),
        items(notes),
        note="Each position is asked with the same text before it. The divergence counts only the "
        "likeliest tokens that servers tell: it is never more than the whole.",
    )


def _row(found: Quality, report: Report) -> tuple[str, ...]:
    speed, metrics = report.stage.numbers.output_tokens_per_s, report.stage.metrics
    return (
        found.reference,
        _share(found.token_agreement),
        _number(found.divergence.nats if found.divergence else None),
        _number(found.perplexity),
        _number(found.reference_perplexity),
        number(speed.value) if speed else UNKNOWN,
        _median(metrics.joules_per_output_token),
        dollars(metrics.usd_per_mtok.median if metrics.usd_per_mtok else None),
    )


def _tasks(name: str, found: Quality) -> Iterator[tuple[str, ...]]:
    for task in found.tasks:
        yield name, *_task(task)


def _task(task: TaskScore) -> tuple[str, ...]:
    return (
        f"{task.name} ({task.kind})",
        str(task.items),
        _share(task.subject),
        _share(task.reference),
        _share(task.difference),
    )


def _median(found: Spread | None) -> str:
    return UNKNOWN if found is None else number(found.median)


def _number(found: Estimate | None) -> str:
    return UNKNOWN if found is None else estimate_words(found)


def _share(found: Estimate | None) -> str:
    return UNKNOWN if found is None else estimate_words(found, share=True)
