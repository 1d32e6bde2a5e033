"""Files of a model's true shape: read back by the store, they say and weigh what a plan does."""

from __future__ import annotations

import math
import struct
from pathlib import Path

import pytest

from pilotlight.calibration import random_weights, shaped_gguf
from pilotlight.catalog.architecture import Architecture
from pilotlight.errors import ModelFormatError
from pilotlight.planner.model import from_architecture
from pilotlight.store.gguf import read_header

from .shapes import DENSE, RECURRENT, SHAPES, like

NORMS = ("attn_q_norm", "attn_k_norm", "attn_kv_a_norm", "attn_q_a_norm", "post_")
"""Of single heads and the like: a plan leaves them out."""


@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
@pytest.mark.parametrize("mix", ["Q4_K_M", "Q8_0", "F16"])
def test_a_file_weighs_what_a_plan_says(tmp_path: Path, shape: Architecture, mix: str) -> None:
    size_bytes = shaped_gguf.write(tmp_path / "m.gguf", shape, mix)
    header = read_header(tmp_path / "m.gguf")
    planned = from_architecture("m", shape, mix, format="gguf")
    own = sum(
        each.size_bytes for each in header.tensors if not any(name in each.name for name in NORMS)
    )
    assert own == planned.weights.total_bytes
    assert size_bytes == header.file_bytes == (tmp_path / "m.gguf").stat().st_size


def test_the_header_says_the_shape(tmp_path: Path) -> None:
    shaped_gguf.write(tmp_path / "m.gguf", like(kv_heads=2), "Q4_0")
    header = read_header(tmp_path / "m.gguf")
    assert header.architecture == "llama"
    assert (header.block_count, header.embedding_length) == (4, 256)
    assert (header.head_count, header.head_count_kv) == (4, 2)
    assert header.vocabulary_size == 1000
    assert header.context_length == 2048


def test_each_token_is_another_and_merged_from_earlier_ones(tmp_path: Path) -> None:
    from pilotlight.calibration import vocabulary

    keys = vocabulary.metadata(20_000)
    tokens, merges = keys["tokenizer.ggml.tokens"], keys["tokenizer.ggml.merges"]
    assert isinstance(tokens, list)
    assert isinstance(merges, list)
    assert len(set(tokens)) == len(tokens) == 20_000
    known = set(tokens[:256])
    for merge in merges:
        first, second = str(merge).split(" ")
        assert {first, second} <= known
        known.add(first + second)
    assert known == set(tokens[:-1])


def test_a_vocabulary_too_small_for_all_bytes_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelFormatError, match="256 tokens can't spell"):
        shaped_gguf.write(tmp_path / "m.gguf", like(vocabulary=256), "Q4_0")
    assert not list(tmp_path.iterdir())


def test_a_shape_that_no_family_runs_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelFormatError, match="no file can be shaped") as caught:
        shaped_gguf.write(tmp_path / "m.gguf", RECURRENT, "Q4_0")
    assert "not recurrent" in str(caught.value.hint)


def test_a_type_without_blocks_is_refused_and_leaves_nothing(tmp_path: Path) -> None:
    kinds = dict.fromkeys(_names(DENSE), "IQ1_M")
    with pytest.raises(ModelFormatError, match="'IQ1_M'"):
        shaped_gguf.write_types(tmp_path / "m.gguf", DENSE, kinds)
    assert not list(tmp_path.iterdir())


def _names(shape: Architecture) -> list[str]:
    from pilotlight.planner.tensors import tensors

    return [each.name for each in tensors(shape)]


def test_random_floats_have_the_size_that_keeps_a_layer_steady() -> None:
    for kind, code, width in (("F16", "e", 2), ("F32", "f", 4)):
        tile = random_weights.tile(kind, 1024)[: 4096 * width]
        values = struct.unpack(f"<{len(tile) // width}{code}", tile)
        mean_square = sum(value * value for value in values) / len(values)
        assert 0.6 < math.sqrt(mean_square) * math.sqrt(1024) < 1.7
        assert any(value < 0 for value in values)


def test_random_blocks_have_finite_scales() -> None:
    """Q4_0 by its layout: a half and 16 bytes of quants, 8 standing for zero."""
    tile = random_weights.tile("Q4_0", 1024)
    total = 0.0
    for start in range(0, 18 * 256, 18):
        (scale,) = struct.unpack_from("<e", tile, start)
        quants = tile[start + 2 : start + 18]
        nibbles = [half - 8 for byte in quants for half in (byte & 15, byte >> 4)]
        total += sum((scale * each) ** 2 for each in nibbles)
    assert math.sqrt(total / (256 * 32) * 1024) == pytest.approx(1, rel=0.05)
