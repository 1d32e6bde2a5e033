"""An update that fails at any step leaves what was there, and nothing of its own."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from pilotlight.deploy.server.releases import Releases, version_of
from pilotlight.deploy.server.rollout import Rollout
from pilotlight.errors import DeployError

OLD, NEW = {"a.yaml": "one\n", "keys.json": "{}\n"}, {"a.yaml": "two\n"}
STEPS = ("prepare", "activate", "await_ready")


@dataclass
class Machine:
    """Runs whatever was activated last, and fails at one step of one release."""

    runs: str | None = None
    made: set[str] = field(default_factory=set)
    failing: tuple[str, str] | None = None
    error: Callable[[], BaseException] = lambda: DeployError("no", hint="look")

    def _step(self, step: str, version: str) -> None:
        if self.failing == (step, version):
            raise self.error()

    def prepare(self, place: Path) -> None:
        (place / "made").touch()
        self.made.add(place.name)
        self._step("prepare", place.name)

    def activate(self, place: Path) -> None:
        assert (place / "made").exists(), "it was prepared"
        self.runs = place.name
        self._step("activate", place.name)

    def await_ready(self) -> float:
        assert self.runs is not None
        self._step("await_ready", self.runs)
        return 0.5

    def last_words(self) -> str:
        return f"the end of {self.runs}"

    def deactivate(self) -> None:
        self.runs = None


@pytest.fixture
def releases(tmp_path: Path) -> Releases:
    return Releases(tmp_path / "chat")


def roll(releases: Releases, machine: Machine, files: dict[str, str]) -> list[str]:
    said: list[str] = []
    Rollout(releases, machine, said.append).to(version_of(files), files)
    return said


def everything(folder: Path) -> dict[str, str]:
    found = {}
    for path in sorted(folder.rglob("*")):
        name = str(path.relative_to(folder))
        if path.is_symlink():
            found[name] = f"-> {path.readlink()}"
        elif path.is_file():
            found[name] = path.read_text()
    return found


def test_a_first_release_and_its_successor(releases: Releases) -> None:
    machine = Machine()
    roll(releases, machine, OLD)
    said = roll(releases, machine, NEW)
    assert machine.runs == releases.current() == version_of(NEW)
    assert (releases.link / "a.yaml").read_text() == "two\n"
    assert said[-1] == "ready after 0.5 s"
    assert releases.holds(version_of(OLD)), "the way back by hand"


def test_only_the_last_two_are_kept(releases: Releases) -> None:
    machine = Machine()
    for number in range(4):
        roll(releases, machine, {"a.yaml": f"{number}\n"})
    kept = {path.name for path in (releases.folder / "releases").iterdir()}
    assert kept == {version_of({"a.yaml": f"{number}\n"}) for number in (2, 3)}


def test_what_is_known_isnt_prepared_again(releases: Releases) -> None:
    machine = Machine()
    roll(releases, machine, OLD)
    roll(releases, machine, NEW)
    machine.made.clear()
    roll(releases, machine, OLD)
    assert machine.made == set()
    assert machine.runs == version_of(OLD)


@pytest.mark.parametrize("step", STEPS)
def test_a_failed_update_goes_back_by_itself(releases: Releases, step: str) -> None:
    machine = Machine()
    roll(releases, machine, OLD)
    before = everything(releases.folder)
    machine.failing = (step, version_of(NEW))
    with pytest.raises(DeployError, match=f"{version_of(OLD)} runs as before") as caught:
        roll(releases, machine, NEW)
    assert caught.value.hint == "look"
    assert machine.runs == releases.current() == version_of(OLD)
    assert everything(releases.folder) == before


@pytest.mark.parametrize("step", STEPS)
def test_a_failed_first_release_leaves_nothing(releases: Releases, step: str) -> None:
    machine = Machine(failing=(step, version_of(NEW)))
    with pytest.raises(DeployError, match="nothing of it was kept"):
        roll(releases, machine, NEW)
    assert machine.runs is None
    assert not releases.folder.exists()


def test_the_last_words_are_those_of_the_release_that_failed(releases: Releases) -> None:
    machine = Machine()
    roll(releases, machine, OLD)
    machine.failing = ("await_ready", version_of(NEW))
    with pytest.raises(DeployError, match=f"the end of {version_of(NEW)}"):
        roll(releases, machine, NEW)


@pytest.mark.parametrize("step", STEPS)
def test_ctrl_c_goes_back_too(releases: Releases, step: str) -> None:
    machine = Machine()
    roll(releases, machine, OLD)
    before = everything(releases.folder)
    machine.failing, machine.error = (step, version_of(NEW)), KeyboardInterrupt
    with pytest.raises(KeyboardInterrupt):
        roll(releases, machine, NEW)
    assert machine.runs == version_of(OLD)
    assert everything(releases.folder) == before


def test_an_old_release_that_fails_now_is_kept_for_later(releases: Releases) -> None:
    machine = Machine()
    roll(releases, machine, OLD)
    roll(releases, machine, NEW)
    machine.failing = ("await_ready", version_of(OLD))
    with pytest.raises(DeployError):
        roll(releases, machine, OLD)
    assert releases.holds(version_of(OLD))
    assert machine.runs == version_of(NEW)


def test_the_same_release_that_fails_is_left_as_it_is(releases: Releases) -> None:
    machine = Machine()
    roll(releases, machine, OLD)
    machine.failing = ("await_ready", version_of(OLD))
    with pytest.raises(DeployError, match="left as it is"):
        roll(releases, machine, OLD)
    assert releases.current() == version_of(OLD)


def test_a_way_back_that_fails_too_is_said(releases: Releases) -> None:
    machine = Machine()
    roll(releases, machine, OLD)
    machine.failing = ("await_ready", version_of(NEW))

    def fail() -> BaseException:
        machine.failing = ("activate", version_of(OLD))
        return DeployError("no")

    machine.error = fail
    with pytest.raises(DeployError, match="didn't start again either"):
        roll(releases, machine, NEW)
    assert releases.current() == version_of(OLD)


def test_what_a_crash_left_half_made_is_made_anew(releases: Releases) -> None:
    machine = Machine()
    place = releases.write(version_of(NEW), {"a.yaml": "half"})
    (place / "rest").touch()
    roll(releases, machine, NEW)
    assert machine.made == {version_of(NEW)}
    assert not (place / "rest").exists()


def test_a_link_that_leads_nowhere_is_no_release(releases: Releases) -> None:
    roll(releases, Machine(), OLD)
    releases.discard(version_of(OLD))
    assert releases.current() is None


def test_others_may_read_it_whatever_the_mask(releases: Releases) -> None:
    before = os.umask(0o077)
    try:
        roll(releases, Machine(), OLD)
    finally:
        os.umask(before)
    for path in (releases.folder, releases.path(version_of(OLD)), releases.link / "a.yaml"):
        assert path.stat().st_mode & 0o044 == 0o044, path


def test_a_folder_that_cant_be_written_is_an_error_with_a_way_out(tmp_path: Path) -> None:
    (tmp_path / "chat").write_text("a file")
    with pytest.raises(DeployError, match="can't write") as caught:
        roll(Releases(tmp_path / "chat"), Machine(), OLD)
    assert caught.value.hint
