"""`pilotlight deploy cluster`: the files that make a cluster to deploy on."""

from __future__ import annotations

from pathlib import Path

import click

from pilotlight.cli.command import Command
from pilotlight.cli.deploy_files import write_files
from pilotlight.cli.deploy_release import as_json_flag, dry_run_flag

PART = "cluster"


@click.command(
    cls=Command,
    examples=(
        "pilotlight deploy cluster -f pilotlight.yaml --out cluster/",
        "pilotlight deploy cluster --set machine=g2-standard-8 --set zone=us-east4-a --dry-run",
    ),
)
@click.option(
    "-f",
    "--file",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="configuration, with `cluster` in its `deploy` section",
)
@click.option(
    "--set",
    "overrides",
    multiple=True,
    metavar="KEY=VALUE",
    help="over that section, such as machine=g2-standard-8; may be repeated",
)
@click.option(
    "--out",
    type=click.Path(path_type=Path, file_okay=False),
    metavar="DIR",
    default="deploy-cluster",
    show_default=True,
    help="folder to write to",
)
@dry_run_flag
@as_json_flag
def cluster(
    file: Path | None, overrides: tuple[str, ...], out: Path, dry_run: bool, as_json: bool
) -> None:
    """Write what makes a GKE cluster, measures on it and removes it again.

    Commands and Terraform with node pools from zero; nothing is sent. Run its `run.sh` to have the
    cluster, the model on it and a benchmark of it, one after the other.
    """
    from pilotlight.deploy.kubernetes.cluster import ClusterOptions, render
    from pilotlight.deploy.section import part_of
    from pilotlight.deploy.source import of_file

    section = of_file(file).section if file else {}
    options = part_of(ClusterOptions, PART, section, overrides, source=str(file or "deploy"))
    write_files(render(options), out, dry_run, as_json)
