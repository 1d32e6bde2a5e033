from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from pilotlight.catalog import Catalog, load

Write = Callable[[str], Path]


@pytest.fixture(scope="session")
def shipped() -> Catalog:
    """What the package comes with."""
    return load()


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """A user's catalog file with the text given."""

    def make(text: str) -> Path:
        path = tmp_path / "mine.yaml"
        path.write_text(text)
        return path

    return make
