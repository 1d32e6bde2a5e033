"""docs/measuring.md names every figure, error and verdict that a report can have."""

from __future__ import annotations

import typing
from dataclasses import fields
from pathlib import Path

import pytest

from pilotlight.bench.numbers import Excluded, Numbers, Verdict
from pilotlight.bench.record import ErrorKind

PAGE = (Path(__file__).parents[3] / "docs" / "measuring.md").read_text()

NAMES = (
    *({field.name for field in fields(Numbers)} - {"requests", "completed", "errors"}),
    *(field.name for field in fields(Excluded)),
    *typing.get_args(Verdict),
    *typing.get_args(ErrorKind),
)


@pytest.mark.parametrize("name", sorted(NAMES))
def test_the_page_explains_it(name: str) -> None:
    assert f"`{name}`" in PAGE
