"""GKE's machine types: what a node of each has, and what it leaves to pods."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache

from pilotlight.catalog.platform import CpuArchitecture
from pilotlight.deploy.kubernetes.facts import read
from pilotlight.deploy.size import Size

GIB = 2**30
EVICTION_GIB = 100 / 1024
"""Kept free on every node, beside the share that GKE takes."""

# Shares that GKE keeps of a node: cloud.google.com/kubernetes-engine/docs/concepts/plan-node-sizes.
_MEMORY_SHARES = ((4, 0.25), (4, 0.20), (8, 0.10), (112, 0.06), (float("inf"), 0.02))
_CPU_SHARES = ((1, 0.06), (1, 0.01), (2, 0.005), (float("inf"), 0.0025))


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    name: str
    vcpus: int
    memory_gib: int
    gpu: str | None = None
    gpus: int = 0
    tpus: int = 0
    topology: str | None = None
    label: str | None = None
    architecture: CpuArchitecture = "x86_64"

    @property
    def allocatable_bytes(self) -> int:
        """What pods may ask for together."""
        return int((self.memory_gib - _kept(self.memory_gib, _MEMORY_SHARES) - EVICTION_GIB) * GIB)

    @property
    def allocatable_vcpus(self) -> float:
        return round(self.vcpus - _kept(self.vcpus, _CPU_SHARES), 4)

    @property
    def selector(self) -> dict[str, str]:
        """Labels that GKE puts on such nodes, the machine type aside."""
        if self.tpus:
            labels = {"gke-tpu-accelerator": self.label, "gke-tpu-topology": self.topology}
            return {f"cloud.google.com/{key}": str(value) for key, value in labels.items()}
        return {"cloud.google.com/gke-accelerator": self.label} if self.label else {}

    @property
    def devices(self) -> dict[str, int]:
        """Accelerators of one node, by the name of the resource."""
        found = {"nvidia.com/gpu": self.gpus, "google.com/tpu": self.tpus}
        return {name: count for name, count in found.items() if count}


def _kept(amount: float, shares: tuple[tuple[float, float], ...]) -> float:
    """A share of the first few, a smaller one of the next, and so on."""
    kept = 0.0
    for width, share in shares:
        step = min(amount, width)
        kept += step * share
        amount -= step
    return kept


@cache
def machines() -> Mapping[str, Machine]:
    return {n: Machine(name=n, **row) for n, row in read("gke.yaml")["machines"].items()}


def pick(size: Size, name: str | None) -> Machine | None:
    """The one of that name; else the smallest with just these GPUs that holds a pod of `size`.

    None: there is no such machine, or nothing special is asked for.
    """
    if name is not None:
        return machines().get(name)
    if size.gpu is None:
        return None
    have = [m for m in machines().values() if m.gpu == size.gpu and m.gpus == size.gpus]
    # More of the same GPU to a node than a pod takes is fine: nodes are shared.
    have = have or [m for m in machines().values() if m.gpu == size.gpu and m.gpus > size.gpus]
    enough = [m for m in have if holds(m, size)]
    return min(enough or have, key=lambda m: (m.gpus, m.vcpus, m.memory_gib), default=None)


def holds(machine: Machine, size: Size) -> bool:
    """Whether a pod of `size` fits an empty node."""
    return (
        size.memory_bytes <= machine.allocatable_bytes and size.vcpus <= machine.allocatable_vcpus
    )
