"""A report as Markdown: short enough for a pull request, with the rest folded away."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from pilotlight.bench.compare import Comparison
from pilotlight.bench.report import Report
from pilotlight.bench.told import machine_words, quality_words, slo_words
from pilotlight.bench.words.cautions import all_cautions
from pilotlight.bench.words.comparisons import MAIN_HEADER, ROW_HEADER, main_rows, row_cells
from pilotlight.bench.words.cost_rows import COST_HEADER, cost_rows
from pilotlight.bench.words.figure_rows import load_words, rows
from pilotlight.bench.words.labels import Labelled, labelled
from pilotlight.bench.words.predicted import deviations
from pilotlight.bench.words.stage_rows import SIDE_HEADER, STAGE_HEADER, side_rows, stage_rows

_SHOWN = 8
"""Cautions before the fold."""


def markdown(reports: Sequence[Report], *, rounds: bool = False) -> str:
    """Of one report, or of several against the first; `rounds` as `labelled` has it."""
    shown = labelled(reports, rounds=rounds)
    several = len(shown) > 1
    parts = [
        _title(shown),
        *_warned(shown),
        _table(SIDE_HEADER, side_rows(shown)) if several else _one(shown[0]),
    ]
    parts += _compared(shown)
    for each in shown:
        head = f"**{_plain(each.name)}**\n\n" if several else ""
        parts += [f"{head}{part}" for part in (_stages(each), _predicted(each)) if part]
    parts += [_quality(shown), _table(COST_HEADER, cost_rows(shown))]
    parts.append(_folded("How it was measured", [_method(each) for each in shown]))
    return "\n\n".join(filter(None, parts)) + "\n"


def _title(shown: Sequence[Labelled]) -> str:
    return f"### {'Benchmarks' if len(shown) > 1 else 'Benchmark'} of " + ", ".join(
        _plain(each.name) for each in shown
    )


def _warned(shown: Sequence[Labelled]) -> Iterator[str]:
    found = all_cautions(shown)
    if found:
        yield "\n".join(f"> - {_plain(words)}" for words in found[:_SHOWN])
    if len(found) > _SHOWN:
        yield _folded(f"{len(found) - _SHOWN} more cautions", ["\n".join(
            f"- {_plain(words)}" for words in found[_SHOWN:])])  # fmt: skip


def _one(shown: Labelled) -> str:
    stage = shown.report.stage
    lines = ((row.name, row.value, row.bounds) for row in rows(stage, main=True))
    table = _table(("figure", "value", "95 % interval"), lines)
    every = _table(("figure", "value", "95 % interval"),
                   ((row.name, row.value, row.bounds) for row in rows(stage)))  # fmt: skip
    return f"At {load_words(stage.load)}:\n\n{table}\n\n{_folded('All figures', [every])}"


def _compared(shown: Sequence[Labelled]) -> Iterator[str]:
    """Two in full; of more, the figures that decide."""
    if len(shown) == 2:
        yield _against(*shown)
        return
    found = [(each, each.against) for each in shown[1:]]
    yield _table(
        MAIN_HEADER,
        (
            (each.name, *cells)
            for each, against in found
            if isinstance(against, Comparison)
            for cells in main_rows(against)
        ),
    )
    for each, against in found:
        cautions = against.cautions if isinstance(against, Comparison) else (against,)
        yield "\n".join(f"> - {_plain(f'{each.name}: {words}')}" for words in cautions)


def _against(first: Labelled, other: Labelled) -> str:
    found = other.against
    if not isinstance(found, Comparison):
        return f"> - {_plain(f'{other.name}: {found}')}"
    title = f"**{_plain(other.name)}** against **{_plain(first.name)}**"
    warnings = "\n".join(f"> - {_plain(words)}" for words in found.cautions)
    return "\n\n".join(
        filter(None, (title, warnings, _table(ROW_HEADER, map(row_cells, found.rows))))
    )


def _stages(shown: Labelled) -> str:
    if len(shown.report.stages) < 2:
        return ""
    return _table(STAGE_HEADER, stage_rows(shown.report))


def _predicted(shown: Labelled) -> str:
    found = deviations(shown.report)
    lines = (
        (each.name, each.predicted, each.measured, f"{each.ratio.value:.2f}×", each.verdict)
        for each in found
    )
    return _table(("figure", "predicted", "measured", "ratio", ""), lines)


def _quality(shown: Sequence[Labelled]) -> str:
    return "\n".join(
        f"- {_plain(each.name)}: {_plain(words)}"
        for each in shown
        if (words := quality_words(each.report))
    )


def _method(shown: Labelled) -> str:
    report = shown.report
    workload = report.workload
    facts = (
        ("workload", f"{workload.name}: {workload.description}" if workload else ""),
        ("service level", slo_words(report.slo)),
        ("machine", machine_words(report)),
        ("engine", " ".join(filter(None, (report.subject.engine, report.subject.build)))),
        ("made at", report.made_at),
        ("measured by", report.tool),
        ("command", f"`{report.command}`" if report.command else ""),
    )
    held = "\n".join(f"- {name}: {_plain(words)}" for name, words in facts if words)
    return f"**{_plain(shown.name)}**\n\n{held}"


def _folded(title: str, parts: Sequence[str]) -> str:
    held = "\n\n".join(filter(None, parts))
    return f"<details><summary>{title}</summary>\n\n{held}\n\n</details>" if held else ""


def _table(header: Sequence[str], lines: Iterable[Sequence[str]]) -> str:
    """Columns in which no row has anything are left out; nothing without rows."""
    held = [tuple(line) for line in lines]
    if not held:
        return ""
    kept = [at for at in range(len(header)) if any(line[at] not in ("", "-") for line in held)]
    rule = ["---" if at == kept[0] else "---:" for at in kept]
    cells = [[header[at] for at in kept], rule, *([line[at] for at in kept] for line in held)]
    return "\n".join(f"| {' | '.join(map(_cell, line))} |" for line in cells)


def _cell(words: str) -> str:
    return _plain(words).replace("|", "\\|")


def _plain(words: str) -> str:
    """A name can't bring tags, lines or tables of its own."""
    return " ".join(words.replace("<", "&lt;").split())
