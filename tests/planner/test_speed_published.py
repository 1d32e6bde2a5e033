"""The constants against measurements of others: fitted to some rows, judged by the rest."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from statistics import median

import pytest

from .published_rows import CONSTANTS, Row, rows

DOCS = Path(__file__).parents[2] / "docs" / "planner.md"


def errors(chosen: Iterable[Row]) -> list[float]:
    """Relative; a load that the planner says is too much counts as wholly wrong."""
    found = []
    for row in chosen:
        predicted = row.predicted(CONSTANTS[row.engine])
        found.append(1.0 if predicted is None else abs(predicted / row.value - 1))
    return found


def test_no_row_is_both_fitted_and_tested() -> None:
    """A row is what was run; the same run's figures may not be on both sides."""
    fitted = {_run(row) for row in rows() if row.fitted}
    tested = {_run(row) for row in rows() if not row.fitted}
    assert fitted
    assert tested
    assert not fitted & tested


def _run(row: Row) -> tuple[object, ...]:
    names = ("gpu", "gpus", "model", "quantization", "input", "output", "load", "tokens", "past")
    return (row.file, *(row.fields.get(name) for name in names))


@pytest.mark.parametrize(
    ("engines", "most"),
    [(("llamacpp",), 0.11), (("vllm",), 0.16), (("vllm-v0",), 0.16)],
    ids=lambda given: str(given),
)
def test_gpus_that_nothing_was_fitted_to(engines: tuple[str, ...], most: float) -> None:
    """The median over every tested row of the engine."""
    tested = [row for row in rows() if row.engine in engines and not row.fitted]
    assert len(tested) >= 50
    assert median(errors(tested)) <= most


def test_three_of_four_are_within_the_interval_that_plans_show() -> None:
    for engine in ("llamacpp", "vllm"):
        tested = [row for row in rows() if row.engine == engine and not row.fitted]
        within = [error <= CONSTANTS[engine].error + 0.01 for error in errors(tested)]
        assert sum(within) >= 0.73 * len(within), engine


def test_the_document_gives_these_very_figures() -> None:
    """A row a file: engine | fitted to | rows | error | tested on | rows | error."""
    table = dict(re.findall(r"^\| `(\w+)` \|(.*)\|$", DOCS.read_text(), re.MULTILINE))
    for name in sorted({row.file for row in rows()}):
        cells = [cell.strip() for cell in table[name].split("|")]
        assert tuple(cells[2:4]) == _summary(name, fitted=True), name
        assert tuple(cells[5:7]) == _summary(name, fitted=False), name


def _summary(name: str, *, fitted: bool) -> tuple[str, str]:
    chosen = [row for row in rows(name) if row.fitted == fitted]
    if not chosen:
        return "0", ""
    return str(len(chosen)), f"{100 * median(errors(chosen)):.0f} %"
