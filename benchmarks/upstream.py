"""The fake engine's server as upstream on loopback TCP: 64 tokens a stream, each its own write."""

from __future__ import annotations

import contextlib
import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.program import Program, free_port, running

TOKENS = 64


def options(token_delay_ms: float = 0.0) -> dict[str, Any]:
    """Of the fake model, the same behind every arm; slots are no limit."""
    return {
        "words": TOKENS,
        "parallel": 256,
        "ram_bytes": 0,
        "token_delay_ms": token_delay_ms,
    }


@dataclass(frozen=True, slots=True)
class Server:
    """A server to load, by its port and, where it wants one, a key."""

    program: Program
    port: int
    key: str | None = None


@contextlib.contextmanager
def upstream(directory: Path, token_delay_ms: float = 0.0) -> Iterator[Server]:
    port = free_port()
    argv = [
        sys.executable, "-m", "pilotlight.testing.server", "--port", str(port),
        "--model", "fake", "--options", json.dumps(options(token_delay_ms)),
    ]  # fmt: skip
    with running(argv, directory / "upstream.log") as program:
        program.await_answer(port, "/health")
        yield Server(program, port)
