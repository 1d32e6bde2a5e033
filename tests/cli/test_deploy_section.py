"""The `deploy` section in the generated documents and in `config check`."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from pilotlight import config
from pilotlight.cli import documents
from pilotlight.deploy.section import check, own_settings, sections
from pilotlight.deploy.settings import Common

from .conftest import Call


def test_every_example_of_the_section_is_one_that_its_target_takes(home: Path) -> None:
    text = re.sub(r"^(\s*)#(?=\S)", r"\1", documents.example(), flags=re.MULTILINE)
    path = home / "all.yaml"
    path.write_text(text)
    section = config.load(path, environ={}).deploy
    check(section, "all.yaml")
    assert {item.path[0] for item in config.declared(Common)} <= set(section)
    for name, kind in sections().items():
        own = {item.path[0] for item in own_settings(kind)}
        assert own | {key for key, _, _ in config.mappings(kind)} == set(section[name])


def test_the_reference_has_every_key_of_every_section() -> None:
    text = documents.reference()
    for name, kind in sections().items():
        _, _, part = text.partition(f"## deploy.{name}\n")
        part = part.partition("\n## ")[0]
        for item in own_settings(kind):
            assert f"| `{'.'.join(item.path)}` |" in part


@pytest.mark.parametrize(
    ("section", "said"),
    [
        ("{memroy: 1GB}", "unknown key deploy.memroy"),
        ("{lambda: {memroy: 1GB}}", "unknown key deploy.lambda.memroy"),
        ("{cloudrun: {memory: lots}}", "deploy.cloudrun.memory is 'lots', expected a size"),
        ("{build: {engnie: wheel}}", "unknown key deploy.build.engnie"),
        ("3", "deploy is 3, expected keys and values"),
    ],
)
def test_a_check_finds_what_no_target_has(call: Call, home: Path, section: str, said: str) -> None:
    (home / "some.yaml").write_text(f"deploy: {section}\n")
    result = call("config", "check", "some.yaml")
    assert result.exit_code == 2
    assert said in result.stderr
    assert "some.yaml" in result.stderr


def test_serve_reads_none_of_it(home: Path) -> None:
    (home / "some.yaml").write_text("deploy: {name: chat, lambda: {memory: 1GB}}\n")
    loaded = config.load(home / "some.yaml", environ={})
    assert loaded.deploy == {"name": "chat", "lambda": {"memory": "1GB"}}
