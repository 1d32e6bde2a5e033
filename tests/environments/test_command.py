"""The commands, as a user calls them, and the doctor's word on each engine."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from pilotlight.cli import cli
from pilotlight.config import EngineSettings
from pilotlight.doctor.environments import EngineFacts, examine_engine, look
from pilotlight.engines.environments.environment import Environment, Record, find, write
from pilotlight.engines.environments.host import survey_host
from pilotlight.engines.environments.recipes import RECIPES, plan
from pilotlight.engines.presets import PRESETS
from pilotlight.engines.registry import Engines
from pilotlight.machine import Machine, survey

MACHINE = Machine("Some CPU", 2, 2**33, (), frozenset({"avx2", "avx512f"}))
SERVER = """#!/bin/sh
case "$1" in
--version) echo "version: 77 (abc)" >&2;;
--list-devices) echo "Available devices:";;
*) echo "system_info: n_threads = 2 | CPU : AVX2 = 1 | AVX512 = 1 |" >&2; exit 1;;
esac
"""


@pytest.fixture
def directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("PILOTLIGHT_ENGINES_DIRECTORY", str(tmp_path / "engines"))
    monkeypatch.setenv("PILOTLIGHT_DATA_DIR", str(tmp_path / "data"))
    return tmp_path / "engines"


def call(*args: str) -> Result:
    return CliRunner().invoke(cli, ["engines", *args], prog_name="pilotlight")


def put(directory: Path, name: str, *, digest: str = "d", version: str = "9") -> Environment:
    """An installed engine with a llama-server and a python that ends well."""
    root = directory / name / "build"
    (root / "bin").mkdir(parents=True)
    for program, text in (("llama-server", SERVER), ("python", "#!/bin/sh\n")):
        (root / "bin" / program).write_text(text)
        (root / "bin" / program).chmod(0o755)
    write(Record(name, version, "cpu", digest, ("avx2", "avx512f")), root)
    (directory / name / "current").symlink_to("build")
    found = find(directory, name)
    assert found is not None
    return found


def test_list_shows_what_there_is_and_what_could_be(directory: Path) -> None:
    put(directory, "vllm", version="0.32.0")
    (directory / "transformers" / "x.partial").mkdir(parents=True)
    shown = call("list").stdout
    listed = [line.split()[0] for line in shown.splitlines()[1:]]
    assert listed == [*RECIPES, *PRESETS]
    entries = {e["name"]: e for e in json.loads(call("list", "--json").stdout)["engines"]}
    assert entries["sglang"]["state"] == "your own server; not run here"
    assert {name: entries[name]["state"] for name in RECIPES} == {
        "vllm": "installed", "transformers": "unfinished", "llamacpp-native": "not installed",
    }  # fmt: skip
    assert entries["vllm"]["version"] == "0.32.0"
    assert entries["vllm"]["built_for"] == ["avx2", "avx512f"]


@pytest.mark.parametrize("command", ["install", "remove", "doctor"])
def test_an_unknown_engine_is_refused_with_a_guess(directory: Path, command: str) -> None:
    answer = call(command, "vlm")
    assert answer.exit_code == 2
    assert "did you mean 'vllm'?" in answer.stderr


def test_a_plan_is_printed_and_nothing_done(directory: Path) -> None:
    answer = call("install", "transformers", "--build", "cpu", "--plan")
    assert answer.exit_code == 0
    assert "fetch torch" in answer.stdout
    assert not directory.exists()


def test_a_python_that_is_none_is_an_error(directory: Path) -> None:
    answer = call("install", "vllm", "--python", "/nowhere/python")
    assert answer.exit_code == 1
    assert "'/nowhere/python' doesn't run as a Python" in answer.stderr
    assert "hint: give --python the path" in answer.stderr


def test_what_is_installed_already_is_shown_as_it_is(directory: Path) -> None:
    digest = plan("transformers", survey(), survey_host(), "cpu").digest
    there = put(directory, "transformers", digest=digest)
    answer = call("install", "transformers", "--build", "cpu", "--json")
    assert json.loads(answer.stdout)["path"] == str(there.root)


def test_remove_takes_it_off(directory: Path) -> None:
    put(directory, "vllm")
    assert call("remove", "vllm").stdout == "vllm is removed\n"
    assert find(directory, "vllm") is None
    again = call("remove", "vllm")
    assert (again.exit_code, again.stderr) == (1, "vllm is not installed\n")


def facts(**changes: object) -> EngineFacts:
    record = Record("vllm", "0.32.0", "cpu", "d", ("avx2", "avx512f"))
    return replace(
        EngineFacts("vllm", Environment(Path("/e"), record), unfinished=False),
        **changes,  # type: ignore[arg-type]
    )


@pytest.mark.parametrize(
    ("changes", "verdict", "found", "mend"),
    [
        ({}, "ok", "0.32.0 (cpu) runs, from /e, uses avx512f", None),
        ({"problem": "exit code 1: x"}, "fail", "/e doesn't run: exit code 1: x",
         "pilotlight engines install vllm --force"),
        ({"due": "0.33.0"}, "warn", "now it would be 0.33.0", "pilotlight engines install vllm"),
        ({"environment": None}, "ok", "not installed", None),
        ({"environment": None, "unmade": "no wheels"}, "ok", "it couldn't be: no wheels", None),
        ({"environment": None, "unfinished": True}, "warn", "not finished",
         "pilotlight engines install vllm"),
    ],
)  # fmt: skip
def test_the_doctors_word(
    changes: dict[str, object], verdict: str, found: str, mend: str | None
) -> None:
    [finding] = examine_engine(facts(**changes))
    assert (finding.verdict, finding.mend) == (verdict, mend)
    assert found in finding.found


def test_the_doctor_runs_what_is_installed(tmp_path: Path) -> None:
    host = survey_host()
    digest = plan("llamacpp-native", MACHINE, host, "cpu").digest
    there = put(tmp_path, "llamacpp-native", digest=digest)
    assert look("llamacpp-native", tmp_path, MACHINE, host) == EngineFacts(
        "llamacpp-native", there, unfinished=False
    )
    moved = replace(MACHINE, instruction_sets=frozenset({"avx2"}))
    assert look("llamacpp-native", tmp_path, moved, host).due
    there.program("llama-server").write_text("#!/bin/sh\necho Illegal instruction; exit 132\n")
    broken = look("llamacpp-native", tmp_path, MACHINE, host)
    assert broken.problem == "exit code 132: Illegal instruction"


def test_the_doctor_of_one_that_is_missing_says_how_to_install_it(directory: Path) -> None:
    answer = call("doctor", "vllm")
    assert answer.exit_code == 1
    assert "hint: run: pilotlight engines install vllm" in answer.stderr


def test_the_doctor_judges_all_there_is(directory: Path) -> None:
    put(directory, "llamacpp-native", digest="of another machine")
    answer = call("doctor", "--json")
    checks = {check["name"]: check for check in json.loads(answer.stdout)["checks"]}
    assert checks["llamacpp-native"]["verdict"] == "warn"
    assert checks["vllm"]["found"].startswith("not installed")
    assert answer.exit_code == 0


def test_llamacpp_takes_the_native_build_before_the_one_on_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    on_path = tmp_path / "bin"
    on_path.mkdir()
    (on_path / "llama-server").write_text(SERVER.replace("77", "66"))
    (on_path / "llama-server").chmod(0o755)
    monkeypatch.setenv("PATH", f"{on_path}:/usr/bin:/bin")
    settings = EngineSettings(directory=tmp_path / "engines")
    assert Engines(settings, MACHINE).get("llamacpp").build == "llama-server 66 (abc)"
    native = put(tmp_path / "engines", "llamacpp-native")
    assert Engines(settings, MACHINE).get("llamacpp").build == "llama-server 77 (abc)"
    # One compiled for another processor doesn't run here: it is passed over.
    native.program("llama-server").write_text("#!/bin/sh\nexit 132\n")
    assert Engines(settings, MACHINE).get("llamacpp").build == "llama-server 66 (abc)"


def test_the_machines_doctor_knows_the_native_build(directory: Path) -> None:
    there = put(directory, "llamacpp-native")
    put(directory, "vllm", version="0.32.0")
    answer = CliRunner().invoke(cli, ["doctor", "--json"], prog_name="pilotlight")
    checks = {check["name"]: check for check in json.loads(answer.stdout)["checks"]}
    assert f"{there.program('llama-server')} runs the models" in checks["engine"]["found"]
    assert checks["instruction sets"]["verdict"] == "ok"
    assert checks["other engines"]["found"] == "llamacpp-native 9 (cpu), vllm 0.32.0 (cpu)"
