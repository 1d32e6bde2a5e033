"""A home of its own for every test, and a command line to call in it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

import pytest
from click.testing import CliRunner, Result

from pilotlight.cli import cli

from .server import ModelServer


class Call(Protocol):
    def __call__(self, *args: str, input: str | None = None) -> Result: ...


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """No setting, key, model or server of the user who runs the tests."""
    for name in list(os.environ):
        if name.startswith("PILOTLIGHT_"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def call() -> Call:
    def run(*args: str, input: str | None = None) -> Result:
        return CliRunner().invoke(cli, args, prog_name="pilotlight", input=input)

    return run


@pytest.fixture
def server() -> Iterator[ModelServer]:
    with ModelServer() as running:
        yield running
