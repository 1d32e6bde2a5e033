"""A plan's answers as text for a terminal."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

from pilotlight.cli.table import table

if TYPE_CHECKING:
    from pilotlight.planner.comparison import Difference
    from pilotlight.planner.explain import Explanation
    from pilotlight.planner.plan import Answer, Plan

SHOWN_REJECTIONS = 12


def answer_text(answer: Answer, width: int, count: int | None) -> str:
    """What was asked, the plans (the best of each hardware and platform unless `count` is None),
    what was turned down, and advice."""
    from pilotlight.planner.asked_text import asked_lines
    from pilotlight.planner.listing import distinct, rows

    lines = [f"{label}: {text}" for label, text in asked_lines(answer.asked)]
    if answer.plans:
        chosen = distinct(answer.plans, count)
        lines += ["", table(*rows(chosen, width)), *_more(answer, chosen)]
    else:
        lines += ["", *_none(answer, width)]
    lines += _rejections(answer, width)
    lines += _advice(answer)
    return "\n".join([*lines, "", *_foot(answer)])


def _more(answer: Answer, chosen: Sequence[Plan]) -> Iterator[str]:
    hidden = len(answer.plans) - len(chosen)
    if hidden > 0:
        yield f"and {hidden:,} more: --all shows them"


def _none(answer: Answer, width: int) -> Iterator[str]:
    from pilotlight.planner.listing import rows

    yield "no plan does what is asked"
    if answer.nearest:
        yield "nearest:"
        yield table(*rows(answer.nearest, width))
        for rank, plan in enumerate(answer.nearest, start=1):
            yield f"{rank} misses: {'; '.join(plan.misses)}"


def _rejections(answer: Answer, width: int) -> Iterator[str]:
    if not answer.rejections:
        return
    yield ""
    yield "turned down:"
    for each in answer.rejections[:SHOWN_REJECTIONS]:
        line = f"  {each.family}: {each.reason}"
        yield line if len(line) <= width else line[: width - 1] + "…"
    if (hidden := len(answer.rejections) - SHOWN_REJECTIONS) > 0:
        yield f"  and {hidden} more families: --json and --html have them all"


def _advice(answer: Answer) -> Iterator[str]:
    if answer.advice:
        yield ""
        yield "advice:"
    for each in answer.advice:
        yield f"  {each.text}"
        yield f"    ({each.evidence})"


def _foot(answer: Answer) -> Iterator[str]:
    dated = f"; oldest price of {answer.facts_as_of}" if answer.facts_as_of else ""
    yield f"looked at {answer.looked_at:,} candidates{dated}"
    yield "the working, and the constants used: pilotlight plan explain"


def explanation_text(explanation: Explanation) -> str:
    lines: list[str] = [explanation.plan.name]
    for section in explanation.sections:
        lines += ["", section.title]
        lines += _labelled(section.lines)
    return "\n".join(lines)


def _labelled(pairs: Iterable[tuple[str, str]]) -> Iterator[str]:
    for label, text in pairs:
        yield f"  {label}: {text}" if label else f"    {text}"


def comparison_text(first: str, second: str, differences: Iterable[Difference]) -> str:
    rows = [(each.what, each.first, each.second, each.change) for each in differences]
    return f"A: {first}\nB: {second}\n\n" + table(("", "A", "B", "B AGAINST A"), rows)
