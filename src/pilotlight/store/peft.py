"""A LoRA adapter as PEFT saves it: a directory with its configuration and its tensors.

https://huggingface.co/docs/peft/developer_guides/checkpoint
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pilotlight.errors import ModelFormatError, StoreError
from pilotlight.store import checkpoint
from pilotlight.store.safetensors import TensorHeader, read_tensors

CONFIG = "adapter_config.json"
WEIGHTS = "adapter_model.safetensors"
PICKLED = ("adapter_model.bin", "adapter_model.pt")

_AGAIN = "save it again with PEFT's save_pretrained"


@dataclass(frozen=True, slots=True)
class PeftAdapter:
    """A directory's own word on the adapter in it."""

    directory: Path
    config: Mapping[str, Any]
    rank: int
    alpha: float
    ranks: Mapping[str, int]
    """Of modules whose names match, instead of `rank`; see `rank_of`."""

    target_modules: tuple[str, ...]
    """Ends of modules' names; one of them alone may be a pattern."""

    base_model: str | None
    """What it was trained on, by the trainer's name for it: a path as often as not."""

    tensors: Mapping[str, TensorHeader]
    size_bytes: int

    @property
    def highest_rank(self) -> int:
        return max(self.rank, *self.ranks.values()) if self.ranks else self.rank

    def rank_of(self, module: str) -> int:
        """By PEFT's rule (`get_pattern_key`): the first pattern that the name ends with."""
        for pattern, rank in self.ranks.items():
            if re.match(rf"(.*\.)?({pattern})$", module):
                return rank
        return self.rank


def is_adapter(path: Path) -> bool:
    """Whether `path` is such a directory, whole or not quite."""
    return (path / CONFIG).is_file() and (path / WEIGHTS).is_file()


def read_adapter(directory: Path) -> PeftAdapter:
    """Reads headers, never weights.

    Raises:
        ModelFormatError: it is none, or is broken.
        StoreError: it can't be read.
    """
    config = _config(directory / CONFIG)
    kind = config.get("peft_type", "LORA")
    if kind != "LORA":
        raise ModelFormatError(
            f"{str(directory)!r} is a PEFT adapter of the type {kind!r}, no LoRA",
            hint="take one that was trained as a LoRA, or merge it into its model",
        )
    return PeftAdapter(
        directory=directory,
        config=config,
        rank=_rank(directory, "r", config.get("r")),
        alpha=_alpha(directory, config.get("lora_alpha")),
        ranks=_ranks(directory, config.get("rank_pattern")),
        target_modules=_target_modules(directory, config.get("target_modules")),
        base_model=config.get("base_model_name_or_path") or None,
        tensors=_tensors(directory),
        size_bytes=checkpoint.size_bytes(directory),
    )


def _config(path: Path) -> Mapping[str, Any]:
    try:
        found = json.loads(path.read_bytes())
    except FileNotFoundError:
        raise ModelFormatError(
            f"there is no {str(path)!r}", hint="a PEFT adapter's directory has one"
        ) from None
    except OSError as error:
        raise StoreError(f"can't read {str(path)!r}: {error.strerror}") from error
    except ValueError as error:
        raise ModelFormatError(f"{str(path)!r} is not JSON: {error}", hint=_AGAIN) from None
    if not isinstance(found, dict):
        raise ModelFormatError(f"{str(path)!r} holds no JSON object", hint=_AGAIN)
    return found


def _tensors(directory: Path) -> Mapping[str, TensorHeader]:
    if (directory / WEIGHTS).is_file():
        return read_tensors(directory / WEIGHTS)
    pickled = [name for name in PICKLED if (directory / name).is_file()]
    if pickled:
        raise ModelFormatError(
            f"{str(directory / pickled[0])!r} is pickled, and may run code as it is read",
            hint="save it with safe_serialization=True",
        )
    raise ModelFormatError(f"there is no {str(directory / WEIGHTS)!r}", hint=_AGAIN)


def _rank(directory: Path, name: str, value: Any) -> int:
    if type(value) is not int or value < 1:
        raise _wrong(directory, name, value, "a whole number of 1 or more")
    return value


def _alpha(directory: Path, value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise _wrong(directory, "lora_alpha", value, "a number")
    return float(value)


def _ranks(directory: Path, value: Any) -> Mapping[str, int]:
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise _wrong(directory, "rank_pattern", value, "ranks by name")
    for pattern in value:
        try:
            re.compile(pattern)
        except re.error:
            raise _wrong(directory, "rank_pattern", pattern, "a regular expression") from None
    return {name: _rank(directory, f"rank_pattern.{name}", rank) for name, rank in value.items()}


def _target_modules(directory: Path, value: Any) -> tuple[str, ...]:
    named = [value] if isinstance(value, str) else value
    if not isinstance(named, list) or not all(isinstance(name, str) for name in named):
        raise _wrong(directory, "target_modules", value, "names of modules")
    return tuple(named)


def _wrong(directory: Path, name: str, value: Any, expected: str) -> ModelFormatError:
    return ModelFormatError(
        f"{str(directory / CONFIG)!r}: {name} is {value!r}, expected {expected}", hint=_AGAIN
    )
