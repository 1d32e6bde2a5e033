"""Why an answer under way came to no end of its own."""

from __future__ import annotations

import sys
import traceback
from dataclasses import dataclass

import torch


@dataclass(frozen=True)
class Failure:
    """The engine's own end of an answer."""

    message: str
    status: int = 500
    kind: str = "engine"


def failure_of(error: Exception) -> Failure:
    """For the client; the whole traceback goes to the log."""
    traceback.print_exception(error, file=sys.stderr)
    said = str(error)
    short = isinstance(error, torch.OutOfMemoryError | MemoryError) or "can't allocate" in said
    if short:
        return Failure(f"out of memory: {said:.300}", 503, "out_of_memory")
    return Failure(f"{type(error).__name__}: {said:.300}")
