from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from .asgi import turn
from .house import Street

Build = Callable[..., Awaitable[Street]]


@pytest.fixture
async def street(tmp_path: Path) -> AsyncIterator[Build]:
    """Builds a house and begins it; takes it down at the end and looks that nothing is left."""
    built: list[Street] = []

    async def make(
        models: dict[str, dict[str, Any]] | None = None, *, begin: bool = True, **settings: Any
    ) -> Street:
        made = Street(tmp_path, {"m": {}} if models is None else models, **settings)
        built.append(made)
        if begin:
            made.house.begin()
        await turn()
        return made

    yield make
    for made in built:
        await made.house.close()
        assert made.fleet.alive == []
        assert made.store.held == []
