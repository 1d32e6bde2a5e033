"""What one replica computes on, and in how many ways a machine can be shared out."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from pilotlight.catalog.hardware import Cpu, Gpu
from pilotlight.catalog.platform import Family, Offer, Rentable


@dataclass(frozen=True, slots=True, kw_only=True)
class Hardware:
    """The share of a machine that one replica has. Equal ones are equally fast, whoever rents them.

    `ram_bytes` is what is left for the engine: the operating system's part is off already.
    """

    gpu: Gpu | None
    gpus: int
    cpu: Cpu
    cores: float
    """Physical ones; a seller's vCPU is mostly a thread."""

    vcpus: float
    ram_bytes: int

    @property
    def name(self) -> str:
        if self.gpu is None:
            return f"{self.vcpus:.3g} vCPU"
        short = short_title(self.gpu)
        return short if self.gpus == 1 else f"{self.gpus}× {short}"

    @property
    def gpu_bytes(self) -> tuple[int, ...]:
        return () if self.gpu is None else (self.gpu.memory_bytes,) * self.gpus


def short_title(gpu: Gpu) -> str:
    """As people say it."""
    return gpu.title.removeprefix("NVIDIA ").removeprefix("GeForce ").removeprefix("AMD Instinct ")


@dataclass(frozen=True, slots=True, kw_only=True)
class Share:
    """A machine as `copies` replicas of one `hardware`."""

    hardware: Hardware
    copies: int


_CONTAINER_BYTES, _MACHINE_BYTES = 200 * 10**6, 10**9
"""What the operating system and Pilotlight itself take; a container shares its host's."""


def _system_bytes(family: Family) -> int:
    return _MACHINE_BYTES if family in ("machine", "owned") else _CONTAINER_BYTES


def shares(rentable: Rentable, gpu: Gpu | None, cpu: Cpu, max_gpus: int) -> Iterator[Share]:
    """The machine whole, and cut in halves down to one GPU a replica. A CPU isn't cut.

    A replica over `max_gpus` isn't made; what doesn't divide evenly isn't either.
    """
    offer = rentable.offer
    ram_bytes = max(offer.memory_bytes - _system_bytes(rentable.platform.family), 1)
    if gpu is None:
        yield Share(hardware=_cut(offer, ram_bytes, None, cpu, 1), copies=1)
        return
    copies = 1
    while copies <= offer.gpus:
        if offer.gpus % copies == 0 and offer.gpus // copies <= max_gpus:
            yield Share(hardware=_cut(offer, ram_bytes, gpu, cpu, copies), copies=copies)
        copies *= 2


def _cut(offer: Offer, ram_bytes: int, gpu: Gpu | None, cpu: Cpu, copies: int) -> Hardware:
    return Hardware(
        gpu=gpu,
        gpus=offer.gpus // copies if gpu else 0,
        cpu=cpu,
        cores=offer.cores / copies,
        vcpus=offer.vcpus / copies,
        ram_bytes=ram_bytes // copies,
    )
