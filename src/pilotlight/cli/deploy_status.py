"""`pilotlight deploy status`, `logs` and `targets`: how a deployment stands, and its bill."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from pilotlight.cli.command import Command
from pilotlight.cli.deploy_release import Chosen, as_json_flag, choose, release_flags
from pilotlight.cli.duration import span
from pilotlight.cli.exits import Exit
from pilotlight.cli.table import table

if TYPE_CHECKING:
    from pilotlight.deploy.costs import Hourly
    from pilotlight.deploy.standing import Speed, Standing
    from pilotlight.deploy.target import Status


@click.command(
    cls=Command,
    examples=(
        "pilotlight deploy status lambda -f pilotlight.yaml",
        "pilotlight deploy status kubernetes --plan plan.json --json",
    ),
)
@release_flags
@as_json_flag
@click.pass_context
def status(context: click.Context, /, as_json: bool, **flags: Any) -> int:
    """Show whether it is up, where it answers and what it costs.

    By the hour at the platform's own rates, and by the token at the speed that
    `pilotlight deploy bench` measured last, beside what the plan predicted.
    """
    chosen = choose(context, flags, with_image=False)
    found = chosen.target.status(chosen.release)
    show_standing(standing_of(chosen, found), as_json)
    return Exit.OK if found.state in ("ready", "updating") else Exit.FAILURE


def standing_of(chosen: Chosen, found: Status) -> Standing:
    from pilotlight.deploy.remembered import Remembered
    from pilotlight.deploy.standing import standing

    name = chosen.release.name
    last = Remembered.of(chosen.settings.data_dir, chosen.target.name, name).last()
    return standing(chosen.target, chosen.release, found, chosen.catalog, last)


def show_standing(found: Standing, as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps(asdict(found)))
        return
    click.echo("\n".join(_lines(found)))


def _lines(found: Standing) -> Iterator[str]:
    status = found.status
    detail = f": {status.detail}" if status.detail else ""
    yield f"{found.name} on {found.target} is {status.state}{detail}"
    count = None if status.instances is None else str(status.instances)
    facts = (("url", status.url), ("image", status.image), ("instances", count), *status.facts)
    width = max(14, *(len(name) + 2 for name, _ in facts))
    for name, value in facts:
        if value:
            yield f"  {name:<{width}}{value}"
    if found.hourly is not None:
        yield from _bill(found.hourly)
    if found.measured or found.predicted:
        yield from _speeds(found)


def _bill(hourly: Hourly) -> Iterator[str]:
    yield f"by the hour, {hourly.platform}, {hourly.offer}, as of {hourly.as_of}:"
    yield f"  {'busy':<14}{_usd(hourly.busy_usd)} an instance"
    idle = _usd(hourly.idle_usd) if hourly.idle_usd else "nothing"
    yield f"  {'idle':<14}{idle} an instance"
    if hourly.standby:
        yield f"  {'standby':<14}{_usd(hourly.standby_usd)} for {hourly.standby} kept ready"


def _speeds(found: Standing) -> Iterator[str]:
    rows = [_cells(f"measured, {each.load}", each) for each in found.measured]
    if found.predicted is not None:
        rows.append(_cells("predicted by the plan", found.predicted))
    when = f"measured {found.measured_at}" if found.measured_at else "not measured yet"
    cold = f"; cold start {found.cold_start_ms:.0f} ms to a token" if found.cold_start_ms else ""
    yield f"{when}{cold}:"
    header = ("", "TOKENS/S", "OUTPUT TOKENS/S", "$/M TOKENS", "$/M OUTPUT TOKENS")
    yield table(header, rows)


def _cells(label: str, speed: Speed) -> tuple[str, ...]:
    rates = (speed.total_tokens_per_s, speed.output_tokens_per_s)
    prices = (speed.usd_per_total_mtok, speed.usd_per_output_mtok)
    return (
        label,
        *("" if each is None else f"{each:.4g}" for each in rates),
        *("" if each is None else _usd(each) for each in prices),
    )


def _usd(amount: float) -> str:
    return f"${amount:.4g}"


@click.command(
    cls=Command,
    examples=(
        "pilotlight deploy logs lambda -f pilotlight.yaml --since 1h",
        "pilotlight deploy logs kubernetes -f pilotlight.yaml --follow",
    ),
)
@release_flags
@click.option(
    "--since", type=span, default="10m", show_default=True, metavar="TIME", help="how far back"
)
@click.option("--follow", is_flag=True, help="then new ones, until Ctrl-C")
@as_json_flag
@click.pass_context
def logs(context: click.Context, /, since: float, follow: bool, as_json: bool, **flags: Any) -> int:
    """Print what its instances wrote, oldest first."""
    chosen = choose(context, flags, with_image=False)
    try:
        for line in chosen.target.logs(chosen.release, since_s=since, follow=follow):
            click.echo(json.dumps({"line": line}) if as_json else line)
    except KeyboardInterrupt:
        # How following ends.
        return Exit.OK if follow else Exit.INTERRUPTED
    return Exit.OK


@click.command(
    cls=Command,
    examples=("pilotlight deploy targets", "pilotlight deploy targets --json"),
)
@as_json_flag
def targets(as_json: bool) -> None:
    """List where a model can be deployed."""
    from pilotlight.deploy.registry import TARGETS, find

    found = [(name, find(name).title) for name in TARGETS]
    if as_json:
        entries = [{"name": name, "title": title} for name, title in found]
        click.echo(json.dumps({"targets": entries}))
        return
    click.echo(table(("TARGET", "PLATFORM"), found))
