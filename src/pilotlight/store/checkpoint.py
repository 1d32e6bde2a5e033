"""A model as a directory: config.json, a tokenizer, weights as safetensors.

What the Hugging Face hub holds and vLLM and transformers read. Some hold pickled
weights (.bin, .pt) instead, which can run code while they are read; `Checkpoint`
tells the two apart, and an engine takes the latter only where it is told to.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from pilotlight.errors import ModelFormatError, StoreError
from pilotlight.store.safetensors import bytes_of, read_elements

CONFIG = "config.json"
WEIGHTS = "*.safetensors"
INDEX = "model.safetensors.index.json"
PICKLED = (".bin", ".pt", ".pth")
_TEMPLATES = ("chat_template.jinja", "tokenizer_config.json")
_ENCODER_DECODER = "is_encoder_decoder"
_GENERATES = ("ForCausalLM", "LMHeadModel", "ForConditionalGeneration")


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A directory's own word on the model in it; unknown is None, never zero."""

    directory: Path
    config: Mapping[str, Any]
    elements: Mapping[str, int]
    """Numbers by dtype, in safetensors' words; empty where all weights are pickled."""

    weights_bytes: int
    chat_template: str | None
    modules: tuple[Mapping[str, Any], ...]
    """sentence-transformers' steps from text to vector, where the directory lists them."""

    pickles: tuple[str, ...] = ()
    """Names of its pickled weights."""

    @property
    def is_pickled(self) -> bool:
        """Whether it has no other weights."""
        return not self.elements

    @property
    def text(self) -> Mapping[str, Any]:
        """The part of the configuration that is about text, in models that see or hear too."""
        inner = self.config.get("text_config")
        return {**self.config, **inner} if isinstance(inner, Mapping) else self.config

    @property
    def architecture(self) -> str:
        named = self.config.get("architectures")
        return str(named[0]) if isinstance(named, list) and named else ""

    @property
    def kind(self) -> str:
        """``causal``, ``seq2seq`` or ``encoder``."""
        if self.config.get(_ENCODER_DECODER):
            return "seq2seq"
        return "causal" if self.architecture.endswith(_GENERATES) else "encoder"

    @property
    def has_remote_code(self) -> bool:
        """Whether it names classes of its own, which would run as code."""
        return bool(self.config.get("auto_map"))

    @property
    def context(self) -> int | None:
        return self.number(
            "max_position_embeddings", "n_positions", "max_sequence_length", "n_ctx", "seq_length"
        )

    @property
    def dtype(self) -> str | None:
        named = self.text.get("dtype", self.text.get("torch_dtype"))
        return named if isinstance(named, str) else None

    def number(self, *names: str) -> int | None:
        """The first of `names` that the configuration has; families call one thing differently."""
        for name in names:
            value = self.text.get(name)
            if type(value) is int:
                return value
        return None


def is_checkpoint(directory: Path) -> bool:
    return (directory / CONFIG).is_file() and bool(
        _pickles(directory) or any(directory.glob(WEIGHTS))
    )


def _pickles(directory: Path) -> tuple[str, ...]:
    return tuple(sorted(path.name for path in directory.iterdir() if path.suffix in PICKLED))


def size_bytes(directory: Path) -> int:
    """All its files, which together are the model."""
    return sum(path.stat().st_size for path in directory.iterdir() if path.is_file())


def read_checkpoint(path: Path) -> Checkpoint:
    """The checkpoint at `path`: its directory, or one of its files of weights.

    Kept while the directory's files are unchanged, for every question starts with it.

    Raises:
        ModelFormatError: it is none, is cut, or lacks weights that it lists.
        StoreError: it can't be read.
    """
    directory = path if path.is_dir() else path.parent
    return _read(directory, _stamp(directory))


def _stamp(directory: Path) -> tuple[tuple[str, int, int], ...]:
    try:
        found = ((entry.name, entry.stat()) for entry in sorted(directory.iterdir()))
        return tuple((name, stat.st_size, stat.st_mtime_ns) for name, stat in found)
    except OSError as error:
        raise StoreError(f"can't read {str(directory)!r}: {error.strerror}") from error


@lru_cache(maxsize=64)
def _read(directory: Path, stamp: object) -> Checkpoint:
    config = _document(directory / CONFIG, "a model's directory has one")
    files, pickles = weight_files(directory), _pickles(directory)
    if not files and not pickles:
        raise ModelFormatError(
            f"{str(directory)!r} has no weights: no .safetensors file", hint="fetch the model again"
        )
    elements: Counter[str] = Counter()
    for file in files:
        elements.update(read_elements(file))
    pickled_bytes = sum((directory / name).stat().st_size for name in pickles)
    return Checkpoint(
        directory=directory,
        config=config,
        elements=elements,
        weights_bytes=bytes_of(elements) or pickled_bytes,
        chat_template=_chat_template(directory),
        modules=_modules(directory),
        pickles=pickles,
    )


def weight_files(directory: Path) -> list[Path]:
    """Those that make up the model; some directories also hold the same weights in another cut.

    Raises:
        ModelFormatError: it lacks some that it lists.
        StoreError: the list can't be read.
    """
    if (directory / INDEX).exists():
        shards = set(_document(directory / INDEX, "").get("weight_map", {}).values())
        _reject_missing(directory, sorted(shards))
        return [directory / name for name in sorted(shards)]
    whole = directory / "model.safetensors"
    return [whole] if whole.is_file() else sorted(directory.glob(WEIGHTS))


def _reject_missing(directory: Path, shards: list[str]) -> None:
    lacking = [name for name in shards if not (directory / name).is_file()]
    if lacking:
        raise ModelFormatError(
            f"{str(directory)!r} lacks {len(lacking)} of its files of weights, first {lacking[0]}",
            hint="fetch the model again",
        )


def _document(path: Path, why: str) -> Mapping[str, Any]:
    try:
        found = json.loads(path.read_bytes())
    except FileNotFoundError:
        raise ModelFormatError(f"there is no {str(path)!r}", hint=why or None) from None
    except OSError as error:
        raise StoreError(f"can't read {str(path)!r}: {error.strerror}") from error
    except ValueError as error:
        raise ModelFormatError(f"{str(path)!r} is not JSON: {error}") from None
    if not isinstance(found, dict):
        raise ModelFormatError(f"{str(path)!r} holds no JSON object")
    return found


def _chat_template(directory: Path) -> str | None:
    for name in _TEMPLATES:
        path = directory / name
        if not path.is_file():
            continue
        if path.suffix == ".jinja":
            return path.read_text()
        template = _document(path, "").get("chat_template")
        if isinstance(template, list):  # several by name
            template = "\n".join(str(each.get("template", "")) for each in template)
        if template:
            return str(template)
    return None


def _modules(directory: Path) -> tuple[Mapping[str, Any], ...]:
    path = directory / "modules.json"
    if not path.is_file():
        return ()
    try:
        found = json.loads(path.read_bytes())
        return tuple({**module, "config": _module(directory, module)} for module in found)
    except (OSError, ValueError, TypeError) as error:
        raise ModelFormatError(f"{str(path)!r} can't be read: {error}") from None


def _module(directory: Path, module: Mapping[str, Any]) -> Mapping[str, Any]:
    path = directory / str(module.get("path", "")) / CONFIG
    return _document(path, "") if module.get("path") and path.is_file() else {}
