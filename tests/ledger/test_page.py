"""docs/ledger.md: its settings are settings, its commands are commands, its columns are there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner

from docs.blocks import blocks, read, tables
from pilotlight import config
from pilotlight.cli import cli
from pilotlight.meter.ledger.entry import Entry
from pilotlight.meter.ledger.ledger import directory_of

from .made import Time, entry, ledger

PAGE = "docs/ledger.md"
COMMANDS = [
    line for block in blocks(PAGE) if block.language == "sh" for line in block.text.splitlines()
]


def test_the_settings_are_read(tmp_path: Path) -> None:
    [text] = [block.text for block in blocks(PAGE) if block.language == "yaml"]
    every = tmp_path / "every.yaml"
    every.write_text(re.sub(r"^  # (\w+:)", r"  \1", text, flags=re.MULTILINE))
    settings = config.load(every, environ={}).ledger
    assert (settings.usd_per_kwh, settings.usd_per_hour, settings.rated_w) == (0.14, 1.05, 250.0)
    named = set(re.findall(r"`ledger\.(\w+)", read(PAGE)))
    assert named <= set(yaml.safe_load(every.read_text())["ledger"]) | {
        item.path[1] for item in config.declared() if item.path[0] == "ledger"
    }


@pytest.mark.parametrize("command", COMMANDS)
def test_the_commands_work(command: str, tmp_path: Path) -> None:
    kept = ledger(directory_of(tmp_path), Time())
    kept.record(entry())
    kept.close()
    words = [*command.split()[1:], "--data-dir", str(tmp_path)]
    answer = CliRunner().invoke(cli, words, env={"PILOTLIGHT_DATA_DIR": None})
    assert answer.exit_code == 0, answer.output


def test_the_tables_are_those_of_the_file() -> None:
    [rows] = tables(read(PAGE))
    assert [row[0].strip("`") for row in rows] == ["requests", "hours", "idle"]
    for what in ("key", "model", "adapter", "replica", "operation", "outcome"):
        assert what in rows[0][1]
        assert what in Entry.__struct_fields__
