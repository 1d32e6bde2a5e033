"""A home of its own for every test, and a command line to call in it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

import pytest
from click.testing import CliRunner, Result

from home import home as home
from pilotlight.cli import cli

from .server import ModelServer


class Call(Protocol):
    def __call__(self, *args: str, input: str | None = None) -> Result: ...


@pytest.fixture
def call() -> Call:
    def run(*args: str, input: str | None = None) -> Result:
        return CliRunner().invoke(cli, args, prog_name="pilotlight", input=input)

    return run


@pytest.fixture
def server() -> Iterator[ModelServer]:
    with ModelServer() as running:
        yield running
