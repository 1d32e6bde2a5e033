"""Each of several reports against the first, in words."""

from __future__ import annotations

from collections.abc import Iterator

from pilotlight.bench.compare import Comparison, Row, compare
from pilotlight.bench.figures import Estimate
from pilotlight.bench.report import Report
from pilotlight.bench.told import estimate_words
from pilotlight.errors import BenchError
from pilotlight.planner.figures import UNKNOWN, number

MAIN_FIGURES = (
    "output_tokens_per_s", "goodput_per_s", "ttft_ms.p95", "tpot_ms.p95", "joules_per_output_token",
)  # fmt: skip
"""Those that decide, where there is no room for all."""

MAIN_HEADER = ("", "stage", "figure", "ratio", "verdict")
ROW_HEADER = ("stage", "figure", "first", "second", "ratio", "verdict")


def compared(first: Report, second: Report, *, rounds: bool) -> Comparison | str:
    """The words are why they can't be compared."""
    try:
        return compare(first, second, rounds=rounds)
    except BenchError as error:
        return f"can't be compared: {error.message}"


def row_cells(row: Row) -> tuple[str, ...]:
    """Under `ROW_HEADER`."""
    return (
        row.stage, row.title, _with_unit(row.a, row.unit), _with_unit(row.b, row.unit),
        f"{estimate_words(row.ratio)}×" if row.ratio else UNKNOWN, row.verdict,
    )  # fmt: skip


def main_rows(found: Comparison) -> Iterator[tuple[str, ...]]:
    """Under `MAIN_HEADER` without its first."""
    for row in found.rows:
        if row.figure in MAIN_FIGURES:
            stage, figure, _, _, ratio, verdict = row_cells(row)
            yield stage, figure, ratio, verdict


def _with_unit(found: Estimate, unit: str) -> str:
    return f"{number(found.value)} {unit}" if unit else number(found.value)
