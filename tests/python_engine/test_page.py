"""docs/engines/python.md: its blocks executed in order, its tables held to the code."""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path

import pytest

from docs.blocks import REPOSITORY, blocks, section, tables
from docs.tour import Tour
from pilotlight.engines.python.declaration import Declaration
from pilotlight.engines.python.options import Options
from pilotlight.fleet.local import LocalFleet

from .conftest import ask, job, running

PAGE = "docs/engines/python.md"
EXECUTABLE = [block for block in blocks(PAGE) if block.language == "sh"]
EXAMPLE = REPOSITORY / "examples" / "tickets"


@pytest.fixture(scope="module")
def tour(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tour]:
    directory = tmp_path_factory.mktemp("tour")
    (directory / "examples").symlink_to(REPOSITORY / "examples", target_is_directory=True)
    (directory / "models").mkdir()
    tour = Tour(directory, directory / "models", EXECUTABLE)
    yield tour
    tour.close()


def test_the_example_is_served(tour: Tour) -> None:
    said = tour.walk_to(len(EXECUTABLE) - 1)
    assert '"team": "billing"' in said
    assert "operations  predict" in said


@pytest.mark.parametrize(
    ("language", "name"), [("python", "tickets.py"), ("yaml", "pilotlight.yaml")]
)
def test_the_files_shown_are_those_of_the_example(language: str, name: str) -> None:
    shown = next(block.text for block in blocks(PAGE) if block.language == language)
    assert shown == (EXAMPLE / name).read_text()


async def test_the_echo_echoes(fleet: LocalFleet, tmp_path: Path) -> None:
    text = next(block.text for block in blocks(PAGE) if "class Echo" in block.text)
    file = tmp_path / "echo.py"
    file.write_text(text)
    body = {"messages": [{"role": "user", "content": "one two three"}], "max_tokens": 2}
    async with running(fleet, job("Echo", file)) as process:
        status, answer = await ask(process, "/v1/chat/completions", **body)
    assert status == 200
    assert answer["choices"][0]["message"]["content"] == "one two "
    assert answer["usage"]["total_tokens"] == 5


def test_every_option_and_capability_has_a_line() -> None:
    [options] = tables(section(PAGE, "## Options"))
    assert [row[0].strip("`") for row in options] == [item.name for item in fields(Options)]
    declared = tables(section(PAGE, "## The class"))[1]
    named = [name for row in declared for name in re.findall(r"`(\w+)`", row[0])]
    assert named == [item.name for item in fields(Declaration)]


def test_the_example_needs_nothing_installed() -> None:
    tree = ast.parse((EXAMPLE / "tickets.py").read_text())
    nodes = list(ast.walk(tree))
    plain = {name.name for node in nodes if isinstance(node, ast.Import) for name in node.names}
    named = {str(node.module) for node in nodes if isinstance(node, ast.ImportFrom)}
    assert {"csv", "math"} <= plain | named <= sys.stdlib_module_names | {"collections"}
