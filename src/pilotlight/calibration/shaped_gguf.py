"""A GGUF file of any model's true shape, with random weights: as large and as fast as the model.

llama.cpp loads it like any other, so speed and memory can be measured where the weights themselves
aren't at hand. What such a model says is noise.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from pilotlight.calibration import random_weights, vocabulary
from pilotlight.calibration.families import Family, family_of
from pilotlight.calibration.gguf_writer import StoredTensor, Value, header, padded
from pilotlight.catalog.architecture import Architecture
from pilotlight.planner.mixes import types
from pilotlight.planner.tensors import tensors


def write(path: Path, architecture: Architecture, mix: str) -> int:
    """Write the model at `path` with the types that llama.cpp's `mix` gives its tensors.

    `mix` is ``Q4_0``, ``Q4_K_M``, ``Q8_0``, ``F16``, … Returns the file's size in bytes; the file
    is there whole or not at all. Blocks for as long as the disk takes.

    Raises:
        ModelFormatError: llama.cpp runs no model of that shape that can be written here.
    """
    return write_types(path, architecture, types(architecture, mix))


def write_types(path: Path, architecture: Architecture, type_names: Mapping[str, str]) -> int:
    """As `write`, with the ggml type of each tensor by its name."""
    family = family_of(architecture)
    stored = _stored(family, architecture, type_names)
    metadata = _metadata(family, architecture)
    unfinished = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with unfinished.open("wb") as file:
            file.write(header(metadata, stored))
            for piece in weights(stored):
                file.write(piece)
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)
    return path.stat().st_size


def _stored(
    family: Family, architecture: Architecture, type_names: Mapping[str, str]
) -> Sequence[StoredTensor]:
    known = tensors(architecture)
    stored = [StoredTensor(each.name, each.shape, type_names[each.name]) for each in known]
    return [*stored, *family.more_tensors(architecture)]


def _metadata(family: Family, architecture: Architecture) -> Mapping[str, Value]:
    return {
        "general.architecture": family.name,
        "general.name": "shaped",
        **{f"{family.name}.{key}": value for key, value in family.numbers(architecture).items()},
        **vocabulary.metadata(architecture.vocabulary),
    }


def weights(stored: Sequence[StoredTensor]) -> Iterator[memoryview | bytes]:
    """All that follows a header, piece by piece."""
    tiles: dict[tuple[str, int], bytes] = {}
    for tensor in stored:
        if len(tensor.shape) == 1:
            yield random_weights.ones(tensor.shape[0])
        else:
            kind = tensor.type_name, tensor.shape[0]
            if kind not in tiles:
                tiles[kind] = random_weights.tile(*kind)
            yield from random_weights.repeated(tiles[kind], tensor.size_bytes)
        yield bytes(padded(tensor.size_bytes) - tensor.size_bytes)
