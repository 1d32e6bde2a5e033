"""The cluster as files: gcloud's commands and Terraform's resources say the same."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from pilotlight.deploy.kubernetes.cluster import gcloud, script, terraform
from pilotlight.deploy.kubernetes.cluster.options import CHANNELS, ClusterOptions
from pilotlight.deploy.kubernetes.cluster.pools import Pool, pools
from pilotlight.deploy.kubernetes.machines import machines
from pilotlight.deploy.resources import Files
from pilotlight.deploy.violation import Violation, refuse

_NAME = re.compile(r"[a-z]([-a-z0-9]{0,38}[a-z0-9])?")
_ZONE = re.compile(r"[a-z]+-[a-z]+\d+-[a-z]")


def render(options: ClusterOptions) -> Files:
    """Raises DeployLimitError: GKE would refuse it."""
    refuse("GKE", check(options))
    found = pools(options)
    return {
        "README.md": _readme(options, found),
        "run.sh": script.run(options),
        "cluster.sh": gcloud.commands(options, found),
        "terraform/main.tf": terraform.main(options, found),
        "terraform/variables.tf": terraform.variables(options),
        "terraform/outputs.tf": terraform.outputs(),
    }


def check(options: ClusterOptions) -> Sequence[Violation]:
    return tuple(_check(options))


def _check(options: ClusterOptions) -> Iterator[Violation]:
    if not _NAME.fullmatch(options.name):
        yield Violation(
            "a cluster's name has at most 40 lower-case letters, digits and dashes",
            repr(options.name),
            "set name=pilotlight",
        )
    if not _ZONE.fullmatch(options.zone):
        yield Violation("a zone is such as us-central1-a", repr(options.zone), "set zone")
    if options.machine not in machines():
        known = ", ".join(machines())
        yield Violation(f"machine is one of {known}", repr(options.machine), "choose one of them")
    if options.channel not in CHANNELS:
        expected = ", ".join(CHANNELS)
        yield Violation(f"channel is one of {expected}", repr(options.channel), "set regular")
    if options.gpu_nodes < 1:
        yield Violation("at least one node for engines", str(options.gpu_nodes), "set gpu_nodes=1")
    if options.gateway_nodes < 1:
        yield Violation("at least one for gateways", str(options.gateway_nodes), "set 1")
    if options.disk < 50:
        yield Violation("a GPU image needs 50 GiB or more", str(options.disk), "set disk=200")


def _readme(options: ClusterOptions, found: Sequence[Pool]) -> str:
    rows = "\n".join(
        f"| {pool.name} | {pool.machine} | {pool.least} to {pool.most} | {pool.why} |"
        for pool in found
    )
    return f"""\
# The cluster {options.name}

Written by `pilotlight deploy cluster`. From nothing to a benchmark in one go:

```sh
sh run.sh            # create, apply, bench; then `sh run.sh delete`
```

or step by step: `sh run.sh create`, `apply`, `bench`, `delete`. Each can be run again.
`terraform/` makes the same cluster, for whoever keeps state: `terraform init && terraform apply`.

| pool | machine | nodes | for |
| --- | --- | --- | --- |
{rows}

Nodes with accelerators are billed from their start to ten minutes after their last pod; the others
always. Nothing here was run against Google Cloud by this project's tests: its form is checked, its
quotas and prices are yours to see.
"""
