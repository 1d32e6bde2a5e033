from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from .house import Street
from .scripted import Endpoint, endpoint

Build = Callable[..., Awaitable[Street]]


@pytest.fixture
async def remote() -> AsyncIterator[Endpoint]:
    async with endpoint() as made:
        yield made


@pytest.fixture
async def street(tmp_path: Path) -> AsyncIterator[Build]:
    """Builds a house and begins it; takes it down at the end."""
    built: list[Street] = []

    async def make(models: dict[str, dict[str, Any]], **settings: Any) -> Street:
        made = Street(tmp_path, models, **settings)
        built.append(made)
        made.house.begin()
        return made

    yield make
    for made in built:
        await made.house.close()
        assert made.fleet.alive == []
