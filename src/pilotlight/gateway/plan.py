"""What a request asks of which model, and what is sent to the engine for it."""

from __future__ import annotations

from dataclasses import dataclass

from pilotlight.core import Operation, Surface
from pilotlight.gateway.translate.base import Translation


@dataclass(frozen=True, slots=True)
class Plan:
    """One admitted request. Without a translation the engine's bytes pass through untouched."""

    surface: Surface
    operation: Operation
    """As the client asked; errors and usage have its shape."""

    engine_operation: Operation
    model: str
    payload: bytes
    stream: bool
    translation: Translation | None = None
    keep_alive_s: float | None = None
    end_user: str | None = None
    """Whom the client says it asks for; goes into the access log."""

    withholds_usage: bool = False
    """The engine is asked to count in its stream, and the client didn't ask for that."""

    load_only: bool = False
    """Ollama's empty request: have the model ready (or let it go), generate nothing."""
