"""Whether an architecture's numbers can be those of a model at all."""

from __future__ import annotations

from collections.abc import Iterator

from pilotlight.catalog.architecture import Architecture


def contradictions(shape: Architecture) -> Iterator[tuple[str, str]]:
    """Each wrong field with what it should be; none for a shape that is possible."""
    for name in ("layers", "hidden", "vocabulary", "context"):
        if getattr(shape, name) < 1:
            yield name, "at least 1"
    if shape.recurrent and not 0 < shape.recurrent.layers <= shape.layers:
        yield "recurrent.layers", f"1 to {shape.layers}, the layers there are"
    if shape.attention_layers > 0:
        yield from _of_attention(shape)
    if shape.experts:
        yield from _of_experts(shape)


def _of_attention(shape: Architecture) -> Iterator[tuple[str, str]]:
    for name in ("heads", "kv_heads", "head_dim"):
        if getattr(shape, name) < 1:
            yield name, "at least 1"
            return
    if shape.heads % shape.kv_heads:
        yield "kv_heads", f"a divisor of {shape.heads}, the heads"
    if shape.window and not 0 < shape.window.layers <= shape.attention_layers:
        yield "window.layers", f"1 to {shape.attention_layers}, the layers that attend"


def _of_experts(shape: Architecture) -> Iterator[tuple[str, str]]:
    experts = shape.experts
    assert experts
    if experts.count < 1:
        yield "experts.count", "at least 1"
    elif not 0 < experts.used <= experts.count:
        yield "experts.used", f"1 to {experts.count}, the experts there are"
    if experts.width < 1:
        yield "experts.width", "at least 1"
    if not 0 <= experts.dense_layers < shape.layers:
        yield "experts.dense_layers", f"fewer than {shape.layers}, the layers there are"
