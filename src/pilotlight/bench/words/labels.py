"""What each of several reports is called where they stand side by side."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from pilotlight.bench.compare import Comparison
from pilotlight.bench.report import Report
from pilotlight.bench.words.comparisons import compared
from pilotlight.bench.words.text_table import printable


@dataclass(frozen=True, slots=True)
class Labelled:
    """`look` is its place, by which charts give it the same colour and shape everywhere."""

    name: str
    look: int
    report: Report
    against: Comparison | str | None = None
    """The first report; the words are why it can't be compared, None is the first itself."""


def labelled(reports: Sequence[Report], *, rounds: bool = False) -> tuple[Labelled, ...]:
    """By name, and by what tells those of the same name apart; by a number where nothing does.

    `rounds`: the n-th runs of all were made beside each other, which makes them pairs.
    """
    names = [printable(report.subject.name) for report in reports]
    for words in (_engine, _quantization, _tool, _workload, _made_at):
        names = _told_apart(names, [words(report) for report in reports])
    numbered = _told_apart(names, [f"#{at}" for at in range(1, len(names) + 1)])
    return tuple(
        Labelled(name, at, report, compared(reports[0], report, rounds=rounds) if at else None)
        for at, (name, report) in enumerate(zip(numbered, reports, strict=True))
    )


def _told_apart(names: Sequence[str], words: Sequence[str]) -> list[str]:
    """`words` are added to names that several have, where those differ in them."""
    told: dict[str, set[str]] = {}
    for name, word in zip(names, words, strict=True):
        told.setdefault(name, set()).add(word)
    shared = Counter(names)
    return [
        f"{name}, {word}" if shared[name] > 1 and len(told[name]) > 1 and word else name
        for name, word in zip(names, words, strict=True)
    ]


def _engine(report: Report) -> str:
    return report.subject.engine or ""


def _quantization(report: Report) -> str:
    return report.subject.quantization or ""


def _tool(report: Report) -> str:
    return "" if report.tool == "pilotlight" else report.tool


def _workload(report: Report) -> str:
    return report.workload.name if report.workload else ""


def _made_at(report: Report) -> str:
    return report.made_at
