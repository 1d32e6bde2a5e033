"""Accelerators and processors: what they hold, move and compute, and what they draw."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from pilotlight.catalog.row import Count, Positive, Row

GpuVendor = Literal["nvidia", "amd"]
CpuVendor = Literal["intel", "amd", "aws", "google", "ampere"]
InstructionSet = Literal["avx2", "avx512", "avx512-vnni", "amx", "neon", "neon-i8mm"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Gpu(Row):
    """Rates are dense ones; vendors print sparse ones, twice as high, beside or instead of them.

    A precision that the hardware doesn't compute in is None, not the next wider one's rate.
    """

    title: str
    vendor: GpuVendor
    generation: str
    compute_capability: float | None = None
    """NVIDIA's; FP8 from 8.9, BF16 from 8.0."""

    memory_mib: Count
    """What the driver reports as total, error correction on where that is the default."""

    bandwidth_gb_s: Positive
    """Of its own memory, in 10⁹ bytes."""

    fp16_tflops: Positive
    """Matrix units, FP16 with FP32 sums where the two differ; BF16 runs at the same rate."""

    bf16: bool = True
    fp8_tflops: Positive | None = None
    int8_tops: Positive | None = None
    fp4_tflops: Positive | None = None
    tdp_w: Positive
    nvlink_gb_s: Positive | None = None
    """To the other GPUs of its machine, each way: half of what vendors print. AMD: Infinity Fabric.

    None where they talk over PCIe."""

    pcie_gb_s: Positive
    """Each way, all lanes."""

    most_per_node: Count = 8
    """Sold or built together in one machine."""

    @property
    def memory_bytes(self) -> int:
        return self.memory_mib * 2**20

    @property
    def link_gb_s(self) -> float:
        """Each way, to another GPU of the machine."""
        return self.nvlink_gb_s or self.pcie_gb_s


@dataclass(frozen=True, slots=True, kw_only=True)
class Cpu(Row):
    """One socket of a processor, or what a cloud sells of one."""

    title: str
    vendor: CpuVendor
    cores: Count
    """Physical ones."""

    threads_per_core: Count = 1
    channels: Count
    memory_mt_s: Positive
    core_gb_s: Positive | None = None
    """What one core reads alone: few cores of a large socket are bound by it, not by channels.

    None: nobody is known to have measured it."""

    instructions: InstructionSet
    """The widest that llama.cpp has kernels for."""

    clock_ghz: Positive
    """With all cores at matrix work; between the base and the turbo clock."""

    tdp_w: Positive
    memory_limit_gib: Positive | None = None
    """The most the socket takes; None: not a limit that matters."""

    @property
    def bandwidth_gb_s(self) -> float:
        """Of all its channels, eight bytes at a time."""
        return self.channels * self.memory_mt_s * 8 / 1000
