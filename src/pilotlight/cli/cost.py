"""`pilotlight cost`: what keys, models, adapters, replicas and days used, from this data_dir."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from pilotlight.cli.command import Command
from pilotlight.cli.flags import config_file, data_dir, setting_flags
from pilotlight.cli.table import table
from pilotlight.quantities import about_seconds, parse_seconds

if TYPE_CHECKING:
    from pilotlight.meter.ledger.costs import Costs, Row

BY = ("key", "model", "adapter", "replica", "day")
_UJ_PER_WH = 3.6e9
_PICO = 1e12
_MICRO = 1e6


def _read_since(context: click.Context, parameter: click.Parameter, value: str) -> float:
    try:
        seconds = float(parse_seconds(value))
    except ValueError:
        raise click.BadParameter(f"{value!r} is no duration such as 24h or 7d") from None
    if seconds <= 0:
        raise click.BadParameter("give a time that is longer than none")
    return seconds


@click.command(
    cls=Command,
    examples=(
        "pilotlight cost",
        "pilotlight cost --by model --since 24h",
        "pilotlight cost --by day --since forever --json",
    ),
)
@click.option(
    "--by", type=click.Choice(BY), default="key", show_default=True, help="whose use to tell apart"
)
@click.option(
    "--since",
    "last_s",
    metavar="DURATION",
    default="7d",
    show_default=True,
    callback=_read_since,
    help="how far back, from the full hour (UTC): such as 24h, 30d or forever",
)
@click.option("--json", "as_json", is_flag=True, help="print JSON, with every part by itself")
@config_file
@setting_flags("data_dir")
@click.pass_context
def cost(
    context: click.Context,
    /,
    by: str,
    last_s: float,
    as_json: bool,
    file: Path | None,
    **flags: Any,
) -> None:
    """Show the tokens, seconds, watt-hours and dollars that requests took.

    Reads the ledger of this data_dir, whether a server runs on it or not.
    """
    from pilotlight.meter.ledger.costs import read
    from pilotlight.meter.ledger.ledger import directory_of

    directory = data_dir(context, file)
    costs = read(directory_of(directory), by, last_s)
    names = _key_names(directory) if by == "key" else {}
    click.echo(json.dumps(as_tree(costs, by, names)) if as_json else show(costs, by, names))


def _key_names(directory: Path) -> Mapping[str, str]:
    from pilotlight.gateway.keys import KeyStore

    return {key.id: key.name for key in KeyStore(directory / "keys.json").list() if key.name}


_HEADER = (
    "REQUESTS", "PROMPT", "CACHED", "OUTPUT", "BROKEN OFF", "ENGINE TIME", "WH", "IDLE WH",
    "USD", "IDLE USD", "USD/1M OUTPUT",
)  # fmt: skip
_NOBODY = "(none)"


def show(costs: Costs, by: str, names: Mapping[str, str]) -> str:
    rows = [(_named(row.name, names), *_cells(row)) for row in costs.rows]
    since = datetime.fromtimestamp(costs.since_s, UTC).isoformat(" ", "minutes")
    head = "all that is kept" if costs.since_s == 0 else f"since {since}"
    lines = [head, table((by.upper(), *_HEADER), rows), *_notes(costs)]
    return "\n".join(lines)


def _named(name: str, names: Mapping[str, str]) -> str:
    return f"{name} ({names[name]})" if name in names else name or _NOBODY


def _cells(row: Row) -> tuple[str, ...]:
    sums = row.sums
    return (
        str(sums.requests),
        str(sums.prompt_tokens),
        str(sums.cached_tokens),
        str(sums.completion_tokens),
        str(sums.event_tokens) if sums.event_tokens else "",
        about_seconds(sums.engine_ms / 1000),
        _wh(row.energy_uj),
        _wh(row.idle_uj) if row.energy_uj is not None else "",
        _usd(row.cost_picousd),
        _usd(row.idle_picousd) if row.cost_picousd is not None else "",
        _usd(_per_mtok(row)),
    )


def _wh(amount_uj: int | None) -> str:
    return "" if amount_uj is None else f"{amount_uj / _UJ_PER_WH:.4g}"


def _usd(amount_picousd: float | None) -> str:
    return "" if amount_picousd is None else f"{amount_picousd / _PICO:.4g}"


def _per_mtok(row: Row) -> float | None:
    """Of the requests whose dollars are known, over their own tokens."""
    if row.cost_picousd is None or not row.priced_output:
        return None
    return row.cost_picousd / row.priced_output * 1e6


def _notes(costs: Costs) -> Iterator[str]:
    sources = sorted({source for row in costs.rows for source in row.sources})
    if sources:
        yield f"watt-hours: {', '.join(sources)}"
    if any(row.sums.event_tokens for row in costs.rows):
        yield "broken off: answers that ended early, by the events of their streams"
    unmetered = sum(row.unmetered for row in costs.rows)
    unpriced = sum(row.unpriced for row in costs.rows)
    if unmetered:
        yield f"watt-hours aren't known of {_requests(unmetered)}"
    if unpriced:
        yield f"dollars aren't known of {_requests(unpriced)}: docs/ledger.md says what to set"
    left = [f"{_wh(costs.left_uj)} Wh"] if costs.left_uj else []
    left += [f"{_usd(costs.left_picousd)} USD"] if costs.left_picousd else []
    if left:
        yield f"idle on days that nobody used it: {', '.join(left)}"


def _requests(count: int) -> str:
    return "1 request" if count == 1 else f"{count} requests"


def as_tree(costs: Costs, by: str, names: Mapping[str, str]) -> Mapping[str, Any]:
    metered, priced = bool(costs.idle_sources), costs.idle.cost_picousd > 0
    return {
        "by": by,
        "since": datetime.fromtimestamp(costs.since_s, UTC).isoformat(),
        "rows": [_row_tree(row, names) for row in costs.rows],
        "idle": {
            "seconds": costs.idle.seconds_ms / 1000,
            "joules": costs.idle.energy_uj / _MICRO if metered else None,
            "energy_sources": list(costs.idle_sources),
            "usd": costs.idle.cost_picousd / _PICO if priced else None,
            "unpaid_joules": costs.left_uj / _MICRO if metered else None,
            "unpaid_usd": costs.left_picousd / _PICO if priced else None,
        },
    }


def _row_tree(row: Row, names: Mapping[str, str]) -> Mapping[str, Any]:
    sums, energy_uj, cost_picousd = row.sums, row.energy_uj, row.cost_picousd
    metered, priced = energy_uj is not None, cost_picousd is not None
    return {
        "name": row.name,
        **({"note": names[row.name]} if row.name in names else {}),
        "requests": sums.requests,
        "answered": sums.answered,
        "cancelled": sums.cancelled,
        "prompt_tokens": sums.prompt_tokens,
        "cached_tokens": sums.cached_tokens,
        "completion_tokens": sums.completion_tokens,
        "broken_off_prompt_tokens": sums.event_prompt_tokens,
        "broken_off_tokens": sums.event_tokens,
        "requests_without_a_prompt_count": sums.uncounted,
        "queue_seconds": sums.queue_ms / 1000,
        "engine_seconds": sums.engine_ms / 1000,
        "joules": energy_uj / _MICRO if energy_uj is not None else None,
        "joules_of_loads": sums.load_uj / _MICRO if metered else None,
        "joules_of_idle": row.idle_uj / _MICRO if metered else None,
        "energy_sources": list(row.sources),
        "requests_without_joules": row.unmetered,
        "usd": cost_picousd / _PICO if cost_picousd is not None else None,
        "usd_of_loads": sums.load_picousd / _PICO if priced else None,
        "usd_of_idle": row.idle_picousd / _PICO if priced else None,
        "requests_without_usd": row.unpriced,
    }
