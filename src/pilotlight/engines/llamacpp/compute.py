"""Working memory of one computation: what llama.cpp's graph allocator asks for on a CPU.

A formula fitted to ``llama_context`` 's own report of its compute buffer: exact
to 1 % for dense, grouped-query, windowed and mixture models at several widths,
micro-batches and contexts. The peak is in one of three phases, so it is their
maximum; activations are F32.
"""

from __future__ import annotations

from pilotlight.engines.llamacpp.options import Options
from pilotlight.engines.llamacpp.sizing import Sizing
from pilotlight.store.gguf import GgufHeader, PerLayer

F32, F16 = 4, 2


def compute_bytes(header: GgufHeader, options: Options, sizing: Sizing) -> int:
    width = header.embedding_length or 0
    keys = sizing.n_ctx if options.kv_unified else sizing.n_ctx // sizing.slots
    windowed = 2 if header.sliding_window else 1
    feed_forward = sizing.ubatch * F32 * (_feed_forward(header, width) + 5 * width)
    logits = F32 * (
        _outputs(options, sizing) * (header.vocabulary_size or 0) + sizing.ubatch * 6 * width
    )
    if options.flash_attention == "off":
        scores = sizing.ubatch * keys * F32 * (largest(header.head_count) + windowed)
        return max(feed_forward, logits, scores + sizing.ubatch * F32 * 7 * width)
    masks = sizing.ubatch * keys * F16 * windowed
    return max(feed_forward, logits) + masks


def _feed_forward(header: GgufHeader, width: int) -> int:
    """Values a token needs in the widest layer: gate, up and their product."""
    dense = 3 * largest(header.per_layer("feed_forward_length"))
    used = largest(header.per_layer("expert_used_count"))
    inner = largest(header.per_layer("expert_feed_forward_length")) or dense // 3
    if not used:
        return dense
    return max(dense, used * (2 * inner + width) - 2 * width, used * (inner + 2 * width))


def _outputs(options: Options, sizing: Sizing) -> int:
    """Rows of logits in one batch (server_output_limits in llama.cpp's server-context.cpp)."""
    if sizing.embeds:
        return sizing.ubatch if sizing.generates else 0
    guessed = (options.speculative.draft_max or 16) if options.speculative else 0
    return sizing.slots * (1 + guessed)


def largest(value: PerLayer | None) -> int:
    return max(value, default=0) if isinstance(value, tuple) else value or 0
