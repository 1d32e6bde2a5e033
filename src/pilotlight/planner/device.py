"""One accelerator, or the part of a processor that a replica gets: what a roofline needs of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from pilotlight.catalog.hardware import Cpu, Gpu

Precision = Literal["fp16", "fp8", "int8", "fp4"]

GIGA = 1e9
TERA = 1e12


@dataclass(frozen=True, slots=True, kw_only=True)
class Device:
    """Peaks, as its vendor states them for dense arithmetic; what engines reach is in `Rates`."""

    name: str
    kind: Literal["gpu", "cpu"]
    memory_bytes: int | None = None
    bandwidth_bytes_s: float
    flop_s: Mapping[Precision, float] = field(default_factory=dict, hash=False)
    """By precision; one that the hardware lacks is absent."""

    tdp_w: float | None = None
    link_bytes_s: float | None = None
    """To another device of the machine, each way."""

    nvlink: bool = False
    cores: float | None = None
    clock_hz: float | None = None
    instructions: str | None = None
    """Of a processor, in the catalog's words."""

    def peak_flop_s(self, precision: Precision) -> float | None:
        """A precision's own peak; where the hardware lacks it, arithmetic runs in FP16."""
        return self.flop_s.get(precision, self.flop_s.get("fp16"))


def gpu_device(gpu: Gpu) -> Device:
    """The catalog's row, in bytes and operations a second."""
    peaks: dict[Precision, float | None] = {
        "fp16": gpu.fp16_tflops,
        "fp8": gpu.fp8_tflops,
        "int8": gpu.int8_tops,
        "fp4": gpu.fp4_tflops,
    }
    return Device(
        name=gpu.name,
        kind="gpu",
        memory_bytes=gpu.memory_bytes,
        bandwidth_bytes_s=gpu.bandwidth_gb_s * GIGA,
        flop_s={name: peak * TERA for name, peak in peaks.items() if peak is not None},
        tdp_w=gpu.tdp_w,
        link_bytes_s=gpu.link_gb_s * GIGA,
        nvlink=gpu.nvlink_gb_s is not None,
    )


def cpu_device(cpu: Cpu, cores: float | None = None, memory_bytes: int | None = None) -> Device:
    """A socket, or `cores` of it.

    A part of a socket gets a part of its power, and of its bandwidth what its cores can pull: few
    of them don't fill the channels, and nobody else is there to count on.
    """
    used = min(cores or cpu.cores, cpu.cores)
    share = used / cpu.cores
    socket_bytes_s = cpu.bandwidth_gb_s * GIGA
    core_bytes_s = CORE_BYTES_S if cpu.core_gb_s is None else cpu.core_gb_s * GIGA
    return Device(
        name=cpu.name,
        kind="cpu",
        memory_bytes=memory_bytes,
        bandwidth_bytes_s=min(socket_bytes_s, used * core_bytes_s),
        tdp_w=cpu.tdp_w * share,
        cores=used,
        clock_hz=cpu.clock_ghz * GIGA,
        instructions=cpu.instructions,
    )


CORE_BYTES_S = 40 * GIGA
"""What one core can ask for where its row doesn't say: bounded by its outstanding cache misses.

As with channels, an engine gets a share of it: two cores of Zen 5 read weights at 25 GB/s each."""
