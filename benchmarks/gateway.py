"""Pilotlight under test: configured, keyed, started and loaded."""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from benchmarks.program import free_port, running
from benchmarks.upstream import Server, options
from pilotlight.gateway.keys import KeyStore

FAKE_COMMAND = (sys.executable, "-m", "benchmarks.fake_gateway")
SERVE_COMMAND = (sys.executable, "-m", "pilotlight.cli", "serve")


@contextlib.contextmanager
def serving(
    directory: Path,
    models: Mapping[str, Any],
    command: Sequence[str] = SERVE_COMMAND,
    engines: Mapping[str, Any] | None = None,
) -> Iterator[tuple[Server, float]]:
    """Just executed, with the moment of that; an API key, metrics and accounting are on."""
    port = free_port()
    config = directory / "pilotlight.yaml"
    tree = {"port": port, "data_dir": str(directory / "data"), "models": dict(models)}
    config.write_text(yaml.safe_dump({**tree, "engines": dict(engines or {})}))
    _, key = KeyStore(directory / "data" / "keys.json").create("benchmark", "admin")
    began = time.perf_counter()
    with running([*command, str(config)], directory / "gateway.log") as program:
        yield Server(program, port, key), began


@contextlib.contextmanager
def gateway(
    directory: Path,
    models: Mapping[str, Any],
    command: Sequence[str] = SERVE_COMMAND,
    engines: Mapping[str, Any] | None = None,
) -> Iterator[Server]:
    """Ready: every model with `min` is loaded and has proved itself."""
    with serving(directory, models, command, engines) as (server, _):
        server.program.await_answer(server.port, "/ready")
        yield server


def fake_model(directory: Path, token_delay_ms: float) -> Mapping[str, Any]:
    """The upstream's very options; its file is never read, but the store wants one."""
    file = directory / "fake.model"
    file.write_bytes(b"no weights")
    made = {"ref": f"file:{file}", "engine": "fake", "options": options(token_delay_ms)}
    return {"fake": {**made, "min": 1, "keep_alive": "forever", "queue": 4096}}


@contextlib.contextmanager
def fake_gateway(directory: Path, token_delay_ms: float = 0.0) -> Iterator[Server]:
    """The gateway in front of the fake engine, run by the product's own local fleet."""
    with gateway(directory, fake_model(directory, token_delay_ms), FAKE_COMMAND) as server:
        yield server
