"""Ollama's answers about models: /api/tags, /api/show, /api/ps and /api/version."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from pilotlight.gateway.translate.ollama import timestamp


@dataclass(frozen=True, slots=True)
class Details:
    """What kind of model it is; unknown is an empty string, as Ollama has it."""

    format: str = "gguf"
    family: str = ""
    families: tuple[str, ...] = ()
    parameter_size: str = ""
    """Like ``135M`` or ``7.6B``."""

    quantization: str = ""
    parent: str = ""

    def as_json(self) -> dict[str, Any]:
        return {
            "parent_model": self.parent,
            "format": self.format,
            "family": self.family,
            "families": list(self.families or ((self.family,) if self.family else ())),
            "parameter_size": self.parameter_size,
            "quantization_level": self.quantization,
        }


@dataclass(frozen=True, slots=True)
class Listed:
    """One model in /api/tags."""

    name: str
    details: Details
    modified_at: datetime
    size_bytes: int | None = None
    digest: str | None = None

    def as_json(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "model": self.name,
            "modified_at": timestamp(self.modified_at),
            "size": self.size_bytes or 0,
            "digest": (self.digest or "").removeprefix("sha256:"),
            "details": self.details.as_json(),
        }


@dataclass(frozen=True, slots=True)
class Running:
    """One loaded model in /api/ps; `expires_at` is None for one that stays."""

    name: str
    details: Details
    size_bytes: int
    vram_bytes: int = 0
    digest: str | None = None
    expires_at: datetime | None = None
    context_length: int | None = None

    def as_json(self) -> dict[str, Any]:
        # Ollama's clients need a time; its own server puts "forever" centuries away too.
        expires = timestamp(self.expires_at) if self.expires_at else "2318-01-01T00:00:00Z"
        made = {
            "name": self.name,
            "model": self.name,
            "size": self.size_bytes,
            "digest": (self.digest or "").removeprefix("sha256:"),
            "details": self.details.as_json(),
            "expires_at": expires,
            "size_vram": self.vram_bytes,
        }
        if self.context_length is not None:
            made["context_length"] = self.context_length
        return made


@dataclass(frozen=True, slots=True)
class Shown:
    """One model in /api/show; `info` holds GGUF metadata by its own keys."""

    name: str
    details: Details
    modified_at: datetime
    capabilities: tuple[str, ...] = ("completion",)
    """Of completion, embedding, tools, vision, thinking and insert."""

    info: Mapping[str, Any] = field(default_factory=dict)
    template: str = ""
    parameters: Mapping[str, Any] = field(default_factory=dict)
    license: str = ""


def tags(models: Iterable[Listed]) -> dict[str, Any]:
    return {"models": [model.as_json() for model in models]}


def ps(models: Iterable[Running]) -> dict[str, Any]:
    return {"models": [model.as_json() for model in models]}


def show(model: Shown) -> dict[str, Any]:
    return {
        "license": model.license,
        "modelfile": f"# served by Pilotlight\nFROM {model.name}\n",
        "parameters": "\n".join(f"{name:<30} {value}" for name, value in model.parameters.items()),
        "template": model.template,
        "details": model.details.as_json(),
        "model_info": dict(model.info),
        "capabilities": list(model.capabilities),
        "modified_at": timestamp(model.modified_at),
    }


def version(text: str) -> dict[str, str]:
    """Clients compare this with Ollama's releases to find out what they may ask for."""
    return {"version": text}
