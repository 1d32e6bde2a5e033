"""Rendered files in a folder: written whole or not at all, and nobody else's touched.

A list of what was written lies beside the files, so that the next rendering can tell its own from
others', remove what it no longer renders, and see what somebody changed by hand.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Literal

from pilotlight import durable
from pilotlight.deploy.resources import Files
from pilotlight.errors import DeployError

LIST = ".pilotlight-deploy.json"
MODE = 0o644

Digests = Mapping[str, tuple[str, ...]]
"""By name: of the file as it was written, and in the midst of a rendering of what it is to be."""

Fate = Literal["new", "changed", "same", "removed"]


@dataclass(frozen=True, slots=True)
class Rendering:
    """What is to become of each file, in the order of rendering; those to remove come last."""

    files: Files
    fates: Mapping[str, Fate]


def compare(files: Files, folder: Path) -> Rendering:
    """Reads, and changes nothing.

    Raises:
        DeployError: a file of that name is somebody else's, or was changed since it was written.
    """
    for name in files:
        _check_name(name)
    ours = _listed(folder)
    fates: dict[str, Fate] = {name: _fate(folder, name, text, ours) for name, text in files.items()}
    gone = [name for name in ours if name not in files and (folder / name).exists()]
    for name in gone:
        _require_inside(folder, name)
        _require_untouched(folder, name, ours)
    return Rendering(files, {**fates, **dict.fromkeys(gone, "removed")})


def write(rendering: Rendering, folder: Path) -> None:
    """Blocks for as long as the disk takes. After an error the folder is as before.

    Raises:
        OSError: the disk is full, or the folder can't be written to.
    """
    due = {n: rendering.files[n] for n, fate in rendering.fates.items() if fate in _WRITTEN}
    removed = [name for name, fate in rendering.fates.items() if fate == "removed"]
    with _staged(due, folder) as partials:
        # First the list, with old and new: whoever is killed below leaves nothing unclaimed.
        before, after = _listed(folder), _digests(rendering.files)
        both = {name: before.get(name, ()) + after.get(name, ()) for name in {**before, **after}}
        _write_list(folder, both)
        for name, partial in partials.items():
            os.replace(partial, folder / name)
    for name in removed:
        (folder / name).unlink(missing_ok=True)
        _remove_empty(folder, (folder / name).parent)
    _write_list(folder, _digests(rendering.files))


_WRITTEN: frozenset[Fate] = frozenset({"new", "changed"})


@contextlib.contextmanager
def _staged(due: Files, folder: Path) -> Iterator[Mapping[str, Path]]:
    """Every file beside its place, so that a full disk shows before the first is replaced."""
    made: list[Path] = []
    partials: dict[str, Path] = {}
    try:
        for name, text in due.items():
            place = folder / name
            made += _directories(place.parent)
            partials[name] = place.with_name(f".{place.name}.{os.getpid()}.partial")
            durable.write_text(partials[name], text, MODE)
        yield partials
    finally:
        for partial in partials.values():
            partial.unlink(missing_ok=True)
        for directory in reversed(made):
            with contextlib.suppress(OSError):  # it has files now
                directory.rmdir()


def _directories(path: Path) -> list[Path]:
    """Made where they weren't there; the outermost first."""
    missing = [each for each in (path, *path.parents) if not each.exists()]
    for each in reversed(missing):
        each.mkdir()
    return missing[::-1]


def _remove_empty(folder: Path, directory: Path) -> None:
    while directory != folder:
        try:
            directory.rmdir()
        except OSError:  # somebody has files in it
            return
        directory = directory.parent


def _fate(folder: Path, name: str, text: str, ours: Digests) -> Fate:
    place = folder / name
    _require_inside(folder, name)
    if not place.exists():
        return "new"
    if place.is_file() and place.read_bytes() == text.encode():
        return "same"
    if name not in ours:
        raise DeployError(
            f"{str(place)!r} is there already, and not from a rendering",
            hint="choose another folder with --out DIR, or move the file",
        )
    _require_untouched(folder, name, ours)
    return "changed"


def _require_inside(folder: Path, name: str) -> None:
    """Of a name in the list, too: the folder may have come with somebody else's repository."""
    place = folder / name
    if not place.resolve().is_relative_to(folder.resolve()):
        raise DeployError(
            f"{str(place)!r} leads out of {str(folder)!r}", hint="remove the link, or --out DIR"
        )


def _require_untouched(folder: Path, name: str, ours: Digests) -> None:
    found = hashlib.sha256((folder / name).read_bytes()).hexdigest()
    if found not in ours[name]:
        raise DeployError(
            f"{str(folder / name)!r} was changed by hand since it was rendered",
            hint="keep the change elsewhere and remove the file, or render to --out DIR",
        )


def _check_name(name: str) -> None:
    """A target names what it renders; a bug there must not write all over the disk."""
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts or name in ("", ".", LIST):
        raise DeployError(f"{name!r} can't be a rendered file's name")


def _digests(files: Files) -> Digests:
    return {name: (hashlib.sha256(text.encode()).hexdigest(),) for name, text in files.items()}


def _listed(folder: Path) -> Digests:
    """Of what was written here before. Raises DeployError: that can't be read."""
    path = folder / LIST
    try:
        found = json.loads(path.read_bytes())["files"]
        return {str(name): tuple(map(str, digests)) for name, digests in found.items()}
    except FileNotFoundError:
        return {}
    except (ValueError, KeyError, TypeError, AttributeError):
        raise DeployError(
            f"{str(path)!r} is not a list of rendered files", hint="render to another folder"
        ) from None


def _write_list(folder: Path, digests: Digests) -> None:
    text = json.dumps({"files": dict(digests)}, indent=2) + "\n"
    durable.write_text(folder / LIST, text, MODE)
