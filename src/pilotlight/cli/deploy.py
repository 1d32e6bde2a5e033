"""`pilotlight deploy`: the same model behind the same endpoint, on a platform."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from pilotlight.cli.command import Command, Group
from pilotlight.cli.deploy_bench import bench
from pilotlight.cli.deploy_cluster import cluster
from pilotlight.cli.deploy_files import write_files
from pilotlight.cli.deploy_image import image
from pilotlight.cli.deploy_release import as_json_flag, choose, dry_run_flag, release_flags
from pilotlight.cli.deploy_status import logs, show_standing, standing_of, status, targets
from pilotlight.cli.exits import Exit
from pilotlight.cli.interruption import stopped_alike

if TYPE_CHECKING:
    from pilotlight.deploy.resources import Change


@click.group(cls=Group)
def deploy() -> None:
    """Put a model up on a platform, and measure it there."""


@deploy.command(
    cls=Command,
    examples=(
        "pilotlight deploy render lambda -f pilotlight.yaml --out lambda/",
        "pilotlight deploy render kubernetes --plan plan.json --rank 2 --image IMAGE --dry-run",
    ),
)
@release_flags
@click.option(
    "--out",
    type=click.Path(path_type=Path, file_okay=False),
    metavar="DIR",
    help="folder to write to  [default: deploy-TARGET]",
)
@dry_run_flag
@as_json_flag
@click.pass_context
def render(
    context: click.Context, /, out: Path | None, dry_run: bool, as_json: bool, **flags: Any
) -> None:
    """Write the files with which anybody can put it up without Pilotlight.

    Files of an earlier rendering that are no longer part of it are removed; others' are never
    touched.
    """
    from pilotlight.deploy.rollout import rendered

    chosen = choose(context, flags)
    files = rendered(chosen.target, chosen.release)
    write_files(files, out or Path(f"deploy-{chosen.target.name}"), dry_run, as_json)


@deploy.command(
    cls=Command,
    examples=(
        "pilotlight deploy diff cloudrun -f pilotlight.yaml --set memory=8GB",
        "pilotlight deploy diff lambda --plan plan.json --json",
    ),
)
@release_flags
@as_json_flag
@click.pass_context
def diff(context: click.Context, /, as_json: bool, **flags: Any) -> None:
    """Show what `apply` would change, and change nothing."""
    from pilotlight.deploy.rollout import pending

    chosen = choose(context, flags)
    show_changes(pending(chosen.target, chosen.release), as_json)


def show_changes(todo: Sequence[Change], as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps({"changes": [asdict(each) for each in todo]}))
        return
    for each in todo:
        click.echo(each.text())
    if not todo:
        click.echo("nothing to change")


@deploy.command(
    cls=Command,
    examples=(
        "pilotlight deploy apply lambda -f pilotlight.yaml",
        "pilotlight deploy apply kubernetes --plan plan.json --set kubernetes.namespace=models",
        "pilotlight deploy apply cloudrun -f pilotlight.yaml --dry-run",
    ),
)
@release_flags
@dry_run_flag
@as_json_flag
@click.pass_context
def apply(context: click.Context, /, dry_run: bool, as_json: bool, **flags: Any) -> int:
    """Put it up, or change what is up to what it should be.

    The platform's limits are checked before anything is sent. Doing it again changes nothing; what
    a failed one created is gone again.
    """
    from pilotlight.deploy.rollout import pending, put_up

    chosen = choose(context, flags)
    if dry_run:
        show_changes(pending(chosen.target, chosen.release), as_json)
        return Exit.OK
    with stopped_alike():  # else a job's time limit would leave half of it behind
        found = put_up(chosen.target, chosen.release, say)
    show_standing(standing_of(chosen, found), as_json)
    return Exit.OK if found.state == "ready" else Exit.FAILURE


def say(text: str) -> None:
    """A step, as it is taken."""
    click.echo(text, err=True)


@deploy.command(
    cls=Command,
    examples=(
        "pilotlight deploy delete lambda -f pilotlight.yaml",
        "pilotlight deploy delete kubernetes -f pilotlight.yaml --yes",
    ),
)
@release_flags
@click.option("--yes", is_flag=True, help="don't ask")
@dry_run_flag
@as_json_flag
@click.pass_context
def delete(
    context: click.Context, /, yes: bool, dry_run: bool, as_json: bool, **flags: Any
) -> None:
    """Take it down, with everything that was made for it.

    It doesn't matter in which state it is; what isn't there is no error.
    """
    from pilotlight.deploy.rollout import take_down

    chosen = choose(context, flags, with_image=False)
    there = list(chosen.target.live(chosen.release))
    if not dry_run:
        if not (yes or not there):
            _confirm(chosen.release.name, chosen.target.title, there)
        take_down(chosen.target, chosen.release, say)
    if as_json:
        click.echo(json.dumps({"deleted": [] if dry_run else there, "found": there}))
        return
    verb = "would delete" if dry_run else "deleted"
    click.echo(f"{verb} {', '.join(there)}" if there else "nothing to delete")


def _confirm(name: str, title: str, there: Sequence[str]) -> None:
    click.echo(f"{name} on {title} has: {', '.join(there)}", err=True)
    click.confirm("delete all of it?", abort=True, err=True)


for _below in (status, logs, bench, image, cluster, targets):
    deploy.add_command(_below)
