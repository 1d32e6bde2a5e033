"""The starting serverless study's table again, from what `deploy bench` measured.

Tokens are all of them, prompt and output, over wall time; prices are the study's own, for the
container's size. Its rows stand beside, as they were printed.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from pilotlight.bench.report import Report, Stage
from pilotlight.catalog.platform import GIB
from pilotlight.deploy.size import Size
from pilotlight.planner.cost.study import ANSWER_TOKENS, StudyRow, serverless_study

HEADER = (
    "platform", "at once", "tokens/s", "$/s", "$/token", f"$/{ANSWER_TOKENS} tokens", "note",
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    platform: str
    at_once: int
    tokens_per_s: float
    usd_per_s: float
    usd_per_token: float
    usd_per_answer: float
    note: str = ""

    @property
    def cells(self) -> tuple[str, ...]:
        """As `HEADER` has them."""
        return (
            self.platform,
            str(self.at_once),
            f"{self.tokens_per_s:.4g}",
            f"{self.usd_per_s:.8f}",
            f"{self.usd_per_token:.3g}",
            f"{self.usd_per_answer:.3g}",
            self.note,
        )


def study_table(report: Report, size: Size) -> tuple[Row, ...]:
    """The published rows, then each platform at each load that answered anything."""
    published = (_row(row, 1, "as published, its sum put right") for row in serverless_study())
    stages = [(stage, at) for stage in report.stages if (at := _at_once(stage))]
    return (*published, *_measured(stages, size))


def _measured(stages: Iterable[tuple[Stage, int]], size: Size) -> Iterator[Row]:
    for stage, at_once in stages:
        tokens_per_s = stage.numbers.study_tokens_per_s
        if not tokens_per_s:
            continue
        for row in serverless_study():
            here = replace(
                row,
                vcpus=size.vcpus if row.vcpu_usd_per_s else row.vcpus,
                memory_gib=size.memory_bytes / GIB,
                total_tokens_per_s=tokens_per_s,
            )
            yield _row(here, at_once, _note(row, at_once))


def _at_once(stage: Stage) -> int | None:
    return stage.load.concurrency if stage.load else None


def _note(row: StudyRow, at_once: int) -> str:
    if row.vcpu_usd_per_s or at_once == 1:
        return ""
    return "as if an environment took several requests at once, which Lambda doesn't do"


def _row(row: StudyRow, at_once: int, note: str) -> Row:
    return Row(
        platform=row.platform,
        at_once=at_once,
        tokens_per_s=row.total_tokens_per_s,
        usd_per_s=row.usd_per_s,
        usd_per_token=row.usd_per_token,
        usd_per_answer=row.usd_per_answer,
        note=note,
    )
