"""Private keys: made on the command line, kept in the file, and old files still read."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from pilotlight.cli import cli
from pilotlight.errors import ConfigError
from pilotlight.gateway.keys import KeyStore


def run(*words: str) -> str:
    result = CliRunner().invoke(cli, words)
    assert result.exit_code == 0, result.output
    return result.stdout


def test_the_flag_makes_a_private_key(tmp_path: Path) -> None:
    where = ("--data-dir", str(tmp_path))
    made = json.loads(run("keys", "create", "--name", "a", "--private", "--json", *where))
    other = json.loads(run("keys", "create", "--name", "b", "--json", *where))
    assert (made["private"], other["private"]) == (True, False)
    store = KeyStore(tmp_path / "keys.json")
    assert store.check(made["key"]).private
    assert not store.check(other["key"]).private
    lines = run("keys", "list", *where).splitlines()
    assert "PRIVATE" in lines[0]
    assert [" yes " in line for line in lines[1:]] == [True, False]


def test_a_key_from_before_there_were_private_ones_is_none(tmp_path: Path) -> None:
    path = tmp_path / "keys.json"
    _, text = KeyStore(path).create("a", "user")
    tree = json.loads(path.read_text())
    del tree["keys"][0]["private"]
    path.write_text(json.dumps(tree))
    assert not KeyStore(path).check(text).private


def test_a_file_whose_word_on_it_is_unclear_locks_out(tmp_path: Path) -> None:
    path = tmp_path / "keys.json"
    _, text = KeyStore(path).create("a", "user", private=True)
    path.write_text(path.read_text().replace("true", '"perhaps"'))
    with pytest.raises(ConfigError, match="can't read the keys"):
        KeyStore(path).check(text)
