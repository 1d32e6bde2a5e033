"""Rendered files: whole or not at all, ours alone, gone when they are no longer rendered."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path

import pytest

from pilotlight import durable
from pilotlight.deploy.folder import LIST, compare, write
from pilotlight.errors import DeployError

FILES = {"main.yaml": "a: 1\n", "sub/deep/other.txt": "hello\n"}


def render(files: Mapping[str, str], folder: Path) -> Mapping[str, str]:
    rendering = compare(files, folder)
    write(rendering, folder)
    return rendering.fates


def held(folder: Path) -> dict[str, str]:
    """Without the list; a partial file that was left would show."""
    paths = (path for path in folder.rglob("*") if path.is_file() and path.name != LIST)
    return {str(path.relative_to(folder)): path.read_text() for path in paths}


def test_a_folder_is_made_with_them_and_the_second_time_nothing_changes(tmp_path: Path) -> None:
    out = tmp_path / "a/b"
    assert render(FILES, out) == {"main.yaml": "new", "sub/deep/other.txt": "new"}
    assert held(out) == FILES
    times = {path: path.stat().st_mtime_ns for path in out.rglob("*.*") if path.name != LIST}
    assert set(render(FILES, out).values()) == {"same"}
    assert {path: path.stat().st_mtime_ns for path in times} == times
    assert os.stat(out / "main.yaml").st_mode & 0o777 == 0o644


def test_what_is_no_longer_rendered_goes_with_its_folders_and_others_files_stay(
    tmp_path: Path,
) -> None:
    render(FILES, tmp_path)
    (tmp_path / "sub/mine.txt").write_text("mine")
    fates = render({"main.yaml": "a: 2\n"}, tmp_path)
    assert fates == {"main.yaml": "changed", "sub/deep/other.txt": "removed"}
    assert held(tmp_path) == {"main.yaml": "a: 2\n", "sub/mine.txt": "mine"}
    assert not (tmp_path / "sub/deep").exists()


def test_somebody_elses_file_of_that_name_is_not_touched(tmp_path: Path) -> None:
    (tmp_path / "main.yaml").write_text("mine")
    with pytest.raises(DeployError, match="is there already, and not from a rendering"):
        compare(FILES, tmp_path)
    assert held(tmp_path) == {"main.yaml": "mine"}


@pytest.mark.parametrize("files", [{"main.yaml": "a: 3\n"}, {"other": ""}])
def test_a_change_by_hand_is_neither_overwritten_nor_removed(
    tmp_path: Path, files: dict[str, str]
) -> None:
    render(FILES, tmp_path)
    (tmp_path / "main.yaml").write_text("a: 1 # mine\n")
    with pytest.raises(DeployError, match=r"main\.yaml' was changed by hand"):
        compare(files, tmp_path)


def test_a_file_that_was_removed_by_hand_comes_again(tmp_path: Path) -> None:
    render(FILES, tmp_path)
    (tmp_path / "main.yaml").unlink()
    assert render(FILES, tmp_path)["main.yaml"] == "new"


@pytest.mark.parametrize("name", ["../out", "/etc/passwd", "a/../../b", "", ".", LIST])
def test_nothing_is_written_outside(tmp_path: Path, name: str) -> None:
    with pytest.raises(DeployError):
        compare({name: "x"}, tmp_path)


def test_a_link_that_leads_out_is_not_followed(tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (tmp_path / "elsewhere").mkdir()
    (out / "sub").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(DeployError, match="leads out of"):
        compare(FILES, out)


def test_a_list_that_names_what_lies_elsewhere_removes_nothing(tmp_path: Path) -> None:
    """The folder came with somebody else's repository."""
    out, mine = tmp_path / "out", tmp_path / "mine.txt"
    render(FILES, out)
    mine.write_text("mine")
    listed = json.loads((out / LIST).read_text())
    listed["files"]["../mine.txt"] = [hashlib.sha256(b"mine").hexdigest()]
    (out / LIST).write_text(json.dumps(listed))
    with pytest.raises(DeployError, match=r"mine\.txt' leads out of"):
        compare(FILES, out)


@pytest.mark.parametrize("before", [{}, {"main.yaml": "a: 0\n", "gone.txt": "old\n"}])
def test_a_disk_that_fills_up_midway_leaves_all_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, before: dict[str, str]
) -> None:
    out = tmp_path / "out"
    if before:
        render(before, out)
    rendering = compare(FILES, out)
    whole = durable.write_text

    def full(path: Path, text: str, mode: int = 0o600) -> None:
        if "other" in path.name:
            raise OSError(28, "No space left on device")
        whole(path, text, mode)

    monkeypatch.setattr(durable, "write_text", full)
    with pytest.raises(OSError, match="No space"):
        write(rendering, out)
    assert (held(out) if out.exists() else {}) == before
    monkeypatch.undo()
    render(FILES, out)
    assert held(out) == FILES


def test_whoever_is_killed_between_two_files_can_render_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The list has old and new by then, so neither counts as changed by hand."""
    render({"main.yaml": "a: 0\n", "sub/deep/other.txt": "old\n"}, tmp_path)
    whole = os.replace

    def killed(source: Path, target: Path) -> None:
        if target.suffix == ".txt":
            raise KeyboardInterrupt
        whole(source, target)

    rendering = compare(FILES, tmp_path)
    monkeypatch.setattr(os, "replace", killed)
    with pytest.raises(KeyboardInterrupt):
        write(rendering, tmp_path)
    monkeypatch.undo()
    assert held(tmp_path) == {"main.yaml": "a: 1\n", "sub/deep/other.txt": "old\n"}
    render(FILES, tmp_path)
    assert held(tmp_path) == FILES


def test_a_list_that_cant_be_read_is_named(tmp_path: Path) -> None:
    (tmp_path / LIST).write_text("[]")
    with pytest.raises(DeployError, match="is not a list of rendered files"):
        compare(FILES, tmp_path)
