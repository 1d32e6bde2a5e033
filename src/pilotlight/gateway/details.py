"""What a model's file says of itself, for the surfaces that show it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from typing import Any

from pilotlight.core import Capabilities, ModelFiles, Operation
from pilotlight.errors import StoreError
from pilotlight.gateway.translate.ollama_catalog import Details
from pilotlight.gateway.translate.registry import TRANSLATIONS
from pilotlight.store.gguf import GgufHeader, read_header

_UNITS = ((1e12, "T"), (1e9, "B"), (1e6, "M"), (1e3, "K"))


def header_of(files: ModelFiles) -> GgufHeader | None:
    """The file's header, read once; None for a file that is no GGUF."""
    try:
        found = files.path.stat()
    except OSError:
        return None
    return _header(files.path, found.st_size, found.st_mtime_ns)


@lru_cache(maxsize=64)
def _header(path: Path, size_bytes: int, modified_ns: int) -> GgufHeader | None:
    try:
        return read_header(path)
    except StoreError:
        return None


def modified_at(files: ModelFiles) -> datetime:
    try:
        stamp = files.path.stat().st_mtime
    except OSError:
        stamp = 0.0
    return datetime.fromtimestamp(stamp, UTC)


def details_of(files: ModelFiles) -> Details:
    header = header_of(files)
    if header is None:
        return Details(format="")
    return Details(
        family=header.architecture,
        parameter_size=count(header.parameter_count),
        quantization=quantization(header),
    )


def count(parameters: int) -> str:
    """``134515008`` → ``134.52M``, as Ollama writes it."""
    for unit, letter in _UNITS:
        if parameters >= unit:
            return f"{parameters / unit:.4g}{letter}"
    return str(parameters)


def quantization(header: GgufHeader) -> str:
    """The type that holds most of the bytes: exact for plain mixes, the family for the others."""
    sizes: dict[str, int] = {}
    for tensor in header.tensors:
        sizes[tensor.type_name] = sizes.get(tensor.type_name, 0) + tensor.size_bytes
    return max(sizes, key=lambda name: sizes[name]) if sizes else ""


def info(files: ModelFiles) -> dict[str, Any]:
    """The file's own metadata, without the arrays nobody reads in a terminal."""
    header = header_of(files)
    if header is None:
        return {}
    return {key: value for key, value in header.metadata.items() if "chat_template" not in key}


def template(files: ModelFiles) -> str:
    header = header_of(files)
    return (header.chat_template or "") if header else ""


def capabilities(can: Capabilities) -> dict[str, Any]:
    """All that a model on its engine can do, as data."""
    lacks = can.lacks.get(Operation.CHAT, frozenset())
    chats = Operation.CHAT in can.operations
    return {
        "operations": sorted(can.operations),
        "carried": sorted(TRANSLATIONS.keys() - can.operations) if chats else [],
        "parameters": _by_operation(can.parameters),
        "lacks": _by_operation(can.lacks),
        "tools": can.tools,
        "schema": chats and "response_format" not in lacks,
        "logprobs": chats and "logprobs" not in lacks,
        "embeddings": Operation.EMBEDDINGS in can.operations,
        "vision": can.vision,
        "thinking": can.thinking,
        "lora": can.lora,
        "sleep": can.sleep,
        "standby": can.standby,
    }


def _by_operation(fields: Mapping[Operation, frozenset[str]]) -> dict[str, list[str]]:
    return {operation: sorted(names) for operation, names in sorted(fields.items()) if names}


_NAMES: Mapping[str, Callable[[Capabilities], bool]] = {
    "tools": lambda can: can.tools,
    "vision": lambda can: can.vision,
    "thinking": lambda can: can.thinking,
    "completion": lambda can: Operation.COMPLETIONS in can.operations,
    "embedding": lambda can: Operation.EMBEDDINGS in can.operations,
}


def capability_names(can: Capabilities) -> tuple[str, ...]:
    """In Ollama's words."""
    return tuple(name for name, holds in _NAMES.items() if holds(can))
