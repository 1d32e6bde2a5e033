"""Our own code in an image, in a few layers, so that a change is a small push."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping
from functools import partial
from pathlib import Path

import pilotlight
from pilotlight.deploy.image import tree
from pilotlight.deploy.image.spec import APP_AT

LAYERS: Mapping[str, tuple[str, ...]] = {
    "measuring": ("bench", "calibration", "planner", "quality", "tune"),
    "tools": ("cli", "deploy", "doctor"),
    "keeping": ("catalog", "meter", "store"),
    "engines": ("engines",),
}
"""Folders of the context, and the parts of the package in each; a change sends its layer alone."""

SERVING = "serving"
"""The folder of all other parts."""

TOOLS = (*LAYERS["measuring"], *LAYERS["tools"])
"""Parts that no instance imports. They have no bytecode: it would double what they take, for
commands that somebody types into a container once in a while."""

_ABSENT = ("testing",)
_UNCOMPILED = ("measuring", "tools")


def part_of(path: Path) -> str:
    """The folder of the context that a file of the package belongs to."""
    first = path.parts[0]
    return next((folder for folder, parts in LAYERS.items() if first in parts), SERVING)


def wanted(path: Path) -> bool:
    return tree.visible(path) and path.parts[0] not in _ABSENT


def _is_in(folder: str, path: Path) -> bool:
    return wanted(path) and part_of(path) == folder


def stage(context: Path, package: Path | None = None) -> None:
    """Copy the package as it is installed here, a clone's or a wheel's, with its bytecode."""
    source = package or Path(pilotlight.__file__).parent
    for folder in (*LAYERS, SERVING):
        into = context / folder / "pilotlight"
        tree.copy(source, into, partial(_is_in, folder))
        if folder not in _UNCOMPILED:
            tree.compile_python(into, f"{APP_AT}/pilotlight")


def revision(package: Path | None = None) -> str | None:
    """The commit of the clone that this runs from; None for an installed package."""
    root = (package or Path(pilotlight.__file__).parent).parents[1]
    if not (root / ".git").exists():
        return None
    try:
        done = subprocess.run(
            ("git", "-C", str(root), "rev-parse", "HEAD"), capture_output=True, text=True
        )
    except OSError:
        return None
    return done.stdout.strip() if done.returncode == 0 else None
