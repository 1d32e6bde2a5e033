"""CONTRIBUTING.md goes through the whole engine seam, and its commands exist."""

from __future__ import annotations

import re

import pytest

from pilotlight.engines.base import Engine
from pilotlight.testing import conformance

from . import names
from .blocks import blocks, read, section, tables

PAGE = "CONTRIBUTING.md"


def test_every_member_of_an_engine_has_a_line() -> None:
    [table] = tables(section(PAGE, "## Adding an engine").replace("\n   |", "\n|"))
    named = [row[0].strip("`") for row in table]
    assert named == [name for name in vars(Engine) if not name.startswith("_")]


def test_the_conformance_checks_are_where_it_says() -> None:
    assert conformance.CHECKS
    assert conformance.SOCKET_CHECKS
    assert {"Check", "Subject"} <= set(vars(conformance))


@pytest.mark.parametrize(
    "path", sorted(set(re.findall(r"`((?:engines|testing)/[\w/]+\.py|errors\.py)`", read(PAGE))))
)
def test_files_are_there(path: str) -> None:
    assert names.is_path(path)


def test_its_commands_exist() -> None:
    written = "\n".join(block.text for block in blocks(PAGE) if block.language == "sh")
    commands = re.findall(r"pilotlight [a-z ]+[a-z]", written)
    assert commands
    assert all(names.is_command(command) for command in commands)
