"""SmolLM2's tokenizer and template around the weights of a larger model, which are random.

A file that answers a real chat prompt: what it says is noise, but it takes as many bytes, as much
arithmetic and as many tokens a prompt as a real model of that size.
"""

from __future__ import annotations

import mmap
import struct
from pathlib import Path

from pilotlight.calibration import shaped_gguf
from pilotlight.calibration.gguf_writer import StoredTensor, descriptions, padded
from pilotlight.catalog.architecture import Architecture
from pilotlight.planner.mixes import types
from pilotlight.planner.tensors import tensors
from pilotlight.store.gguf_reader import GgufReader

VOCABULARY = 49_152
MIX = "Q4_K_M"
SHAPE = Architecture(
    layers=22, hidden=2048, heads=32, kv_heads=4, head_dim=64, feed_forward=5632,
    vocabulary=VOCABULARY, context=2048, tied=False,
)  # fmt: skip
"""TinyLlama 1.1B's, but for the vocabulary: 717 MB."""

LLAMA_1B = Architecture(
    layers=19, hidden=2048, heads=32, kv_heads=8, head_dim=64, feed_forward=8192,
    vocabulary=VOCABULARY, context=131072, tied=True,
)  # fmt: skip
"""Llama 3.2 1B's layers, and three more of them for its larger vocabulary: 1.26 billion weights."""

_START_BYTES = 24  # magic, version and two counts
_UINT32 = 4


def write(
    tokenizer_of: Path, path: Path, architecture: Architecture = SHAPE, mix: str = MIX
) -> int:
    """Returns the file's size in bytes."""
    pairs, metadata = _metadata(tokenizer_of, architecture)
    names = types(architecture, mix)
    stored = [
        StoredTensor(each.name, each.shape, names[each.name]) for each in tensors(architecture)
    ]
    infos = b"".join(descriptions(stored))
    head = struct.pack("<4sIQQ", b"GGUF", 3, len(stored), pairs) + metadata + infos
    with path.open("wb") as file:
        file.write(head.ljust(padded(len(head)), b"\0"))
        for piece in shaped_gguf.weights(stored):
            file.write(piece)
    return path.stat().st_size


def _metadata(source: Path, architecture: Architecture) -> tuple[int, bytes]:
    """How many pairs, and all of them, with the numbers of another shape in place."""
    with source.open("rb") as file, mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ) as memory:
        reader = GgufReader(memory, len(memory), source)
        reader.version()
        _, pairs = reader.counts()
        reader.pairs(pairs)
        metadata = bytearray(memory[_START_BYTES : reader.position])
    numbers = {
        "block_count": architecture.layers,
        "context_length": architecture.context,
        "embedding_length": architecture.hidden,
        "feed_forward_length": architecture.feed_forward,
        "attention.head_count": architecture.heads,
        "attention.head_count_kv": architecture.kv_heads,
        "rope.dimension_count": architecture.head_dim,
    }
    for key, value in numbers.items():
        name = f"llama.{key}".encode()
        kind_at = metadata.index(struct.pack("<Q", len(name)) + name) + 8 + len(name)
        assert struct.unpack_from("<I", metadata, kind_at) == (_UINT32,), key
        struct.pack_into("<I", metadata, kind_at + 4, value)
    return pairs, bytes(metadata)
