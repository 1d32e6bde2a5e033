"""Plans as rows of words: one table for a terminal and for a page."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from pilotlight.planner.figures import UNKNOWN, dollars, median, milliseconds, number, percent
from pilotlight.planner.plan import Plan


@dataclass(frozen=True, slots=True)
class Column:
    """`keep` is how long it stays when a terminal is narrow: the least goes first."""

    title: str
    keep: int
    text: Callable[[Plan], str]


def _where(plan: Plan) -> str:
    d = plan.deployment
    return d.offer if d.machines == 1 else f"{d.machines}x {d.offer}"


def _tail(plan: Plan, name: str) -> str:
    metrics = plan.metrics
    return milliseconds(
        median(getattr(metrics, f"{name}_tail_ms") or getattr(metrics, f"{name}_ms"))
    )


def _rate(plan: Plan) -> str:
    rate = median(plan.metrics.output_tokens_per_s)
    return UNKNOWN if rate is None else number(rate * plan.deployment.replicas)


COLUMNS = (
    Column("MODEL", 5, lambda plan: plan.deployment.model),
    Column("QUANT", 9, lambda plan: plan.deployment.quantization),
    Column("ENGINE", 6, lambda plan: plan.deployment.engine),
    Column("HARDWARE", 8, lambda plan: plan.deployment.hardware),
    Column("OFFER", 10, _where),
    Column("SCALING", 4, lambda plan: plan.deployment.scaling),
    Column("BATCH", 2, lambda plan: str(plan.deployment.concurrency)),
    Column("TTFT", 7, lambda plan: _tail(plan, "ttft")),
    Column("TPOT", 8, lambda plan: _tail(plan, "tpot")),
    Column("TOK/S", 1, _rate),
    Column("BUSY", 0, lambda plan: percent(plan.speed.utilization)),
    Column("LIMIT", 3, lambda plan: plan.speed.bottleneck),
    Column("$/MTOK", 10, lambda plan: dollars(plan.money.usd_per_mtok)),
    Column("$/MONTH", 9, lambda plan: dollars(plan.money.usd_per_month)),
)
"""Latencies are those of the service level's percentile; tokens a second are all replicas'."""

Rows = list[tuple[str, ...]]


def rows(plans: Sequence[Plan], width: int | None = None) -> tuple[tuple[str, ...], Rows]:
    """Header and cells; columns that don't fit `width` are left out, the least needed first.

    A column that says the same in every row, as of a single model, goes before any other.
    """
    columns = list(COLUMNS)
    while width is not None and len(columns) > 1:
        cells = _cells(columns, plans)
        if _width(cells) <= width:
            break
        columns.remove(min(columns, key=lambda column: _worth(column, plans)))
    header, *lines = _cells(columns, plans)
    return header, lines


def _worth(column: Column, plans: Sequence[Plan]) -> tuple[bool, int]:
    says_more = len({column.text(plan) for plan in plans}) > 1
    return (says_more or column.title not in ("MODEL", "ENGINE", "SCALING"), column.keep)


def _cells(columns: Sequence[Column], plans: Sequence[Plan]) -> Rows:
    header = ("#", *(column.title for column in columns))
    return [
        header,
        *((str(plan.rank), *(column.text(plan) for column in columns)) for plan in plans),
    ]


def _width(cells: Rows) -> int:
    return sum(max(map(len, column)) + 2 for column in zip(*cells, strict=True)) - 2


def distinct(plans: Iterable[Plan], count: int | None) -> tuple[Plan, ...]:
    """The best of each kind of hardware on each platform; all of them where `count` is None.

    Ranks stay those of the whole list, so the plans are returned with it elsewhere.
    """
    seen: set[tuple[object, ...]] = set()
    chosen = []
    for plan in plans:
        d = plan.deployment
        key = (d.platform, d.hardware, d.model)
        if count is None or key not in seen:
            seen.add(key)
            chosen.append(plan)
    return tuple(chosen[:count])
