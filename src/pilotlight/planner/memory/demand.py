"""What is asked of a device's memory, and the answer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

Lack = Literal["ram", "gpu", "engine"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Room:
    """What one replica may use: the operating system's and other programs' parts are off already.

    `gpus` are used together, each with its own memory in bytes.
    """

    ram_bytes: int
    gpus: tuple[int, ...] = ()
    instruction_sets: frozenset[str] = frozenset()
    """In /proc/cpuinfo's words or the catalog's; llama.cpp copies weights into layouts for them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """`sequences` worked on at once, each of up to `context` tokens with its answer."""

    context: int
    sequences: int
    held: int | None = None
    """Tokens that a sequence holds in the mean, for an engine that shares its cache in blocks;
    None: all of `context`. The others reserve `context` for each."""

    kv_type: str | None = None
    """Of keys and values, in the engine's own word (``q8_0``, ``fp8``); None: its default."""

    gpu_layers: int | None = None
    """Layers on GPUs, for an engine that splits; None: as many as fit."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fit:
    """Bytes of one replica at its peak, in RAM and on each GPU.

    `parts` add up to `ram_bytes`, `gpu_parts` to the fullest of `gpu_bytes`.
    """

    fits: bool
    reason: str
    """Why not; empty where it fits."""

    lacks: Lack | None = None
    short_bytes: int = 0
    ram_bytes: int = 0
    gpu_bytes: tuple[int, ...] = ()
    parts: Mapping[str, int] = field(default_factory=dict)
    gpu_parts: Mapping[str, int] = field(default_factory=dict)
    sequences: int = 0
    """How many fit at once, so placed: of the load's context, or of what they hold of it."""

    pool_bytes: int = 0
    """Of keys, values and states, over all devices; what sequences share or divide."""

    gpu_layers: int | None = None
    """Layers on GPUs where only some are; None: all, or none for want of a GPU."""

    gpu_share: float = 0.0
    """Of the layers' weights; the output's go to a GPU before any layer's do."""

    arithmetic: str = ""
    options: Mapping[str, Any] = field(default_factory=dict)
    """The engine's options, in pilotlight.yaml's words, that this answer is for."""
