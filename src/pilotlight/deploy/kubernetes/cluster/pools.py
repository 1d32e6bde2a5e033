"""The groups of nodes that a cluster has, whoever makes it."""

from __future__ import annotations

from dataclasses import dataclass

from pilotlight.deploy.kubernetes.cluster.options import ClusterOptions
from pilotlight.deploy.kubernetes.machines import Machine, machines


@dataclass(frozen=True, slots=True, kw_only=True)
class Pool:
    name: str
    machine: str
    least: int
    most: int
    disk_gib: int
    disk_type: str
    spot: bool
    accelerator: str | None
    accelerators: int
    why: str


def pools(options: ClusterOptions) -> tuple[Pool, ...]:
    machine = machines()[options.machine]
    return (
        Pool(
            name="gateways",
            machine=options.gateway_machine,
            least=options.gateway_nodes,
            most=options.gateway_nodes + 1,
            disk_gib=50,
            disk_type="pd-balanced",
            spot=False,
            accelerator=None,
            accelerators=0,
            why="the gateway, and what the cluster itself runs",
        ),
        Pool(
            name="engines",
            machine=machine.name,
            least=0,
            most=options.gpu_nodes,
            disk_gib=options.disk,
            disk_type=_disk_of(machine),
            spot=options.spot,
            # A TPU comes with its machine type; a GPU is named beside it.
            accelerator=machine.label if machine.gpu else None,
            accelerators=machine.gpus,
            why="engines, none of them while nobody asks",
        ),
    )


def _disk_of(machine: Machine) -> str:
    """N4, C4A and A3 Ultra take Hyperdisks alone."""
    alone = machine.name.startswith(("n4-", "c4a-", "a3-ultragpu-"))
    return "hyperdisk-balanced" if alone else "pd-balanced"
