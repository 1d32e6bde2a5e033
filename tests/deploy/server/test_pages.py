"""docs/deploy.md and docs/deploy-server.md: what they name exists, and what they show works."""

from __future__ import annotations

import re
from dataclasses import fields
from typing import Any

import pytest
import yaml

from deploy.server.releases import IMAGE, KEYS
from docs import names
from docs.blocks import REPOSITORY, Block, blocks, read, section, tables
from pilotlight import catalog
from pilotlight.cli.deploy import deploy
from pilotlight.deploy import registry
from pilotlight.deploy.compose.options import ComposeOptions
from pilotlight.deploy.registry import TARGETS
from pilotlight.deploy.resolve import Known, resolve
from pilotlight.deploy.settings import Common
from pilotlight.deploy.source import of_file
from pilotlight.deploy.systemd.options import SystemdOptions

PAGES = ("docs/deploy.md", "docs/deploy-server.md")
OWN = {"compose": ComposeOptions, "systemd": SystemdOptions}
pages = pytest.mark.parametrize("page", PAGES)


def shown(page: str, language: str) -> list[Block]:
    return [block for block in blocks(page) if block.language == language]


@pages
def test_its_commands_exist(page: str) -> None:
    text = "\n".join(block.text for block in shown(page, "sh"))
    written = re.findall(r"^(?:\w+=\S+ )?((?:pilotlight|python -m|make) [^\n]+)", text, re.M)
    written += re.findall(r"`((?:pilotlight|python -m|make) [^`\n]+)`", read(page))
    assert written
    for command in written:
        assert names.is_command(re.split(r" (?=[A-Z])| -f | --rank", command)[0]), command


@pages
def test_every_block_of_commands_says_why_it_isnt_executed(page: str) -> None:
    assert all(block.reason for block in shown(page, "sh"))


@pages
def test_its_files_are_there(page: str) -> None:
    for path in re.findall(r"`((?:tests|docs|examples)/[^`]+)`", read(page)):
        assert (REPOSITORY / path).exists(), path


@pages
def test_its_settings_exist(page: str) -> None:
    for target, key in re.findall(r"`(?:--set )?(compose|systemd)\.(?!yaml)(\w+)", read(page)):
        assert key in {item.name for item in fields(OWN[target])}, f"{target}.{key}"


@pages
@pytest.mark.parametrize("target", OWN)
def test_its_configuration_is_one_that_can_be_put_up(page: str, target: str, tmp_path: Any) -> None:
    [text] = [block.text for block in shown(page, "yaml")]
    assert set(yaml.safe_load(text)["deploy"]) <= {item.name for item in fields(Common)} | set(
        TARGETS
    )
    path = tmp_path / "pilotlight.yaml"
    path.write_text(text)
    known = Known(catalog=catalog.load(), keys=KEYS, image=lambda name: IMAGE)
    overrides = ("maximum=1",) if page == "docs/deploy.md" else ()
    found = registry.find(target)
    release = resolve(found, of_file(path), known, overrides)
    assert [str(one) for one in found.check(release)] == []
    assert found.render(release)


def test_every_target_has_a_row_and_a_page() -> None:
    [table, *_] = tables(read("docs/deploy.md"))
    assert [row[0].strip("`") for row in table] == list(TARGETS)


def test_every_verb_has_a_row() -> None:
    [table] = tables(section("docs/deploy.md", "## Verbs"))
    named = {row[0].strip("`").rpartition(" ")[2] for row in table}
    assert named == set(deploy.commands)


def test_every_figure_says_where_it_is_from() -> None:
    [table] = tables(section("docs/deploy.md", "## Every figure, and where it is from"))
    origins = ("measured here", "not measured: needs")
    assert len(table) >= 10
    for row in table:
        assert row[-1].startswith(origins), row
