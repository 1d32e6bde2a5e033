"""What `pilotlight eval` shows: how far it is, then what it found."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from types import TracebackType
from typing import Self

import click

from pilotlight.bench.figures import Estimate
from pilotlight.bench.quality_facts import Quality, TaskScore
from pilotlight.bench.told import estimate_words

_REDRAW_S = 0.1


class Watched:
    """One line that is rewritten on a terminal; elsewhere a line where something begins."""

    def __init__(self) -> None:
        self._tty = sys.stderr.isatty()
        self._shown_s = 0.0
        self._begun = ""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._tty:
            click.echo("\r\x1b[K", nl=False, err=True)

    def say(self, what: str, done: int, total: int) -> None:
        now_s = time.monotonic()
        if self._tty and now_s - self._shown_s > _REDRAW_S:
            self._shown_s = now_s
            click.echo(f"\r\x1b[K{what}: {done} of {total}", nl=False, err=True)
        elif not self._tty and what != self._begun:
            self._begun = what
            click.echo(f"{what}: {total}", err=True)


def quality_text(found: Quality) -> str:
    lines = [f"{found.subject} against {found.reference}"]
    if found.positions:
        lines.append(f"  at {found.positions} places in {found.texts} texts")
    rows = [*_rows(found), *_tasks(found.tasks)]
    width = max((len(name) for name, _ in rows), default=0)
    lines += [f"  {name:<{width}}  {words}" for name, words in rows]
    return "\n".join([*lines, *(f"  {note}" for note in found.notes)])


def _rows(found: Quality) -> Iterator[tuple[str, str]]:
    if found.token_agreement:
        yield "same next token", estimate_words(found.token_agreement, share=True)
    if (far := found.divergence) is not None:
        yield (
            "KL divergence",
            f"at least {estimate_words(far.nats)} nats, p99 {far.p99_nats:.3g}; of the {far.top} "
            f"likeliest tokens, {far.unseen:.1%} of the reference's probability lies beyond",
        )
    if found.perplexity:
        yield "perplexity", estimate_words(found.perplexity)
    if found.reference_perplexity:
        yield "reference's perplexity", estimate_words(found.reference_perplexity)
    if (ratio := found.perplexity_ratio) is not None:
        yield "perplexity, ratio", estimate_words(ratio) + _sameness(ratio)


def _sameness(ratio: Estimate) -> str:
    if ratio.low is None or ratio.high is None:
        return ""
    return ": no difference" if ratio.low <= 1 <= ratio.high else ""


def _tasks(tasks: tuple[TaskScore, ...]) -> Iterator[tuple[str, str]]:
    for task in tasks:
        words = f"{_share(task.subject)} of {task.items} right"
        if task.reference is not None and task.difference is not None:
            words += f", reference {_share(task.reference)}, {_verdict(task.difference)}"
        yield task.name, words


def _verdict(difference: Estimate) -> str:
    low, high = difference.low, difference.high
    if low is not None and high is not None and low <= 0 <= high:
        return f"no difference ({low:+.1%} to {high:+.1%})"
    return f"{'better' if difference.value > 0 else 'worse'} by {_share(difference)}"


def _share(found: Estimate) -> str:
    return estimate_words(found, share=True)
