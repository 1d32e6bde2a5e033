"""Headers of models of many shapes, and a GGUF file small enough to write in a test."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

from pilotlight.core import ModelFiles, ModelRef
from pilotlight.store.gguf import ArrayInfo, GgufHeader, TensorInfo

MIB = 2**20


def header(
    architecture: str = "llama",
    *,
    tensors: tuple[TensorInfo, ...] = (),
    vocabulary: int = 0,
    merges: int = 0,
    template: str | None = None,
    **numbers: Any,
) -> GgufHeader:
    """`numbers` are the architecture's own keys; ``__`` in a name stands for a dot."""
    metadata: dict[str, Any] = {"general.architecture": architecture}
    metadata |= {f"{architecture}.{k.replace('__', '.')}": v for k, v in numbers.items()}
    if template is not None:
        metadata["tokenizer.chat_template"] = template
    arrays = {
        "tokenizer.ggml.tokens": ArrayInfo("string", vocabulary),
        "tokenizer.ggml.merges": ArrayInfo("string", merges),
    }
    return GgufHeader(3, metadata, arrays, tensors, 0, 0)


def tensor(name: str, shape: tuple[int, ...], type_name: str, size_bytes: int) -> TensorInfo:
    return TensorInfo(name, shape, 0, type_name, size_bytes, 0)


def _text(value: str) -> bytes:
    return struct.pack("<Q", len(value)) + value.encode()


def _pair(key: str, value: str | int) -> bytes:
    if isinstance(value, str):
        return _text(key) + struct.pack("<I", 8) + _text(value)
    return _text(key) + struct.pack("<II", 4, value)


def write_gguf(path: Path, **metadata: str | int) -> ModelFiles:
    """A GGUF of `metadata` alone; ``__`` in a name stands for a dot."""
    pairs = {"general.architecture": "llama"} | {
        name.replace("__", "."): value for name, value in metadata.items()
    }
    body = b"GGUF" + struct.pack("<IQQ", 3, 0, len(pairs))
    path.write_bytes(body + b"".join(_pair(key, value) for key, value in pairs.items()))
    return ModelFiles(ModelRef("file", str(path)), path, path.stat().st_size)
