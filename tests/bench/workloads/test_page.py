"""docs/workloads.md against the code."""

from __future__ import annotations

import re

import pytest

from pilotlight.bench.workloads.lengths import parse_length
from pilotlight.bench.workloads.registry import KINDS, check

from .page import BEGIN, END, PAGE, generated


def test_the_options_are_those_of_the_code() -> None:
    found = PAGE.read_text().partition(BEGIN)[2].partition(END)[0]
    assert found.strip() == generated().strip(), "write it anew: python -m bench.workloads.page"


def examples() -> list[str]:
    block = re.search(r"```text\n(.*?)```", PAGE.read_text(), re.DOTALL)
    assert block is not None
    return block[1].split()


@pytest.mark.parametrize("text", examples())
def test_examples_are_workloads(text: str) -> None:
    assert check(text).text == text


def test_every_kind_has_an_example() -> None:
    assert {text.partition(":")[0] for text in examples()} == set(KINDS)


def test_lengths_are_written_as_the_table_says() -> None:
    table = PAGE.read_text().partition("## Lengths")[2].partition("## Files")[0]
    written = [one for row in re.findall(r"^\| (`.+?) \|", table, re.MULTILINE)
               for one in re.findall(r"`([^`]+)`", row)]  # fmt: skip
    assert len(written) == 6
    for text in written:
        if not text.startswith("file("):
            assert parse_length(text).text == text
