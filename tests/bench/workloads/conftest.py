"""The fake engine on a port of its own: it counts tokens as its own vocabulary has them."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from pilotlight.bench.target import Target
from pilotlight.testing.options import FakeOptions
from pilotlight.testing.server import Model


@pytest.fixture
async def target() -> AsyncIterator[Target]:
    model = Model("fake", FakeOptions(), None)
    port = await model.listen_on_port(0)
    yield Target(url=f"http://127.0.0.1:{port}", model="fake")
    model.close()
