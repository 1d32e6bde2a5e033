"""What a model's directory says of itself: its configuration, template and weights' headers."""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from math import prod
from pathlib import Path
from typing import Any

from pilotlight.errors import ModelFormatError

_MAX_HEADER_BYTES = 100_000_000
"""The format's own limit: https://github.com/huggingface/safetensors."""

_CONTEXT_KEYS = (
    "max_position_embeddings", "n_positions", "max_seq_len", "seq_length", "model_max_length",
    "max_sequence_length", "max_target_positions",
)  # fmt: skip
"""Where configurations keep the context; vLLM takes the smallest of those there."""

_WEIGHT_BYTES = {
    "F64": 8, "I64": 8, "U64": 8, "F32": 4, "I32": 4, "U32": 4, "F16": 2, "BF16": 2, "I16": 2,
    "U16": 2,
}  # fmt: skip
FLOATS = ("F64", "F32", "F16", "BF16")
"""Types that a load may convert; any other is a quantization's and stays."""


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A model as its directory describes it; `config` is config.json."""

    config: Mapping[str, Any] = field(repr=False)
    weights: Mapping[str, int]
    """How many values are stored in each type."""

    stored_bytes: int
    chat_template: str | None = field(repr=False)

    @property
    def architecture(self) -> str:
        names = self.config.get("architectures")
        return str(names[0]) if isinstance(names, list) and names else ""

    @property
    def text(self) -> Mapping[str, Any]:
        """The language model's part, where a model has several."""
        inner = self.config.get("text_config")
        return inner if isinstance(inner, Mapping) else self.config

    @property
    def context(self) -> int | None:
        stated = [self.number(key) for key in _CONTEXT_KEYS]
        return min((number for number in stated if number), default=None)

    @property
    def dtype(self) -> str:
        """The type the weights are meant for, in PyTorch's word."""
        for part in (self.text, self.config):
            for key in ("dtype", "torch_dtype"):
                if isinstance(part.get(key), str):
                    return str(part[key])
        return "float32"

    def number(self, key: str) -> int | None:
        value = self.text.get(key)
        return value if type(value) is int else None


def read(path: Path) -> Checkpoint:
    """Read the directory at `path`; blocks for milliseconds and leaves the weights alone.

    Raises:
        ModelFormatError: it is no model that vLLM can read.
    """
    config = path / "config.json"
    if not config.is_file():
        raise ModelFormatError(
            f"{str(path)!r} is no model for vLLM: it has no config.json",
            hint="vLLM reads a Hugging Face directory: config.json, a tokenizer and *.safetensors",
        )
    return _read(path, config.stat().st_mtime_ns)


@lru_cache(maxsize=64)
def _read(path: Path, modified_ns: int) -> Checkpoint:
    files = sorted(path.glob("*.safetensors"))
    weights: dict[str, int] = {}
    for file in files:
        for kind, count in _header(file).items():
            weights[kind] = weights.get(kind, 0) + count
    return Checkpoint(
        config=_json(path / "config.json"),
        weights=weights,
        stored_bytes=sum(file.stat().st_size for file in files),
        chat_template=_chat_template(path),
    )


def _json(path: Path) -> Mapping[str, Any]:
    try:
        found = json.loads(path.read_bytes())
    except (OSError, ValueError) as error:
        raise ModelFormatError(
            f"{str(path)!r} can't be read as JSON: {error}", hint="fetch or copy the model again"
        ) from None
    if not isinstance(found, dict):
        raise ModelFormatError(
            f"{str(path)!r} is no JSON object", hint="fetch or copy the model again"
        )
    return found


def _header(path: Path) -> dict[str, int]:
    """Values by type in one file: eight bytes of length, then a JSON header."""
    size = path.stat().st_size
    with path.open("rb") as file:
        start = file.read(8)
        length = struct.unpack("<Q", start)[0] if len(start) == 8 else size
        if length > min(size - 8, _MAX_HEADER_BYTES):
            raise _damaged(path, f"its header would have {length} bytes and the file {size}")
        try:
            header = json.loads(file.read(length))
            return _count(header, size - 8 - length)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise _damaged(path, str(error)) from None


def _count(header: Mapping[str, Any], data_bytes: int) -> dict[str, int]:
    found: dict[str, int] = {}
    for name, tensor in header.items():
        if name == "__metadata__":
            continue
        if tensor["data_offsets"][1] > data_bytes:
            raise ValueError(f"{name!r} ends at {tensor['data_offsets'][1]}, past {data_bytes}")
        kind = tensor["dtype"]
        found[kind] = found.get(kind, 0) + prod(tensor["shape"])
    return found


def _damaged(path: Path, why: str) -> ModelFormatError:
    return ModelFormatError(
        f"{str(path)!r} is no whole safetensors file: {why}", hint="fetch or copy it again"
    )


def weight_bytes(kind: str) -> int:
    """Of one value as stored; quantized types are a byte or packed into bytes."""
    return _WEIGHT_BYTES.get(kind, 1)


def _chat_template(path: Path) -> str | None:
    """A file of its own, or a value in one of the tokenizer's or processor's files."""
    alone = path / "chat_template.jinja"
    if alone.is_file():
        return alone.read_text(errors="replace")
    for name in ("chat_template.json", "tokenizer_config.json", "processor_config.json"):
        if (path / name).is_file() and (found := _json(path / name).get("chat_template")):
            return _text(found)
    return None


def _text(template: Any) -> str:
    """One template, or several by name of which the default is the usual."""
    if isinstance(template, str):
        return template
    named = {str(each.get("name")): str(each.get("template")) for each in template}
    return named.get("default") or next(iter(named.values()), "")
