"""What is known of a class before anything of it runs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from pilotlight.core import ModelFiles, ModelRef, Operation
from pilotlight.engines.python.engine import CHAT_FIELDS, PythonEngine
from pilotlight.engines.python.target import Target
from pilotlight.errors import EngineOptionError, EngineStartError, ModelRefError
from pilotlight.gateway.wire.fields import TABLES
from pilotlight.replica.measured import key_of

from .conftest import files_of, job


def capabilities(kind: str, file: Path | None = None, **given: Any) -> Any:
    engine = PythonEngine()
    files = files_of(kind, file) if file else files_of(kind)
    return engine.capabilities(files, engine.options(given))


def written(tmp_path: Path, text: str) -> Path:
    file = tmp_path / "mine.py"
    file.write_text(text)
    return file


def test_the_core_fields_are_those_that_the_gateway_checks() -> None:
    assert TABLES[Operation.CHAT].core.keys() - {"messages"} == CHAT_FIELDS


def test_methods_are_operations() -> None:
    assert capabilities("Sync").operations == {
        Operation.CHAT, Operation.EMBEDDINGS, Operation.PREDICT,
    }  # fmt: skip
    assert capabilities("Storyteller").operations == {Operation.CHAT}


def test_what_is_not_declared_is_lacking() -> None:
    can = capabilities("Storyteller")
    assert "max_tokens" not in can.lacks[Operation.CHAT]
    assert {"temperature", "tools", "logprobs"} <= can.lacks[Operation.CHAT]
    assert can.parameters[Operation.CHAT] == {"top_k"}
    caller = capabilities("Caller")
    assert caller.tools
    assert caller.thinking
    assert not {"tools", "tool_choice"} & caller.lacks[Operation.CHAT]


def test_a_standby_is_for_whoever_needs_nothing_of_his_own() -> None:
    assert capabilities("Sync").standby
    assert not capabilities("Sync", env={"A": "1"}).standby


def test_context_and_memory() -> None:
    engine, files = PythonEngine(), files_of("Storyteller")
    assert engine.context(files, engine.options({})) == 512
    assert engine.context(files, engine.options({"context": 64})) == 64
    assert engine.context(files_of("Sync"), engine.options({})) is None
    declared = engine.predict(files, engine.options({"memory_bytes": "2GiB"}))
    assert (declared.ram_bytes, declared.source) == (2 * 2**30, "declared")
    assert engine.predict(files, engine.options({})).ram_bytes > 2**20


def test_inherited_methods_of_the_same_file_count(tmp_path: Path) -> None:
    text = (
        "class Base:\n    capabilities = {'context': 9}\n    def predict(self, r): ...\n"
        "class Mine(Base): ...\n"
    )
    can = capabilities("Mine", written(tmp_path, text))
    assert can.operations == {Operation.PREDICT}


def test_methods_from_elsewhere_are_declared(tmp_path: Path) -> None:
    text = "from x import B\nclass Mine(B):\n    capabilities = {'operations': ['embeddings']}\n"
    assert capabilities("Mine", written(tmp_path, text)).operations == {Operation.EMBEDDINGS}


def test_a_source_that_changes_is_read_again(tmp_path: Path) -> None:
    file = written(tmp_path, "class Mine:\n    def predict(self, r): ...\n")
    assert capabilities("Mine", file).operations == {Operation.PREDICT}
    written(tmp_path, "class Mine:\n    async def generate(self, r): ...\n")
    assert capabilities("Mine", file).operations == {Operation.CHAT}


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("class Nine: ...", "did you mean 'Nine'"),
        ("class Mine: ...", "generate, embed, predict"),
        ("class Mine(:", "SyntaxError"),
        ("X = 1\nclass Mine:\n    capabilities = {'context': X}\n", "no literal"),
        ("class Mine:\n    capabilities = ['chat']\n", "expected a dict"),
        ("class Mine:\n    capabilities = {'contxt': 9}\n", "did you mean 'context'"),
        ("class Mine:\n    capabilities = {'context': '9'}\n", "whole number"),
        ("class Mine:\n    capabilities = {'tools': 1}\n", "True or False"),
        ("class Mine:\n    capabilities = {'operations': ['rerank']}\n", "chat, embeddings"),
        ("class Mine:\n    capabilities = {'parameters': 'stop'}\n", "list of names"),
    ],
)
def test_what_is_wrong_in_the_source_is_said_by_name(tmp_path: Path, text: str, says: str) -> None:
    with pytest.raises(EngineStartError) as caught:
        capabilities("Mine", written(tmp_path, text))
    assert says in str(caught.value)


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(EngineStartError, match=r"nowhere\.py"):
        capabilities("Mine", tmp_path / "nowhere.py")


def test_a_module_is_found_without_being_imported(tmp_path: Path) -> None:
    (tmp_path / "package").mkdir()
    (tmp_path / "package" / "__init__.py").write_text("raise SystemExit('imported')\n")
    text = "raise SystemExit('imported')\nclass Mine:\n    def predict(self, r): ...\n"
    (tmp_path / "package" / "mine.py").write_text(text)
    engine = PythonEngine()
    files = ModelFiles(ModelRef("python", "package.mine:Mine"), Path("/dev/null"), 0)
    options = engine.options({"env": {"PYTHONPATH": str(tmp_path)}})
    assert engine.capabilities(files, options).operations == {Operation.PREDICT}
    with pytest.raises(EngineStartError, match="no module 'package'"):
        engine.capabilities(files, engine.options({}))


@pytest.mark.parametrize(
    ("text", "file", "module"),
    [
        ("python:a/b.py:Mine", "a/b.py", None),
        ("python:/a/b.py:Mine", "/a/b.py", None),
        ("python:a.b:Mine", None, "a.b"),
    ],
)
def test_refs(text: str, file: str | None, module: str | None) -> None:
    target = Target.parse(ModelRef.parse(text))
    assert target.file == (Path(file).absolute() if file else None)
    assert target.module == module
    assert target.kind == "Mine"


@pytest.mark.parametrize("text", ["python:a.py", "python:a.py:", "python:a.py:7", "python:a-b:C",
                                  "file:a.py:Mine"])  # fmt: skip
def test_refs_that_name_no_class(text: str) -> None:
    with pytest.raises(ModelRefError, match=r"python:path/to/file\.py:ClassName"):
        Target.parse(ModelRef.parse(text))


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"paralel": 2}, "did you mean 'parallel'"),
        ({"labels": []}, "goes under kwargs"),
        ({"parallel": 0}, "from 1 to 4096"),
        ({"kwargs": [1]}, "expected a mapping"),
        ({"kwargs": {"a": {1}}}, "JSON"),
        ({"env": {"A": [1]}}, "names to texts"),
        ({"python": "/nowhere/python"}, "existing file"),
        ({"memory_bytes": "much"}, "512MiB"),
    ],
)
def test_options_are_refused_by_name(given: dict[str, Any], says: str) -> None:
    with pytest.raises(EngineOptionError) as caught:
        PythonEngine().options(given)
    assert says in str(caught.value)


def test_what_was_measured_of_one_class_says_nothing_of_another() -> None:
    keys = {key_of(job(kind), "python 3", "a machine") for kind in ("Sync", "Caller", "Caller")}
    assert len(keys) == 2


@pytest.mark.parametrize("name", ["env", "kwargs"])
def test_refused_options_that_may_hold_keys_are_not_repeated(name: str) -> None:
    given = {name: {"TOKEN": "hf-secret", "SIZE": {1, 2}}}
    with pytest.raises(EngineOptionError) as caught:
        PythonEngine().options(given)
    assert f"{name!r} is (hidden)" in str(caught.value)
    assert "hf-secret" not in str(caught.value)
