"""A model's directory, as vLLM takes it."""

from __future__ import annotations

from pathlib import Path

from pilotlight.errors import ModelFormatError
from pilotlight.store.checkpoint import Checkpoint, read_checkpoint

_CONTEXT = (
    "max_position_embeddings", "n_positions", "max_seq_len", "seq_length", "model_max_length",
    "max_sequence_length", "max_target_positions",
)  # fmt: skip


def read(path: Path) -> Checkpoint:
    """Reads headers, never weights.

    Raises:
        ModelFormatError: it is no directory, or no model that vLLM can read.
        StoreError: it can't be read.
    """
    if path.is_file():
        raise ModelFormatError(
            f"{str(path)!r} is a file, and vLLM reads a directory: config.json, a tokenizer and "
            "*.safetensors",
            hint="take the model's release in that form, or run this one with llamacpp",
        )
    return read_checkpoint(path)


def context_of(checkpoint: Checkpoint) -> int | None:
    """Tokens the model was made for; of several statements vLLM takes the smallest."""
    stated = (checkpoint.number(name) for name in _CONTEXT)
    return min((number for number in stated if number), default=None)
