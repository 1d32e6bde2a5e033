"""Ways to store weights: how many bits, how much is lost, how fast they are read."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from pilotlight.catalog.row import NotNegative, Positive, Row, Share

Compute = Literal["fp16", "fp8", "int8", "fp4"]
QuantizationFormat = Literal["gguf", "safetensors"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Quantization(Row):
    """One name such as Q4_K_M or awq; of llama.cpp's mixes the figures are a whole file's.

    The losses are those of one model each and don't transfer to another: a reason to measure,
    not a promise.
    """

    title: str
    format: QuantizationFormat
    engines: tuple[str, ...]
    """That run it: llamacpp, vllm, transformers, ollama."""

    bits_per_weight: Positive
    """Of the linear layers (safetensors), of a whole Llama-3.1-8B file (gguf)."""

    block_type: str | None = None
    """ggml's type that most of the weights have; None outside GGUF."""

    bulk_bits: Positive | None = None
    """Of `block_type` itself."""

    compute: Compute = "fp16"
    """What a GPU multiplies in, where it can; weights that are narrower are widened first."""

    minimum_capability: Positive | None = None
    """NVIDIA's compute capability from which a GPU computes in it.

    Some older ones can widen such weights first; plans don't count on it."""

    bandwidth_share: Share | None = None
    """Of F16's share of the memory rate, when weights are read for one token."""

    kl_divergence: NotNegative | None = None
    """Mean, against F16, of Llama-3-8B."""

    perplexity_increase: NotNegative | None = None
    """Of Llama-3-8B, over F16's 6.23."""

    importance_matrix: bool = False
    """Whether those two were measured with one, without which few would use it."""

    large_model_loss_percent: NotNegative | None = None
    """Of perplexity, Llama-2-70B."""

    note: str | None = None
