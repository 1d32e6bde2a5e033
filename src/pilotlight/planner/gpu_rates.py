"""What engines reach of a GPU's peaks: constants fitted to published measurements.

docs/planner.md names the rows that they were fitted to, the rows they were tested on and the
errors; tests/planner/published holds both sets, and a test keeps them apart.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from pilotlight.planner.device import Device, Precision
from pilotlight.planner.rates import BITS, Points, Rate, Rates


@dataclass(frozen=True, slots=True, kw_only=True)
class GpuConstants:
    """One engine's, on any GPU."""

    engine: str
    bandwidth_share: float
    """Of the memory's peak, reading weights (β)."""

    type_share: Mapping[str, float]
    """Of that, for types whose unpacking costs time; 1 for the others."""

    foreign_share: float = 1.0
    """Of that, for types that the GPU can't multiply as they are, though other GPUs can."""

    precision: Mapping[str, Precision]
    """What weights of a type are multiplied in, where the GPU can; FP16 for the others."""

    compute_share: Mapping[Precision, Points]
    """(Tokens at once, share of the peak at that precision) (φ)."""

    expert_share: float = 1.0
    cache_share: float
    """Of the memory's peak, reading keys and values."""

    attention_share: float
    """Of the FP16 peak, in attention over prompts."""

    step_s: float
    layer_s: float
    expert_layer_s: float = 0.0
    sequence_s: float
    request_s: float
    allreduce_s: float
    pcie_allreduce_s: float
    link_share: float
    chunk_tokens: int
    mixed: bool = True
    error: float
    source: str
    as_of: str

    def rates(self, device: Device) -> Rates:
        """As of one GPU."""
        peak = device.peak_flop_s("fp16")
        if peak is None:
            raise ValueError(f"{device.name!r} has no FP16 rate")
        cache = Rate(
            device.bandwidth_bytes_s * self.cache_share, ((1, peak * self.attention_share),)
        )
        linked = device.link_bytes_s
        return Rates(
            device=device.name,
            engine=self.engine,
            types={name: self._rate(device, name) for name in BITS},
            attention=cache,
            expert_share=self.expert_share,
            step_s=self.step_s,
            layer_s=self.layer_s,
            expert_layer_s=self.expert_layer_s,
            sequence_s=self.sequence_s,
            request_s=self.request_s,
            allreduce_s=self.allreduce_s if device.nvlink else self.pcie_allreduce_s,
            link_bytes_s=linked * self.link_share if linked else None,
            chunk_tokens=self.chunk_tokens,
            mixed=self.mixed,
            error=self.error,
            source=self.source,
            as_of=self.as_of,
        )

    def _rate(self, device: Device, weight_type: str) -> Rate:
        wanted = self.precision.get(weight_type, "fp16")
        native = wanted in device.flop_s
        precision: Precision = wanted if native else "fp16"
        share = self.bandwidth_share * self.type_share.get(weight_type, 1.0)
        peak = device.flop_s[precision]
        return Rate(
            device.bandwidth_bytes_s * (share if native else share * self.foreign_share),
            tuple((tokens, part * peak) for tokens, part in self.compute_share[precision]),
        )


VLLM = GpuConstants(
    engine="vllm",
    bandwidth_share=0.84,
    type_share={},
    foreign_share=0.48,
    precision={"FP8": "fp8", "F8_E4M3": "fp8", "INT8": "int8", "NVFP4": "fp4"},
    compute_share={
        "fp16": ((1, 0.62),),
        "fp8": ((1, 0.81),),
        "int8": ((1, 0.32),),
        "fp4": ((1, 0.6),),
    },
    expert_share=0.25,
    cache_share=0.68,
    attention_share=0.58,
    step_s=0.62e-3,
    layer_s=32e-6,
    expert_layer_s=64e-6,
    sequence_s=36e-6,
    request_s=6e-3,
    allreduce_s=31e-6,
    pcie_allreduce_s=15e-6,
    link_share=0.47,
    chunk_tokens=2048,
    error=0.3,
    source="fitted to AccelMark (H100, A100-40, A6000) and gpustack (A100-80; H100 with few"
    " clients); FP4 as far below its peak as FP16",
    as_of="2026-08-21",
)
"""Tested on 116 rows of other GPUs: see docs/planner.md."""

INTEGER = (
    "Q2_K", "Q3_K", "Q4_0", "Q4_1", "Q4_K", "Q5_0", "Q5_1", "Q5_K", "Q6_K", "Q8_0", "IQ1_S",
    "IQ1_M", "IQ2_XXS", "IQ2_XS", "IQ2_S", "IQ3_XXS", "IQ3_S", "IQ4_NL", "IQ4_XS", "MXFP4",
)  # fmt: skip
"""What llama.cpp multiplies in INT8, with activations rounded to it."""

VECTORS_THEN_MATRICES = (
    (2, 0.019), (4, 0.032), (8, 0.035), (16, 0.066), (64, 0.17), (512, 0.23),
)  # fmt: skip
"""Up to 8 tokens llama.cpp runs one kernel that reads like a vector product; a batch of 8 does
under four times the work of one sequence."""

LLAMACPP = GpuConstants(
    engine="llamacpp",
    bandwidth_share=0.865,
    type_share=dict.fromkeys(INTEGER, 0.93),
    precision=dict.fromkeys(INTEGER, "int8"),
    compute_share={
        "fp16": ((8, 0.1), (16, 0.17), (512, 0.9)),
        "int8": VECTORS_THEN_MATRICES,
    },
    cache_share=0.24,
    attention_share=0.7,
    step_s=0.75e-3,
    layer_s=49e-6,
    sequence_s=50e-6,
    request_s=2e-3,
    allreduce_s=30e-6,
    pcie_allreduce_s=30e-6,
    link_share=0.6,
    chunk_tokens=512,
    error=0.15,
    source="fitted to llama.cpp's pull requests and XiongjieDai's tables (RTX 3090)",
    as_of="2025-12-01",
)
"""Tested on 68 rows of other GPUs: see docs/planner.md. Its FP16 product sums in FP16, which
GeForce cards do at twice the rate that the catalog has: hence 0.9."""

TRANSFORMERS = replace(
    VLLM,
    engine="transformers",
    layer_s=0.7e-3,
    step_s=3e-3,
    mixed=False,
    error=0.5,
    source="vLLM's shares of the peaks; 0.7 ms a layer for launching kernels one by one is a guess",
)

GPU_ENGINES: Mapping[str, GpuConstants] = {
    "vllm": VLLM,
    "llamacpp": LLAMACPP,
    "transformers": TRANSFORMERS,
}


def precision_of(engine: str, weight_type: str) -> Precision:
    """What `engine` multiplies weights of that type in, on GPUs that can."""
    known = GPU_ENGINES.get(engine)
    return known.precision.get(weight_type, "fp16") if known else "fp16"
