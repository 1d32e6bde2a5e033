from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import pytest

from pilotlight.config import StoreSettings
from pilotlight.core import ModelRef
from pilotlight.store.retry import Retry
from pilotlight.store.sources.base import Listing
from pilotlight.store.sources.registry import Sources
from sources.hub_server import HubServer, serve_hub
from sources.reading import Describe
from sources.seaweed import run_seaweed

_VARIABLES = (
    "HF_ENDPOINT", "HF_TOKEN_PATH", "REGISTRY_AUTH_FILE", "XDG_RUNTIME_DIR",
    "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_ENDPOINT_URL",
    "AWS_REGION", "AWS_DEFAULT_REGION", "AWS_WEB_IDENTITY_TOKEN_FILE",
    "GOOGLE_APPLICATION_CREDENTIALS", "GOOGLE_SERVICE_ACCOUNT", "AZURE_STORAGE_ACCOUNT_NAME",
    "AZURE_STORAGE_ACCOUNT_KEY", "AZURE_STORAGE_SAS_TOKEN", "AZURE_STORAGE_SAS_KEY",
    "AZURE_CLIENT_ID", "AZURE_STORAGE_CLIENT_ID",
)  # fmt: skip


@pytest.fixture(autouse=True)
def nobody(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No login of this machine's user."""
    for variable in _VARIABLES:
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path / "docker"))


@pytest.fixture(scope="session")
def seaweed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """It takes its seconds to begin, so the tests that can have it share one."""
    with run_seaweed(tmp_path_factory.mktemp("seaweed")) as running:
        yield running


@pytest.fixture
async def hub() -> AsyncIterator[HubServer]:
    async with serve_hub() as running:
        yield running


@pytest.fixture
def sources() -> Callable[..., Sources]:
    async def sleep(seconds: float) -> None:
        pass

    def make(**settings: object) -> Sources:
        given = StoreSettings(**settings)  # type: ignore[arg-type]
        return Sources(given, Retry(sleep=sleep, attempts=2))

    return make


@pytest.fixture
def describe(sources: Callable[..., Sources]) -> Describe:
    async def ask(text: str, **settings: object) -> Listing:
        ref = ModelRef.parse(text)
        return await sources(**settings).get(ref).describe(ref)

    return ask
