"""vLLM and transformers on processors: coarse, from one machine and one model.

docs/performance.md has them side by side on two cores of an EPYC (Zen 5), 135M parameters in BF16,
at 1 to 32 sequences. Products scale with cores, clock and the instructions at hand; what Python
does for a layer and a sequence doesn't.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from pilotlight.planner.device import Device
from pilotlight.planner.rates import Rate, Rates

PER_CYCLE: Mapping[str, float] = {
    "avx2": 12.0,
    "avx512": 24.0,
    "avx512-vnni": 80.0,
    "amx": 250.0,
    "neon": 8.0,
    "neon-i8mm": 24.0,
}
"""BF16 operations that oneDNN reaches in a cycle of one core: about half of what the units do."""

FLOAT_TYPES = ("BF16", "F16", "F32", "FP8", "INT8", "INT4", "NF4")
"""The quantized ones are unpacked to floats on the way."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CpuEngine:
    """One engine's overheads; the products are PyTorch's for both."""

    engine: str
    step_s: float
    layer_s: float
    sequence_s: float
    request_s: float
    mixed: bool
    chunk_tokens: int

    def rates(self, device: Device) -> Rates:
        """On `device`, of which cores, clock and instructions must be known."""
        per_cycle = PER_CYCLE[device.instructions or "avx2"]
        flop_s = per_cycle * (device.cores or 1.0) * (device.clock_hz or 2.5e9)
        products = Rate(device.bandwidth_bytes_s * BANDWIDTH_SHARE, ((1, flop_s),))
        return Rates(
            device=device.name,
            engine=self.engine,
            types=dict.fromkeys(FLOAT_TYPES, products),
            attention=Rate(products.read_bytes_s / 2, ((1, flop_s / 4),)),
            step_s=self.step_s,
            layer_s=self.layer_s,
            sequence_s=self.sequence_s,
            request_s=self.request_s,
            mixed=self.mixed,
            chunk_tokens=self.chunk_tokens,
            error=0.5,
            source="docs/performance.md, engines side by side on two cores; other processors by"
            " cores, clock and instructions",
            as_of="2026-11-20",
        )


BANDWIDTH_SHARE = 0.75

CPU_ENGINES: Mapping[str, CpuEngine] = {
    "vllm": CpuEngine(
        engine="vllm",
        step_s=0.4e-3,
        layer_s=40e-6,
        sequence_s=0.3e-3,
        request_s=8e-3,
        mixed=True,
        chunk_tokens=2048,
    ),
    "transformers": CpuEngine(
        engine="transformers",
        step_s=4e-3,
        layer_s=0.6e-3,
        sequence_s=3.5e-3,
        request_s=5e-3,
        mixed=False,
        chunk_tokens=1 << 20,
    ),
}
