"""The README's blocks, executed in order against a real server with the real model."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from pilotlight.core import ModelFiles

from .blocks import REPOSITORY, blocks, read
from .tour import Tour

PAGE = "README.md"
EXECUTABLE = [b for b in blocks(PAGE) if b.language in ("sh", "python") and b.reason is None]


@pytest.fixture(scope="module")
def tour(
    tmp_path_factory: pytest.TempPathFactory, smollm: ModelFiles, store_directory: Path
) -> Iterator[Tour]:
    tour = Tour(tmp_path_factory.mktemp("tour"), store_directory, EXECUTABLE)
    yield tour
    tour.close()


@pytest.mark.real
@pytest.mark.parametrize(
    "index", range(len(EXECUTABLE)), ids=[f"line-{block.line}" for block in EXECUTABLE]
)
def test_block(tour: Tour, index: int) -> None:
    """Its exit status is 0 and it says something."""
    assert tour.walk_to(index).strip()


def test_every_block_is_executed_or_says_why_not() -> None:
    found = blocks(PAGE)
    assert {block.language for block in found} <= {"sh", "python", "text"}
    skipped = [block for block in found if block.reason]
    assert len(EXECUTABLE) >= 8
    assert len(skipped) <= 3, "a page whose blocks aren't executed proves nothing"


def test_the_tree_names_every_package_and_nothing_else() -> None:
    tree = next(block.text for block in blocks(PAGE) if "src/pilotlight/" in block.text)
    named = set(re.findall(r"^  ([a-z_]+)(?:/|\.py) ", tree, re.MULTILINE))
    source = REPOSITORY / "src" / "pilotlight"
    there = {path.name for path in source.iterdir() if (path / "__init__.py").exists()}
    there |= {path.stem for path in source.glob("*.py")} - {"__init__"}
    assert named == there


@pytest.mark.parametrize(
    "page",
    ["README.md", "ARCHITECTURE.md", "CHANGELOG.md", "CONTRIBUTING.md"]
    + [f"docs/{path.name}" for path in sorted((REPOSITORY / "docs").glob("*.md"))],
)
def test_links_lead_somewhere(page: str) -> None:
    for link in re.findall(r"\]\(([^)\s]+)\)", read(page)):
        target, _, anchor = link.partition("#")
        if target.startswith("http"):
            continue
        there = (REPOSITORY / page).parent / target if target else REPOSITORY / page
        assert there.exists(), f"{page} links to {target}"
        assert not anchor or anchor in _anchors(there.read_text()), f"{page} links to {link}"


def _anchors(text: str) -> set[str]:
    """As the usual renderers make them from headings."""
    headings = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {re.sub(r"[^\w -]", "", title).lower().replace(" ", "-") for title in headings}


@pytest.mark.parametrize("page", ["README.md", "CONTRIBUTING.md"])
def test_make_targets_are_there(page: str) -> None:
    targets = set(re.findall(r"^([a-z-]+):", read("Makefile"), re.MULTILINE))
    named = set(re.findall(r"^make ([a-z-]+)", _commands(page), re.MULTILINE))
    assert named
    assert named <= targets


def _commands(page: str) -> str:
    """What the page writes as code: its blocks and its spans."""
    spans = re.findall(r"`([^`\n]+)`", read(page))
    return "\n".join([*(block.text for block in blocks(page)), *spans])
