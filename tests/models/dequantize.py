"""A GGUF file of the llama family as a Hugging Face directory: python dequantize.py IN OUT DTYPE.

A program of its own for an interpreter that has numpy, which an engine's environment has
and the product's has not. It knows the types and the tokenizer of the tests' one model
and refuses any other, for a model that is nearly right is worse than none.
"""

from __future__ import annotations

import json
import struct
import sys
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

SCALARS = {
    0: "B",
    1: "b",
    2: "H",
    3: "h",
    4: "I",
    5: "i",
    6: "f",
    7: "?",
    10: "Q",
    11: "q",
    12: "d",
}
STRING, ARRAY = 8, 9
F32, Q4_1, Q8_0 = 0, 3, 8
CONTROL = 3
BLOCK = 32


class Gguf:
    """Metadata and tensors; https://github.com/ggml-org/ggml/blob/master/docs/gguf.md."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        magic, _, tensors, pairs = struct.unpack("<4sIQQ", file.read(24))
        assert magic == b"GGUF", magic
        self.metadata = {self._text(): self._value(self._number("I")) for _ in range(pairs)}
        self._tensors = dict(self._tensor() for _ in range(tensors))
        self._start = -(-file.tell() // 32) * 32

    def _number(self, code: str) -> Any:
        return struct.unpack(f"<{code}", self._file.read(struct.calcsize(f"<{code}")))[0]

    def _text(self) -> str:
        return self._file.read(self._number("Q")).decode()

    def _value(self, kind: int) -> Any:
        if kind == STRING:
            return self._text()
        if kind == ARRAY:
            inner, length = self._number("I"), self._number("Q")
            return [self._value(inner) for _ in range(length)]
        return self._number(SCALARS[kind])

    def _tensor(self) -> tuple[str, tuple[tuple[int, ...], int, int]]:
        name, dimensions = self._text(), self._number("I")
        shape = tuple(self._number("Q") for _ in range(dimensions))[::-1]
        return name, (shape, self._number("I"), self._number("Q"))

    @property
    def names(self) -> list[str]:
        return list(self._tensors)

    def weights(self, name: str) -> np.ndarray:
        shape, kind, offset = self._tensors[name]
        self._file.seek(self._start + offset)
        return READERS[kind](self._file, int(np.prod(shape))).reshape(shape)


def read_f32(file: BinaryIO, count: int) -> np.ndarray:
    return np.frombuffer(file.read(4 * count), "<f4")


def read_q4_1(file: BinaryIO, count: int) -> np.ndarray:
    layout = [("d", "<f2"), ("m", "<f2"), ("q", "u1", BLOCK // 2)]
    blocks = np.frombuffer(file.read(count // BLOCK * 20), layout)
    values = np.concatenate([blocks["q"] & 15, blocks["q"] >> 4], axis=1).astype("f4")
    return values * blocks["d"].astype("f4")[:, None] + blocks["m"].astype("f4")[:, None]


def read_q8_0(file: BinaryIO, count: int) -> np.ndarray:
    blocks = np.frombuffer(file.read(count // BLOCK * 34), [("d", "<f2"), ("q", "i1", BLOCK)])
    return blocks["q"].astype("f4") * blocks["d"].astype("f4")[:, None]


READERS = {F32: read_f32, Q4_1: read_q4_1, Q8_0: read_q8_0}

PLACES = {
    "token_embd": "model.embed_tokens", "output_norm": "model.norm", "output": "lm_head",
    "attn_norm": "input_layernorm", "ffn_norm": "post_attention_layernorm",
    "attn_q": "self_attn.q_proj", "attn_k": "self_attn.k_proj", "attn_v": "self_attn.v_proj",
    "attn_output": "self_attn.o_proj", "ffn_gate": "mlp.gate_proj", "ffn_up": "mlp.up_proj",
    "ffn_down": "mlp.down_proj",
}  # fmt: skip


def place(name: str) -> str:
    stem = name.removesuffix(".weight")
    if stem.startswith("blk."):
        _, layer, part = stem.split(".")
        return f"model.layers.{layer}.{PLACES[part]}.weight"
    return f"{PLACES[stem]}.weight"


def weights(gguf: Gguf, name: str) -> np.ndarray:
    """GGUF interleaves the two halves of each rotary head; Hugging Face keeps them apart."""
    found = gguf.weights(name)
    attention = "llama.attention.head_count"
    heads = {"attn_q": attention, "attn_k": f"{attention}_kv"}.get(name.split(".")[-2])
    if heads is None:
        return found
    rows, columns = found.shape
    count = gguf.metadata[heads]
    halves = found.reshape(count, rows // count // 2, 2, columns).swapaxes(1, 2)
    return halves.reshape(rows, columns)


def bf16(values: np.ndarray) -> bytes:
    """Rounded to nearest, ties to even."""
    bits = np.ascontiguousarray(values, "<f4").view("<u4")
    return ((bits + 0x7FFF + ((bits >> 16) & 1)) >> 16).astype("<u2").tobytes()


def f32(values: np.ndarray) -> bytes:
    return np.ascontiguousarray(values, "<f4").tobytes()


DTYPES = {"BF16": (2, bf16), "F32": (4, f32)}


def write_weights(gguf: Gguf, path: Path, dtype: str) -> None:
    """https://huggingface.co/docs/safetensors: length, JSON header, bytes."""
    size, packed = DTYPES[dtype]
    header: dict[str, Any] = {"__metadata__": {"format": "pt"}}
    at = 0
    for name in gguf.names:
        shape = gguf.weights(name).shape
        end = at + size * int(np.prod(shape))
        header[place(name)] = {"dtype": dtype, "shape": shape, "data_offsets": [at, end]}
        at = end
    head = json.dumps(header).encode()
    head += b" " * (-len(head) % 8)
    with path.open("wb") as file:
        file.write(struct.pack("<Q", len(head)) + head)
        for name in gguf.names:
            file.write(packed(weights(gguf, name)))


def config(metadata: dict[str, Any], dtype: str) -> dict[str, Any]:
    return {
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "hidden_act": "silu",
        "hidden_size": metadata["llama.embedding_length"],
        "intermediate_size": metadata["llama.feed_forward_length"],
        "num_hidden_layers": metadata["llama.block_count"],
        "num_attention_heads": metadata["llama.attention.head_count"],
        "num_key_value_heads": metadata["llama.attention.head_count_kv"],
        "max_position_embeddings": metadata["llama.context_length"],
        "rms_norm_eps": metadata["llama.attention.layer_norm_rms_epsilon"],
        "rope_theta": metadata["llama.rope.freq_base"],
        "vocab_size": metadata["llama.vocab_size"],
        "tie_word_embeddings": True,
        "attention_bias": False,
        "mlp_bias": False,
        "torch_dtype": {"BF16": "bfloat16", "F32": "float32"}[dtype],
        **ids(metadata),
    }


def ids(metadata: dict[str, Any]) -> dict[str, Any]:
    names = {"bos": "bos", "eos": "eos", "padding": "pad"}
    return {
        f"{ours}_token_id": metadata[f"tokenizer.ggml.{theirs}_token_id"]
        for theirs, ours in names.items()
    }


def tokenizer(metadata: dict[str, Any]) -> dict[str, Any]:
    assert metadata["tokenizer.ggml.pre"] == "smollm", metadata["tokenizer.ggml.pre"]
    tokens = metadata["tokenizer.ggml.tokens"]
    control = [i for i, kind in enumerate(metadata["tokenizer.ggml.token_type"]) if kind == CONTROL]
    bytes_level = {"add_prefix_space": False, "trim_offsets": True, "use_regex": True}
    digits = {"type": "Digits", "individual_digits": True}
    flags = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False}
    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [
            {"id": i, "content": tokens[i], "special": True, **flags} for i in control
        ],
        "normalizer": None,
        "pre_tokenizer": {
            "type": "Sequence",
            "pretokenizers": [digits, {"type": "ByteLevel", **bytes_level}],
        },
        "post_processor": None,
        "decoder": {"type": "ByteLevel", **bytes_level},
        "model": {
            "type": "BPE",
            "dropout": None,
            "unk_token": None,
            "continuing_subword_prefix": None,
            "end_of_word_suffix": None,
            "fuse_unk": False,
            "byte_fallback": False,
            "ignore_merges": False,
            "vocab": {token: i for i, token in enumerate(tokens)},
            "merges": [merge.split(" ", 1) for merge in metadata["tokenizer.ggml.merges"]],
        },
    }


def tokenizer_config(metadata: dict[str, Any]) -> dict[str, Any]:
    tokens = metadata["tokenizer.ggml.tokens"]
    named = {name.removesuffix("_id"): tokens[number] for name, number in ids(metadata).items()}
    return {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "add_prefix_space": False,
        "clean_up_tokenization_spaces": False,
        "model_max_length": metadata["llama.context_length"],
        "unk_token": tokens[metadata["tokenizer.ggml.unknown_token_id"]],
        "chat_template": metadata["tokenizer.chat_template"],
        **named,
    }


def write(source: Path, target: Path, dtype: str) -> None:
    with source.open("rb") as file:
        gguf = Gguf(file)
        write_weights(gguf, target / "model.safetensors", dtype)
    documents = {
        "config.json": config(gguf.metadata, dtype),
        "generation_config.json": ids(gguf.metadata),
        "tokenizer.json": tokenizer(gguf.metadata),
        "tokenizer_config.json": tokenizer_config(gguf.metadata),
    }
    for name, document in documents.items():
        (target / name).write_text(json.dumps(document, ensure_ascii=False))


if __name__ == "__main__":
    write(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3])
