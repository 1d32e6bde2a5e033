"""The flow: one side after the other is asked, then both are compared."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import TypeVar

from pilotlight.bench.quality_facts import Quality, TaskScore
from pilotlight.bench.statistics.bootstrap import wilson
from pilotlight.bench.target import Target
from pilotlight.bench.tokens.served import token_ids
from pilotlight.errors import BenchError
from pilotlight.quality.answering import answered
from pilotlight.quality.asking import find_way
from pilotlight.quality.comparison import agreement, divergence, perplexity, perplexity_ratio
from pilotlight.quality.intervals import difference
from pilotlight.quality.passages import passages
from pilotlight.quality.reading import Passage, Reading
from pilotlight.quality.tasks import Task

Say = Callable[[str, int, int], None]
"""What is being done, how many are done, and of how many."""

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Exam:
    """What both sides are asked. Without `texts` only the tasks are."""

    texts: tuple[str, ...]
    tasks: tuple[Task, ...] = ()
    positions: int = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Side:
    """What one model said; kept, so that both never have to be in memory together."""

    name: str
    tokens: tuple[tuple[int, ...], ...] = ()
    passages: tuple[Passage, ...] = ()
    reading: Reading | None = None
    answers: tuple[tuple[bool, ...], ...] = ()


def _silent(what: str, done: int, total: int) -> None:
    """Where nobody looks on."""


async def examine(
    name: str, target: Target, exam: Exam, like: Side | None = None, say: Say = _silent
) -> Side:
    """`like` is the other side, whose places are asked again.

    Raises:
        BenchError: the texts are too short, the vocabularies differ, or nothing tells
            probabilities.
        ServerError: the server can't be reached, or refuses.
    """
    answers = []
    for task in exam.tasks:
        say(f"{name}: questions of {task.name}", 0, len(task.items))
        answers.append(await answered(target, task))
    if not exam.texts:
        return Side(name=name, answers=tuple(answers))
    tokens = tuple(tuple(one) for one in await token_ids(target, exam.texts))
    if like is not None and like.tokens != tokens:
        raise BenchError(
            f"{name} reads the text as other tokens than {like.name}: their next tokens can't "
            "be compared",
            hint="compare by answers alone: --task FILE --no-text",
        )
    asked = like.passages if like else await passages(target, tokens, exam.positions)
    return Side(
        name=name,
        tokens=tokens,
        passages=asked,
        reading=await _read(name, target, asked, say),
        answers=tuple(answers),
    )


async def _read(name: str, target: Target, asked: Sequence[Passage], say: Say) -> Reading:
    way = await find_way(target, asked[0])
    texts = []
    for number, passage in enumerate(asked):
        say(f"{name}: texts ({way.name})", number, len(asked))
        texts.append(await way.read(target, passage))
    return Reading(name, tuple(texts), way.name)


def judge(subject: Side, reference: Side | None, tasks: Sequence[Task]) -> Quality:
    """Without a reference only what a model has by itself: its perplexity and its answers."""
    return Quality(
        subject=subject.name,
        reference=reference.name if reference else "",
        texts=len(subject.passages),
        positions=sum(len(passage.places) for passage in subject.passages),
        token_agreement=_of_both(reference, subject, agreement),
        divergence=_of_both(reference, subject, divergence),
        perplexity=perplexity(subject.reading) if subject.reading else None,
        reference_perplexity=(
            perplexity(reference.reading) if reference and reference.reading else None
        ),
        perplexity_ratio=_of_both(reference, subject, perplexity_ratio),
        tasks=tuple(_score(at, task, subject, reference) for at, task in enumerate(tasks)),
        notes=tuple(_notes(subject, reference)),
    )


def _of_both(
    reference: Side | None, subject: Side, compare: Callable[[Reading, Reading], T]
) -> T | None:
    if reference is None or reference.reading is None or subject.reading is None:
        return None
    return compare(reference.reading, subject.reading)


def _score(at: int, task: Task, subject: Side, reference: Side | None) -> TaskScore:
    own = subject.answers[at]
    other = reference.answers[at] if reference else None
    return TaskScore(
        name=task.name,
        kind=task.kind,
        items=len(task.items),
        subject=wilson(fmean(own), len(own)),
        reference=None if other is None else wilson(fmean(other), len(other)),
        difference=None if other is None else difference(own, other),
    )


def _notes(subject: Side, reference: Side | None) -> list[str]:
    sides = [side for side in (subject, reference) if side is not None and side.reading]
    notes = []
    for side in sides:
        reading = side.reading
        if reading is not None and perplexity(reading) is None:
            notes.append(f"no perplexity of {side.name}: its server tells only likely tokens")
    ways = {side.reading.way for side in sides if side.reading}
    if len(ways) > 1:
        notes.append(f"read in two ways: {' and '.join(sorted(ways))}")
    if sides and len(sides[0].passages) < 5:
        notes.append("no intervals: they take at least 5 texts, or a longer one")
    return notes
