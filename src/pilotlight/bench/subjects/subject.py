"""An endpoint under test, and what is known of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class ColdStart:
    """From nothing to an answer, in ms; what the server doesn't tell is None."""

    process_ms: float | None = None
    """From the start of `pilotlight serve` until it listened."""

    load_ms: float | None = None
    """From the first request for the model until its engine was ready, as the server says."""

    first_token_ms: float | None = None
    """From the first request until the first token of its answer, as the client saw it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """Who is asked, and what is known of it; None is what nobody says."""

    name: str
    """What reports and tables call it."""

    url: str
    """Without a final slash and without ``/v1``."""

    model: str
    """As requests name it."""

    key: str | None = field(default=None, repr=False)
    ref: str | None = None
    engine: str | None = None
    build: str | None = None
    """The engine and its version, as the engine says."""

    quantization: str | None = None
    digest: str | None = None
    size_bytes: int | None = None
    context: int | None = None
    slots: int | None = None
    options: Mapping[str, Any] = field(default_factory=dict)
    server: str | None = None
    """What speaks at `url`, such as ``pilotlight 0.1.0``."""

    pid: int | None = None
    """Of the process that was started for this, which has the engine below it."""

    here: bool = False
    """It runs on this machine: its energy and hardware are this machine's."""

    cold_start: ColdStart | None = None
