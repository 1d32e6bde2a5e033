from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import openai
import pytest

from installed import Installed
from pilotlight.core import ModelFiles
from real.server import Server, is_alive

from .choice import CHOICES, NAME, OPTIONS, START_S, Choice


@pytest.fixture(scope="module", params=CHOICES)
def choice(request: pytest.FixtureRequest) -> Choice:
    return CHOICES[request.param]


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One for all: the server that comes back with another engine is still the same server."""
    return tmp_path_factory.mktemp("interchange") / "data"


@pytest.fixture(scope="module")
def server(
    choice: Choice,
    data_dir: Path,
    installed: Installed,
    store_directory: Path,
    request: pytest.FixtureRequest,
) -> Iterator[Server]:
    """`pilotlight serve` with one name, from zero; vLLM is started once for all that ask."""
    engines: dict[str, Any] = {"llamacpp": choice.llamacpp} if choice.llamacpp else {}
    if choice.installed:
        engines["directory"] = str(installed.having(choice.installed))
    files: ModelFiles = request.getfixturevalue(choice.files)
    model = {"ref": str(files.path), "engine": choice.engine, "options": OPTIONS}
    models = {NAME: {**model, "hold": f"{START_S}s"}}
    server = Server(data_dir, store_directory, models, engines=engines)
    yield server
    running = server.engines
    if server.process.poll() is None:
        assert server.stop() == 0
    assert not [process for process in running if is_alive(process.pid)]


@pytest.fixture
def client(server: Server) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(
        base_url=f"{server.url}/v1", api_key="unused", max_retries=0, timeout=START_S
    ) as made:
        yield made
