"""What each engine runs, on what, and how long its start takes: as far as a plan needs it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineFacts:
    """`start_s` is from the program's start until it could load; the model's bytes come on top."""

    name: str
    formats: tuple[str, ...]
    most_sequences: int
    """Past this many at once nothing is gained, or the engine refuses."""

    sequences_option: str
    """What its option for that is called."""

    tensor_parallel: bool
    """Several GPUs share each layer; otherwise they take layers in turn."""

    offload: bool
    """Layers that don't fit a GPU are computed by the CPU."""

    start_s: float
    gpu_start_s: float
    """Beside the program's start: CUDA's context, captured graphs."""

    load_bytes_per_s: float
    """From files in the page cache into place."""

    source: str


ENGINES: Mapping[str, EngineFacts] = {
    "llamacpp": EngineFacts(
        name="llamacpp",
        formats=("gguf",),
        most_sequences=64,
        sequences_option="parallel",
        tensor_parallel=False,
        offload=True,
        start_s=0.3,
        gpu_start_s=1.5,
        load_bytes_per_s=2e9,
        source="docs/performance.md, engines side by side (0.26 to 0.36 s to the first token)",
    ),
    "vllm": EngineFacts(
        name="vllm",
        formats=("safetensors",),
        most_sequences=256,
        sequences_option="max_num_seqs",
        tensor_parallel=True,
        offload=False,
        start_s=21.0,
        gpu_start_s=25.0,
        load_bytes_per_s=3e9,
        source="docs/performance.md, engines side by side (21 s with compiled code found again)",
    ),
    "transformers": EngineFacts(
        name="transformers",
        formats=("safetensors",),
        most_sequences=32,
        sequences_option="parallel",
        tensor_parallel=False,
        offload=False,
        start_s=2.7,
        gpu_start_s=3.0,
        load_bytes_per_s=2e9,
        source="docs/performance.md, engines side by side (2.7 s)",
    ),
}
