"""docs/quality.md against the command and the files it describes."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
from click import Context

from pilotlight.cli.evaluate import evaluate
from pilotlight.quality.passages import EVERY_TOKENS, OPENING_TOKENS
from pilotlight.quality.tasks import read_task

PAGE = (Path(__file__).parents[2] / "docs" / "quality.md").read_text()


def test_commands_parse() -> None:
    block = re.search(r"```sh\n(.*?)```", PAGE, re.DOTALL)
    assert block is not None
    for line in block[1].splitlines():
        words = shlex.split(line)
        assert words[:2] == ["pilotlight", "eval"]
        evaluate.make_context("eval", words[2:])


def test_flags_are_the_commands_own() -> None:
    context = Context(evaluate)
    own = {name for option in evaluate.get_params(context) for name in option.opts}
    assert set(re.findall(r"`(--[a-z-]+)", PAGE)) <= own


@pytest.mark.parametrize("at", [0, 1])
def test_files_are_read_as_shown(at: int, tmp_path: Path) -> None:
    path = tmp_path / "task.jsonl"
    path.write_text(re.findall(r"```json\n(.*?)```", PAGE, re.DOTALL)[at])
    task = read_task(path)
    assert (task.kind, len(task.items)) == (("choice", "exact")[at], 2)


def test_numbers_are_the_codes_own() -> None:
    assert f"The first {OPENING_TOKENS} tokens" in PAGE
    assert f"at most {EVERY_TOKENS} tokens apart" in PAGE
