"""Reading GGUF headers: what they say, how fast, and what happens when they lie."""

from __future__ import annotations

import struct
import time
from dataclasses import replace
from pathlib import Path

import pytest
from gguf_writer import (
    ARRAY,
    BOOL,
    F32,
    I32,
    MODEL_PAIRS,
    MODEL_TENSORS,
    STRING,
    U32,
    U64,
    Pair,
    Tensor,
    gguf,
    text,
)
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pilotlight.errors import ModelFormatError, StoreError
from pilotlight.store.gguf import ArrayInfo, GgufHeader, TensorInfo, read_header


def read(tmp_path: Path, body: bytes) -> GgufHeader:
    path = tmp_path / "model.gguf"
    path.write_bytes(body)
    return read_header(path)


def with_pairs(*pairs: Pair) -> bytes:
    """The small model with some pairs replaced or added."""
    merged = {pair.key: pair for pair in (*MODEL_PAIRS, *pairs)}
    return gguf(merged.values())


@pytest.mark.parametrize("version", [2, 3])
def test_says_what_the_file_says(tmp_path: Path, version: int) -> None:
    body = gguf(version=version)
    header = read(tmp_path, body)
    assert (header.version, header.architecture, header.name) == (version, "llama", "Tiny")
    assert (header.block_count, header.context_length, header.embedding_length) == (2, 512, 64)
    assert (header.head_count, header.head_count_kv) == (4, 2)
    assert (header.key_length, header.value_length) == (16, 16)
    assert (header.vocabulary_size, header.sliding_window) == (3, None)
    assert header.chat_template == "{{ messages }}"
    assert header.metadata["general.flag"] is True
    assert header.metadata["tokenizer.ggml.scores"] == (0.5, -1.0, 2.0)
    assert header.arrays["tokenizer.ggml.tokens"] == ArrayInfo("string", 3)
    assert header.file_bytes == len(body)


def test_tensors_have_their_bytes_and_places(tmp_path: Path) -> None:
    header = read(tmp_path, gguf())
    assert header.tensors == (
        TensorInfo("token_embd.weight", (64, 3), 1, "F16", 384, 0),
        TensorInfo("blk.0.attn_q.weight", (64, 64), 2, "Q4_0", 2304, 384),
        TensorInfo("output_norm.weight", (5,), 0, "F32", 20, 2688),
    )
    assert header.weights_bytes == 384 + 2304 + 20
    assert header.parameter_count == 64 * 3 + 64 * 64 + 5
    assert header.data_offset + 2688 + 20 == header.file_bytes


def test_stated_widths_win_over_derived_ones(tmp_path: Path) -> None:
    header = read(
        tmp_path,
        with_pairs(
            Pair("llama.attention.key_length", U32, 192),
            Pair("llama.attention.value_length", U64, 128),
            Pair("llama.attention.sliding_window", U32, 4096),
            Pair("llama.vocab_size", U32, 99),
        ),
    )
    assert (header.key_length, header.value_length) == (192, 128)
    assert (header.sliding_window, header.vocabulary_size) == (4096, 99)


def test_heads_may_differ_by_layer(tmp_path: Path) -> None:
    per_layer = Pair("llama.attention.head_count_kv", ARRAY, (2, 0), I32)
    heads = Pair("llama.attention.head_count", ARRAY, (4, 8), U32)
    pattern = Pair("llama.attention.sliding_window_pattern", ARRAY, (True, False), BOOL)
    header = read(tmp_path, with_pairs(per_layer, heads, pattern))
    assert (header.head_count, header.head_count_kv) == ((4, 8), (2, 0))
    assert header.key_length == 8
    assert header.metadata[pattern.key] == (True, False)


def test_absent_is_none(tmp_path: Path) -> None:
    header = read(tmp_path, gguf([Pair("general.architecture", STRING, "odd")], []))
    assert header.architecture == "odd"
    unsaid = (
        header.block_count,
        header.head_count,
        header.head_count_kv,
        header.key_length,
        header.vocabulary_size,
        header.context_length,
        header.chat_template,
    )
    assert set(unsaid) == {None}


def test_long_arrays_are_counted_not_kept(tmp_path: Path) -> None:
    scores = Pair("tokenizer.ggml.scores", ARRAY, (0.0,) * 1025, F32)
    header = read(tmp_path, with_pairs(scores))
    assert header.arrays[scores.key] == ArrayInfo("float32", 1025)
    assert scores.key not in header.metadata


def test_alignment_is_the_files_own(tmp_path: Path) -> None:
    pairs = (*MODEL_PAIRS, Pair("general.alignment", U32, 128))
    header = read(tmp_path, gguf(pairs, alignment=128))
    assert header.data_offset % 128 == 0
    assert header.tensors[2].offset == 2688


def test_a_quarter_million_tokens_and_merges_cost_little_time(tmp_path: Path) -> None:
    words = [f"token{number}" for number in range(250_000)]
    body = with_pairs(
        Pair("tokenizer.ggml.tokens", ARRAY, words, STRING),
        Pair("tokenizer.ggml.scores", ARRAY, [0.0] * len(words), F32),
    )
    path = tmp_path / "large.gguf"
    path.write_bytes(body)
    times_s = []
    for _ in range(5):
        started_s = time.process_time()
        assert read_header(path).vocabulary_size == 250_000
        times_s.append(time.process_time() - started_s)
    assert min(times_s) < 0.1


@pytest.mark.parametrize("kept", [5, 24, 200])
def test_a_cut_header_names_the_bytes(tmp_path: Path, kept: int) -> None:
    with pytest.raises(ModelFormatError, match=rf"is cut: .* byte \d+, it has {kept}"):
        read(tmp_path, gguf()[:kept])


def test_cut_weights_name_both_sizes(tmp_path: Path) -> None:
    body = gguf()
    with pytest.raises(ModelFormatError, match=f"need {len(body)} bytes, it has {len(body) - 1}"):
        read(tmp_path, body[:-1])


@pytest.mark.parametrize("body", [b"", b"GG", b"PK\x03\x04rest of a zip file, long enough"])
def test_another_kind_of_file_is_shown(tmp_path: Path, body: bytes) -> None:
    with pytest.raises(ModelFormatError) as caught:
        read(tmp_path, body)
    assert repr(body[:4]) in str(caught.value)


def test_a_missing_file_is_no_format_error(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="No such file") as caught:
        read_header(tmp_path / "none.gguf")
    assert not isinstance(caught.value, ModelFormatError)


def header_of(*, tensors: int = 0, pairs: int = 0, version: int = 3) -> bytes:
    return b"GGUF" + struct.pack("<IQQ", version, tensors, pairs)


_ARRAY_OF = text("a") + struct.pack("<II", ARRAY, STRING)
_LIES = {
    "version 1": header_of(version=1),
    "version 4": header_of(version=4),
    "big-endian": b"GGUF" + struct.pack(">IQQ", 3, 0, 0),
    "metadata pairs": header_of(pairs=2**63),
    "tensors": header_of(tensors=2**63),
    "string of": header_of(pairs=1) + struct.pack("<Q", 2**40) + bytes(16),
    "strings of 'a'": header_of(pairs=1) + _ARRAY_OF + struct.pack("<Q", 2**62),
    "a string of 'a'": header_of(pairs=1) + _ARRAY_OF + struct.pack("<QQ", 2, 2**64 - 1) + bytes(8),
    "unknown type 99": header_of(pairs=1) + text("a") + struct.pack("<I", 99) + bytes(8),
    "element type 9": header_of(pairs=1) + text("a") + struct.pack("<IIQ", ARRAY, ARRAY, 0),
    "not UTF-8": header_of(pairs=1) + struct.pack("<Q", 2) + b"\xff\xfe" + bytes(16),
    "key 'a' twice": gguf([Pair("a", U32, 1), Pair("a", U32, 1)], []),
    "alignment": gguf([Pair("general.alignment", U32, 12)], []),
    "'t' twice": gguf([], [Tensor("t", (1,), 0, 4)] * 2),
    "unknown type 31": gguf([], [Tensor("t", (32,), 31, 4)]),
    "rows of 33": gguf([], [Tensor("t", (33,), 2, 18)]),
    "5 dimensions": gguf([], [Tensor("t", (1,) * 5, 0, 4)]),
    "expected": gguf([], [Tensor("t", (1,), 0, 64), Tensor("u", (1,), 0, 4)]),
}


@pytest.mark.parametrize("fault", _LIES)
def test_a_lie_is_named(tmp_path: Path, fault: str) -> None:
    with pytest.raises(ModelFormatError) as caught:
        read(tmp_path, _LIES[fault])
    assert fault in str(caught.value)


def test_a_zero_filled_vocabulary_ends_quickly(tmp_path: Path) -> None:
    """A hole in a sparse file reads as endless empty strings."""
    path = tmp_path / "sparse.gguf"
    path.write_bytes(header_of(pairs=1) + _ARRAY_OF + struct.pack("<Q", 2**30))
    with path.open("r+b") as file:
        file.truncate(2**34)
    with pytest.raises(ModelFormatError, match="claims 1073741824 strings"):
        read_header(path)


_VALID = gguf()


@settings(
    max_examples=400, deadline=2000, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    end=st.integers(0, len(_VALID)),
    flips=st.lists(st.tuples(st.integers(0, len(_VALID) - 1), st.integers(1, 255)), max_size=4),
)
def test_damage_is_a_format_error_or_harmless(
    tmp_path: Path, end: int, flips: list[tuple[int, int]]
) -> None:
    damaged = bytearray(_VALID)
    for position, mask in flips:
        damaged[position] ^= mask
    try:
        header = read(tmp_path, bytes(damaged[: max(end, 1)]))
    except ModelFormatError:
        return
    assert header.data_offset + header.weights_bytes <= header.file_bytes
    assert isinstance(header.architecture, str)


@given(values=st.lists(st.integers(-(2**31), 2**31 - 1), max_size=40))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_small_arrays_come_back_as_written(tmp_path: Path, values: list[int]) -> None:
    header = read(tmp_path, with_pairs(Pair("llama.numbers", ARRAY, values, I32)))
    assert header.per_layer("numbers") == tuple(values)


def test_every_type_has_whole_blocks(tmp_path: Path) -> None:
    """A tensor of one block of each type, and the sum is right."""
    blocks = {0: (1, 4), 2: (32, 18), 8: (32, 34), 12: (256, 144), 14: (256, 210), 30: (1, 2),
              39: (32, 17), 40: (64, 36)}  # fmt: skip
    tensors = [Tensor(f"t{kind}", (row, 3), kind, 3 * size) for kind, (row, size) in blocks.items()]
    header = read(tmp_path, gguf(MODEL_PAIRS, tensors))
    assert header.weights_bytes == sum(3 * size for _, size in blocks.values())


def test_the_last_tensor_needs_no_padding(tmp_path: Path) -> None:
    tensors = (replace(MODEL_TENSORS[2], shape=(3,), size_bytes=12),)
    assert read(tmp_path, gguf(MODEL_PAIRS, tensors)).weights_bytes == 12
