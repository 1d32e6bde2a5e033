"""Fenced blocks of a Markdown page, with what the page says about executing them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

REPOSITORY = Path(__file__).parents[2]

_BLOCK = re.compile(
    r"(?:<!-- not executed: (?P<reason>[^\n]+?) -->\n)?^```(?P<language>\w*)\n(?P<text>.*?)^```$",
    re.MULTILINE | re.DOTALL,
)


@dataclass(frozen=True, slots=True)
class Block:
    line: int
    language: str
    text: str
    reason: str | None
    """Why it is not executed, where the page says so."""


def read(page: str) -> str:
    return (REPOSITORY / page).read_text()


def blocks(page: str) -> list[Block]:
    text = read(page)
    return [
        Block(
            text.count("\n", 0, found.start()) + 1,
            found["language"],
            found["text"],
            found["reason"],
        )
        for found in _BLOCK.finditer(text)
    ]


def without_blocks(page: str) -> str:
    return _BLOCK.sub("", read(page))


def section(page: str, title: str) -> str:
    """The text under a heading, up to the next one of any level."""
    _, _, after = read(page).partition(f"\n{title}\n")
    assert after, f"{page} has no heading {title!r}"
    return re.split(r"^#+ ", after, maxsplit=1, flags=re.MULTILINE)[0]


def tables(text: str) -> list[list[list[str]]]:
    """Every table's rows of cells, without its heading."""
    found = re.findall(r"(?:^\|.*\|\n)+", text, re.MULTILINE)
    return [[_cells(line) for line in table.splitlines()[2:]] for table in found]


def _cells(line: str) -> list[str]:
    return [cell.strip() for cell in re.split(r"(?<!\\)\|", line.strip().strip("|"))]
