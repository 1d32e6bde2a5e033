"""The tensors of a model's directory, by name, from its files' headers."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path

from pilotlight.errors import StoreError
from pilotlight.store.checkpoint import Checkpoint, weight_files
from pilotlight.store.safetensors import TensorHeader, read_tensors

_OPEN = ("F64", "F32", "F16", "BF16", "F8_E4M3", "F8_E5M2")
"""Types in which a weight has the extents it computes with; others are packed."""


def tensors_of(checkpoint: Checkpoint) -> Mapping[str, TensorHeader]:
    """Empty where all weights are pickled. Kept while the files are unchanged.

    Raises:
        ModelFormatError, StoreError: the files are not what they were when it was read.
    """
    try:
        files = [(path, path.stat()) for path in weight_files(checkpoint.directory)]
    except OSError as error:
        raise StoreError(f"can't read {error.filename!r}: {error.strerror}") from error
    return _read(tuple((path, stat.st_size, stat.st_mtime_ns) for path, stat in files))


@lru_cache(maxsize=16)
def _read(stamped: tuple[tuple[Path, int, int], ...]) -> Mapping[str, TensorHeader]:
    found: dict[str, TensorHeader] = {}
    for path, _, _ in stamped:
        found.update(read_tensors(path))
    return found


def tells_extents(tensor: TensorHeader) -> bool:
    """Whether a linear layer's shape is its outputs, then its inputs."""
    return tensor.dtype in _OPEN


def linear_extents(checkpoint: Checkpoint) -> int:
    """Inputs and outputs of all matrices together: what each rank of an adapter has numbers for."""
    matrices = (
        tensor
        for tensor in tensors_of(checkpoint).values()
        if len(tensor.shape) == 2 and tells_extents(tensor)
    )
    return sum(sum(tensor.shape) for tensor in matrices)
