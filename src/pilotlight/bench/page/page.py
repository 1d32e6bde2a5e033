"""A report as one HTML file that needs nothing else: no script, no font, no address."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from html import escape

from pilotlight.bench.page.sections.answer import answer, stages
from pilotlight.bench.page.sections.cold_starts import cold_starts
from pilotlight.bench.page.sections.comparison import comparison
from pilotlight.bench.page.sections.costs import costs
from pilotlight.bench.page.sections.distributions import distributions
from pilotlight.bench.page.sections.energy import energy
from pilotlight.bench.page.sections.history import history
from pilotlight.bench.page.sections.method import method
from pilotlight.bench.page.sections.parts import parts
from pilotlight.bench.page.sections.prediction import prediction
from pilotlight.bench.page.sections.quality import quality
from pilotlight.bench.page.sections.speeds import speeds
from pilotlight.bench.page.sections.throughput import throughput
from pilotlight.bench.page.style import style
from pilotlight.bench.report import Report
from pilotlight.bench.told import machine_words
from pilotlight.bench.words.labels import Labelled, labelled

SECTIONS: tuple[Callable[[Sequence[Labelled]], str], ...] = (
    answer, comparison, throughput, speeds, distributions, energy, costs, quality, prediction,
    history, cold_starts, stages, parts, method,
)  # fmt: skip


def page(reports: Sequence[Report], *, title: str | None = None, rounds: bool = False) -> str:
    """Of one report, or of several side by side; the first is what others are compared with.

    `rounds` as `labelled` has it.
    """
    shown = labelled(reports, rounds=rounds)
    said = title or _title(shown)
    body = "".join(section(shown) for section in SECTIONS)
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        f"<title>{escape(said)}</title><style>{style()}</style></head><body>"
        f"<h1>{escape(said)}</h1>{_under(shown)}<main>{body}</main>{_foot(shown)}</body></html>\n"
    )


def _title(shown: Sequence[Labelled]) -> str:
    if len(shown) == 1:
        return f"Benchmark of {shown[0].name}"
    names = ", ".join(each.name for each in shown[:4])
    return f"Benchmarks of {names}" + (f" and {len(shown) - 4} more" if len(shown) > 4 else "")


def _under(shown: Sequence[Labelled]) -> str:
    """What they have in common: workload and machine."""
    workloads = (each.report.workload for each in shown)
    words = dict.fromkeys(
        [*(held.name for held in workloads if held), *(machine_words(s.report) for s in shown)]
    )
    return f'<p class="note">{escape(" · ".join(filter(None, words)))}</p>'


def _foot(shown: Sequence[Labelled]) -> str:
    tools = ", ".join(dict.fromkeys(each.report.tool for each in shown))
    dates = ", ".join(dict.fromkeys(filter(None, (each.report.made_at for each in shown))))
    return f"<footer>{escape(' · '.join(filter(None, (f'Measured by {tools}', dates))))}</footer>"
