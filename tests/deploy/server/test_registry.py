"""The targets of one server are found again and again."""

from __future__ import annotations

import pytest

from pilotlight.deploy import registry


@pytest.mark.parametrize("name", ["compose", "systemd"])
def test_found_twice(name: str) -> None:
    """A module called as the function beside it would take its place once it is imported."""
    assert registry.find(name).name == registry.find(name).name == name
