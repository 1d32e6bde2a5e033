"""What can be set about a model on an Ollama server."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pilotlight.engines.given import Reader, option
from pilotlight.engines.llamacpp import kinds as plain
from pilotlight.engines.openai import kinds

HOST = "http://127.0.0.1:11434"


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """One model's; what the server itself is run with (its memory, its slots) is its own affair."""

    host: str = option(HOST, kinds.url(), "where the server listens")
    pull: bool = option(True, plain.switch(), "have the server fetch a model that it lacks")
    parallel: int = option(
        1, plain.whole(1, 1024), "requests sent at once; the server's OLLAMA_NUM_PARALLEL"
    )
    context: int | None = option(
        None, plain.whole(1), "tokens one request may use; checked against the loaded model"
    )
    timeout: float = option(
        300.0, kinds.duration(), "longest wait for the next byte, a load among them"
    )


def complete(given: Mapping[str, Any]) -> Options:
    """`given`, checked. Raises EngineOptionError by name."""
    return Reader("ollama").read(Options, given)
