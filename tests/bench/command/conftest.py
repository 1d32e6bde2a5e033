"""A served fake model, in processes of its own, for all of these tests."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from home import home as home
from pilotlight.bench.subjects import Ground, Recipe, Subject, serving
from pilotlight.cli import cli

COMMAND = (sys.executable, str(Path(__file__).with_name("fake_serve.py")), "serve")


def recipe(directory: Path, **options: Any) -> Recipe:
    """Its file is never read, but the store wants one."""
    weights = directory / "weights"
    weights.write_bytes(b"none")
    return Recipe(name="fake", ref=f"file:{weights}", engine="fake", options=options)


def ground(directory: Path) -> Ground:
    return Ground(
        directory=directory,
        store=directory / "store",
        engines=directory / "engines",
        command=COMMAND,
    )


@pytest.fixture(scope="session")
def fake(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Subject]:
    directory = tmp_path_factory.mktemp("fake")
    with serving(recipe(directory, parallel=64, token_delay_ms=0.5), ground(directory)) as subject:
        yield subject


def call(*args: str) -> Result:
    return CliRunner().invoke(cli, ("bench", *args), prog_name="pilotlight")
