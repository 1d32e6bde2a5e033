"""ARCHITECTURE.md names only what exists, and leaves out no dependency and no part."""

from __future__ import annotations

import re

import pytest

from . import names
from .blocks import REPOSITORY, section, tables, without_blocks

PAGE = "ARCHITECTURE.md"
SPANS = sorted(set(re.findall(r"`([^`\n]+)`", without_blocks(PAGE))))
CODE = names.in_code()
# Packages the page names to say why they are not used.
LEFT_OUT = {"llama-cpp-python"}


def exists(span: str) -> bool:
    return (
        span in CODE
        or span in names.settings()
        or span in names.dependencies()
        or span in names.installed()
        or span in LEFT_OUT
        or names.is_route(span)
        or names.is_path(span)
        or names.is_command(span)
    )


def test_the_page_names_much() -> None:
    assert len(SPANS) > 100


@pytest.mark.parametrize("span", SPANS)
def test_it_exists(span: str) -> None:
    assert exists(span), f"{PAGE} names {span!r}, which is nowhere"


@pytest.mark.parametrize(
    "span", ["Router.sumbit", "schedule.never", "POST /health", "pilotlight brew", "make coffee",
             "docs/nothing.md", "python -m benchmarks.nothing", "pilotlight ps --warm-starts"]
)  # fmt: skip
def test_a_name_that_is_nowhere_is_noticed(span: str) -> None:
    assert not exists(span)


def test_every_dependency_has_a_line() -> None:
    [table] = tables(section(PAGE, "## Dependencies"))
    named = [name for row in table for name in re.findall(r"`([^`]+)`", row[0])]
    assert sorted(named) == sorted(names.dependencies())


def test_every_part_has_a_line() -> None:
    [table] = tables(section(PAGE, "## The modules"))
    named = {name.split(".")[0] for row in table for name in re.findall(r"`([^`]+)`", row[0])}
    source = REPOSITORY / "src" / "pilotlight"
    there = {path.name for path in source.iterdir() if (path / "__init__.py").exists()}
    assert named == there | {path.stem for path in source.glob("*.py")} - {"__init__"}


def test_every_seam_is_a_protocol_in_the_code() -> None:
    [table] = tables(section(PAGE, "## The seams"))
    for seam in (row[0].strip("`") for row in table):
        text = "".join(path.read_text() for path in (REPOSITORY / "src").rglob("*.py"))
        assert re.search(rf"^class {seam}\(Protocol\):", text, re.MULTILINE), seam
