"""An install as a whole: what is usable when, what an interruption leaves, who waits for whom."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
import threading
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from pilotlight.engines import environments
from pilotlight.engines.environments.plan import Plan, Step
from pilotlight.engines.environments.removal import remove
from pilotlight.errors import DiskFullError, EngineInstallError, EngineMissingError

from .conftest import HOST, MAKE_ROOT, Installer, note, script, tiny


def test_it_is_found_once_it_is_whole(installer: Installer) -> None:
    assert environments.find(installer.directory, "tiny") is None
    made = installer(tiny(version="1.2"))
    found = environments.find(installer.directory, "tiny")
    assert found == made
    assert found.version == "1.2"
    assert found.python == found.root / "bin" / "python"
    assert found.record.details["python"] == ".".join(map(str, HOST.python_version))
    assert environments.installed(installer.directory) == [found]
    assert [path.name for path in (installer.directory / "tiny").glob("*.partial")] == []


def test_nothing_installed_is_said_with_the_command_that_installs(tmp_path: Path) -> None:
    assert environments.installed(tmp_path / "none") == []
    with pytest.raises(EngineMissingError, match="'vllm' is not installed") as caught:
        environments.require(tmp_path, "vllm")
    assert caught.value.hint == "run: pilotlight engines install vllm"


def test_what_is_there_is_not_made_again(installer: Installer) -> None:
    plan = tiny(script("work", note("worked")))
    first = installer(plan)
    assert installer(plan) == first
    assert installer.diary == ["worked"]
    again = installer(plan, force=True)
    assert installer.diary == ["worked", "worked"]
    assert again.root != first.root
    assert not first.root.exists()


def test_another_plan_replaces_what_is_there(installer: Installer) -> None:
    first = installer(tiny(version="1"))
    second = installer(tiny(version="2"))
    assert environments.require(installer.directory, "tiny") == second
    assert not first.root.exists()


def failing(times: int) -> str:
    """Code that fails until it has been run `times` times."""
    path = "{work}/../../failures"
    return (
        f"import os, sys; n = os.path.exists(r'{path}') and int(open(r'{path}').read()) or 0; "
        f"open(r'{path}', 'w').write(str(n + 1)); sys.exit('not yet' if n < {times} else 0)"
    )


def test_an_interrupted_install_is_not_used_and_goes_on_where_it_was(installer: Installer) -> None:
    plan = tiny(
        script("fetch", note("fetched")),
        script("half", "import os; os.makedirs(r'{root}/half')", kept=False),
        script("build", failing(1)),
    )
    with pytest.raises(EngineInstallError, match="tiny: build: exit code 1: not yet") as caught:
        installer(plan)
    assert "install.log" in (caught.value.hint or "")
    assert environments.find(installer.directory, "tiny") is None
    with pytest.raises(EngineMissingError, match="was not finished"):
        environments.require(installer.directory, "tiny")
    # The root is made anew: what was half-written there would be taken for whole.
    made = installer(plan)
    assert installer.diary == ["fetched"]
    assert (made.root / "half").is_dir()
    assert [(p.step, p.number, p.steps) for p in installer.reports][-5:] == [
        ("build", 3, 5), ("half", 2, 5), ("build", 3, 5), ("make the root", 4, 5), ("check", 5, 5),
    ]  # fmt: skip


def test_force_begins_from_nothing(installer: Installer) -> None:
    plan = tiny(script("fetch", note("fetched")), script("build", failing(1)))
    with pytest.raises(EngineInstallError):
        installer(plan)
    installer(plan, force=True)
    assert installer.diary == ["fetched", "fetched"]


def test_one_that_does_not_run_is_never_used(installer: Installer) -> None:
    before = installer(tiny(version="1"))
    with pytest.raises(EngineInstallError, match="tiny: check: exit code 1: no such library"):
        installer(tiny(version="2", verify="import sys; sys.exit('no such library')"))
    assert environments.find(installer.directory, "tiny") == before


def test_a_program_that_was_not_made_is_a_failed_check(installer: Installer) -> None:
    plan = replace(tiny(), verify=("{root}/bin/absent",))
    with pytest.raises(EngineInstallError, match=r"tiny: check: .*No such file"):
        installer(plan)
    assert environments.find(installer.directory, "tiny") is None


def test_a_torn_record_or_one_of_another_engine_is_not_used(installer: Installer) -> None:
    record = installer(tiny()).root / "installed.json"
    whole = record.read_bytes()
    for bad in (b"", whole[:-9], b"[]", b'{"name": "tiny"}', whole.replace(b"tiny", b"other")):
        record.write_bytes(bad)
        assert environments.find(installer.directory, "tiny") is None, bad
    record.write_bytes(whole)
    assert environments.find(installer.directory, "tiny") is not None


def test_too_small_a_disk_is_said_before_anything_is_fetched(installer: Installer) -> None:
    plan = replace(tiny(script("fetch", note("fetched"))), room_bytes=10**18)
    with pytest.raises(DiskFullError, match="installing tiny needs 1000000000000000000 bytes"):
        installer(plan)
    assert not (installer.directory / "tiny" / "diary").exists()


def test_scripts_name_the_interpreter_where_it_ends_up(installer: Installer) -> None:
    write = (
        "open(r'{root}/bin/tool', 'w').write('#!{root}/bin/python\\n'); "
        "open(r'{root}/bin/program', 'wb').write(b'\\0ELF {root}')"
    )
    plan = replace(tiny(), steps=(script("write", f"{MAKE_ROOT}; {write}", kept=False),))
    root = installer(plan).root
    assert (root / "bin" / "tool").read_text() == f"#!{root}/bin/python\n"
    assert b".partial" in (root / "bin" / "program").read_bytes(), "a program isn't text"


def test_a_step_sees_no_python_or_pip_settings_but_the_index(
    installer: Installer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPATH", "/elsewhere")
    monkeypatch.setenv("PIP_TARGET", "/elsewhere")
    monkeypatch.setenv("PIP_INDEX_URL", "mine")
    show = "import os; e = os.environ; open(r'{work}/../../diary', 'w').write("
    show += "f\"{'PYTHONPATH' in e} {'PIP_TARGET' in e} {e['PIP_INDEX_URL']} {e['PIP_NO_INPUT']}\")"
    installer(tiny(script("look", show)))
    assert installer.diary == ["False", "False", "mine", "1"]


def test_a_second_install_waits_and_finds_it_there(installer: Installer) -> None:
    """The first one's step ends only when the second one waits."""
    gate = installer.directory / "gate"
    installer.directory.mkdir()
    os.mkfifo(gate)
    plan = tiny(script("wait", f"open(r'{gate}').read(); {note('worked')}"))
    second = Installer(installer.directory)
    second.on_wait = lambda: gate.write_text("go")
    made = []
    begun = threading.Event()

    def first() -> None:
        installer.reports = _Signalling(begun)
        made.append(installer(plan))

    thread = threading.Thread(target=first)
    thread.start()
    begun.wait(20)
    made.append(second(plan))
    thread.join(20)
    assert made[0] == made[1]
    assert (second.waits, second.reports) == (1, [])
    assert installer.diary == ["worked"]


class _Signalling(list):  # type: ignore[type-arg]
    """Sets its event at the first report: by then the lock is held."""

    def __init__(self, begun: threading.Event) -> None:
        super().__init__()
        self._begun = begun

    def append(self, item: object) -> None:
        super().append(item)
        self._begun.set()


_CHILD = """
import sys
from pathlib import Path
sys.path.insert(0, {tests!r})
from environments.conftest import Installer, script, tiny
Installer(Path({directory!r}))(tiny(script("wait", {code!r})))
"""


def _begin(installer: Installer, rest: str) -> tuple[subprocess.Popen[bytes], int]:
    """An install in a process of its own, inside a step that says its pid and then does `rest`."""
    installer.directory.mkdir()
    started = installer.directory / "started"
    os.mkfifo(started)
    code = f"import os; open(r'{started}', 'w').write(str(os.getpid())); {rest}"
    program = _CHILD.format(
        tests=str(Path(__file__).parents[1]), code=code, directory=str(installer.directory)
    )
    child = subprocess.Popen((sys.executable, "-c", program), stderr=subprocess.DEVNULL)
    return child, int(started.read_text())


def test_a_killed_install_holds_the_lock_until_its_step_has_ended(installer: Installer) -> None:
    """Else the next one would write to the same place beside the step that lives on."""
    gate = installer.directory.parent / "gate"
    os.mkfifo(gate)
    child, _ = _begin(installer, f"open(r'{gate}').read(); {note('orphan')}")
    child.kill()
    child.wait(20)
    installer.on_wait = lambda: gate.write_text("go")
    # Another plan of the same engine: it must find nobody at work.
    installer(tiny(script("work", note("next")), version="2"))
    assert installer.waits == 1
    assert installer.diary == ["orphan", "next"]


def test_ctrl_c_ends_the_step_too(installer: Installer) -> None:
    gate = installer.directory.parent / "gate"
    os.mkfifo(gate)
    child, step = _begin(installer, f"open(r'{gate}').read()")
    child.send_signal(signal.SIGINT)
    assert child.wait(20) != 0
    assert not psutil.pid_exists(step)
    installer(tiny())
    assert installer.waits == 0


def _running(root: Path) -> subprocess.Popen[bytes]:
    """A process of the environment, alive until its stdin closes."""
    program = root / "bin" / "python"
    program.symlink_to(sys.executable)
    process = subprocess.Popen(
        (str(program), "-I", "-c", "print(flush=True); input()"),
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    assert process.stdout is not None
    process.stdout.readline()
    return process


def _upgrade(installer: Installer, plan: Plan) -> Path:
    return installer(plan).root


def test_what_a_process_runs_from_is_kept_until_it_has_ended(installer: Installer) -> None:
    old = _upgrade(installer, tiny(version="1"))
    process = _running(old)
    try:
        second = _upgrade(installer, tiny(version="2"))
        assert old.exists()
        with pytest.raises(EngineInstallError, match=f"in use by process {process.pid}") as caught:
            remove(installer.directory, "tiny")
        assert "pilotlight stop" in (caught.value.hint or "")
        assert environments.require(installer.directory, "tiny").root == second
    finally:
        process.communicate()
    _upgrade(installer, tiny(version="3"))
    assert not old.exists()


def test_force_removes_even_what_runs(installer: Installer) -> None:
    process = _running(_upgrade(installer, tiny()))
    try:
        assert remove(installer.directory, "tiny", force=True)
    finally:
        process.communicate()
    assert environments.find(installer.directory, "tiny") is None
    assert not remove(installer.directory, "tiny")


def test_an_unfinished_install_is_removed_too(installer: Installer) -> None:
    with pytest.raises(EngineInstallError):
        installer(tiny(script("fail", "raise SystemExit(2)")))
    assert remove(installer.directory, "tiny")
    with pytest.raises(EngineMissingError, match="is not installed"):
        environments.require(installer.directory, "tiny")
    assert not remove(installer.directory, "never")


def test_the_instruction_sets_are_the_programs_own_words(installer: Installer) -> None:
    said = "system_info: n_threads = 2 | CPU : AVX2 = 1 | AVX512 = 1 | AVX512_VNNI = 0 |"
    plan = replace(
        tiny(), system_info=("{base}", "-I", "-c", f"import sys; print('{said}'); sys.exit(1)")
    )
    assert installer(plan).record.built_for == ("avx2", "avx512bw", "avx512f")


def _with_python(target: Path) -> Plan:
    """An install whose Python is a link, as a virtual environment's is."""
    link = f"{MAKE_ROOT}; os.symlink(r'{target}', r'{{root}}/bin/python'); {note('made')}"
    return replace(tiny(), steps=(script("make the root", link, kept=False),))


@pytest.mark.parametrize("becomes", [None, "python3.99"], ids=["gone", "another_version"])
def test_one_whose_python_went_away_is_said_and_made_again(
    installer: Installer, tmp_path: Path, becomes: str | None
) -> None:
    python = tmp_path / "usr" / "python3"
    python.parent.mkdir()
    python.symlink_to(sys.executable)
    installer(_with_python(python))
    assert environments.require(installer.directory, "tiny")
    python.unlink()
    if becomes is not None:  # as an upgrade of the system leaves it
        (python.parent / becomes).write_text("")
        python.symlink_to(becomes)
    with pytest.raises(EngineMissingError, match="the Python that 'tiny' was made with") as caught:
        environments.require(installer.directory, "tiny")
    assert caught.value.hint == "run: pilotlight engines install tiny"
    python.unlink(missing_ok=True)
    python.symlink_to(sys.executable)
    assert environments.require(installer.directory, "tiny"), "it is back"
    python.unlink()
    installer(_with_python(Path(sys.executable)))
    installer(_with_python(python))
    assert installer.diary == ["made"] * 3, "it was taken for one that is there"


def test_tools_whose_python_went_away_are_made_again(installer: Installer, tmp_path: Path) -> None:
    python = tmp_path / "python3"
    python.symlink_to(sys.executable)
    tools = "import os; os.makedirs(r'{work}/tools/bin', exist_ok=True); "
    tools += "p = r'{work}/tools/bin/python'; "
    tools += f"os.path.lexists(p) and os.unlink(p); os.symlink(os.path.realpath(r'{python}'), p)"
    plan = tiny(
        script("make the tools", f"{tools}; {note('made')}"),
        Step("use them", ("{tools}", "-I", "-c", failing(1))),
    )
    with pytest.raises(EngineInstallError, match="not yet"):
        installer(plan)
    [partial] = installer.directory.glob("tiny/*.partial")
    used = partial.joinpath("work", "tools", "bin", "python")
    used.unlink()
    used.symlink_to("/nowhere/python3")
    installer(plan)
    assert installer.diary == ["made", "made"]


def test_what_runs_is_known_by_any_name_of_its_directory(
    installer: Installer, tmp_path: Path
) -> None:
    """A data directory is often a link to a larger disk."""
    root = installer(tiny()).root
    alias = tmp_path / "alias"
    alias.symlink_to(installer.directory)
    process = _running(root)
    try:
        with pytest.raises(EngineInstallError, match="in use by process"):
            remove(alias, "tiny")
    finally:
        process.communicate()


def test_a_disk_that_fills_up_under_our_own_hands(
    installer: Installer, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "installed.json")

    monkeypatch.setattr("pilotlight.engines.environments.install.write", full)
    with pytest.raises(EngineInstallError, match="tiny: the disk is full") as caught:
        installer(tiny())
    assert "make room" in (caught.value.hint or "")
    assert environments.find(installer.directory, "tiny") is None
    monkeypatch.undo()
    assert installer(tiny())


def test_a_place_that_can_not_be_written(installer: Installer) -> None:
    installer.directory.write_text("a file in the way")
    with pytest.raises(EngineInstallError, match=r"File exists|Not a directory") as caught:
        installer(tiny())
    assert "engines.directory" in (caught.value.hint or "")


def test_all_of_it_is_on_the_disk_before_its_record(
    installer: Installer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After a power cut a record without its files would be a half-finished install in use."""
    seen = []

    def sync() -> None:
        seen.append([path.name for path in installer.directory.rglob("installed.json")])

    monkeypatch.setattr(os, "sync", sync)
    installer(tiny())
    assert seen == [[]]
