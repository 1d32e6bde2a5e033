from __future__ import annotations

import os
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
from model_server import ModelServer, serve

from pilotlight.config import StoreSettings
from pilotlight.store.retry import Retry
from pilotlight.store.store import Store

_VARIABLES = (
    "HF_TOKEN", "HF_HUB_CACHE", "PIP_INDEX_URL", "PIP_PROXY", "PIP_CERT", "SSL_CERT_FILE",
    "REQUESTS_CA_BUNDLE", "HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy", "ALL_PROXY",
    "all_proxy", "NO_PROXY", "no_proxy",
)  # fmt: skip


@pytest.fixture(autouse=True)
def plain_environment(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Nothing of this machine's configuration; a real test keeps it, since it goes outside."""
    if request.node.get_closest_marker("real"):
        return
    for variable in _VARIABLES:
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("HF_HOME", str(tmp_path / "huggingface"))
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)


@pytest.fixture
async def server() -> AsyncIterator[ModelServer]:
    async with serve() as running:
        yield running


@pytest.fixture
async def elsewhere() -> AsyncIterator[ModelServer]:
    """A second origin."""
    async with serve() as running:
        yield running


@pytest.fixture
def slept() -> list[float]:
    """The pauses that `make_store`'s stores would have made."""
    return []


@pytest.fixture
def make_store(tmp_path: Path, slept: list[float]) -> Callable[..., Store]:
    async def sleep(seconds: float) -> None:
        slept.append(seconds)

    def make(**settings: object) -> Store:
        given = StoreSettings(**settings)  # type: ignore[arg-type]
        return Store(tmp_path / "store", given, retry=Retry(sleep=sleep))

    return make


@pytest.fixture
def store(make_store: Callable[..., Store]) -> Store:
    return make_store()
