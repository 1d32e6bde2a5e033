"""Many answers' keys and values in one cache: joined, taken apart, trimmed.

A batch stands flush right: every row ends in the same column and the shorter ones begin
with padding, which the attention mask hides. A sliding layer stores fewer columns than the
sequence has, the same number for each row, so the same rule serves it.
"""

from __future__ import annotations

from typing import Any

import torch
from transformers import DynamicCache
from transformers.cache_utils import DynamicLayer, DynamicSlidingWindowLayer

JOINABLE = (DynamicLayer, DynamicSlidingWindowLayer)


def fresh(config: Any) -> DynamicCache:
    return DynamicCache(config=config)


def is_joinable(cache: DynamicCache) -> bool:
    """Whether all its state is keys and values by column; recurrent state is not.

    A subclass may keep more than that, so the type must be the very one.
    """
    return all(type(layer) in JOINABLE for layer in cache.layers)


def join(batch: DynamicCache, one: DynamicCache) -> None:
    """Add the rows of `one` below those of `batch`, in place."""
    width = max(batch.get_seq_length(), one.get_seq_length())
    for ours, theirs in zip(batch.layers, one.layers, strict=True):
        if not theirs.is_initialized:
            continue  # a layer that shares another's keys has none of its own
        stored = _stored(ours, width)
        ours.keys = torch.cat([_padded(ours.keys, stored), _padded(theirs.keys, stored)])
        ours.values = torch.cat([_padded(ours.values, stored), _padded(theirs.values, stored)])
        _set_width(ours, width)


def keep(cache: DynamicCache, rows: list[int], width: int) -> None:
    """Only `rows`, and of their columns the last `width`, in place."""
    for layer in cache.layers:
        if not layer.is_initialized:
            continue
        index = torch.tensor(rows, device=layer.keys.device)
        stored = _stored(layer, width)
        layer.keys = layer.keys.index_select(0, index)[:, :, -stored:]
        layer.values = layer.values.index_select(0, index)[:, :, -stored:]
        _set_width(layer, width)


def _stored(layer: Any, width: int) -> int:
    return min(width, layer.sliding_window - 1) if layer.is_sliding else width


def _set_width(layer: Any, width: int) -> None:
    if layer.is_sliding:
        layer.cumulative_length = width


def _padded(states: torch.Tensor, width: int) -> torch.Tensor:
    return torch.nn.functional.pad(states, (0, 0, width - states.shape[-2], 0))
