"""A folder of the context: copied so that the same content is the same layer, byte for byte."""

from __future__ import annotations

import hashlib
import os
import py_compile
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

from pilotlight.errors import DeployError

Keep = Callable[[Path], bool]
"""Asked with a path relative to the tree's root."""

_BYTECODE = "__pycache__"


def visible(path: Path) -> bool:
    """Not what tools leave behind: bytecode of another path, and hidden directories."""
    return not any(part.startswith(".") or part == _BYTECODE for part in path.parts)


def copy(source: Path, into: Path, keep: Keep = visible) -> None:
    """The files below `source`, or the one that it is, without links to follow later."""
    if source.is_file():
        into.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, into)
        shutil.copymode(source, into)
        return
    if not source.is_dir():
        raise DeployError(f"there is no {str(source)!r}", hint="correct the path, or leave it out")
    into.mkdir(parents=True, exist_ok=True)
    for path in sorted(source.rglob("*")):
        relative = path.relative_to(source)
        if path.is_file() and keep(relative):
            copy(path, into / relative)


def compile_python(root: Path, shown: str) -> None:
    """Bytecode beside every module, believed without a look at the source.

    An image's root is read-only, so nobody could write it later, and compiling takes longer than
    all the rest of a start. `shown` is where the tree will lie: it is in every traceback.
    """
    for path in sorted(root.rglob("*.py")):
        name = f"{shown}/{path.relative_to(root)}"
        mode = py_compile.PycInvalidationMode.UNCHECKED_HASH
        try:
            py_compile.compile(str(path), dfile=name, doraise=True, invalidation_mode=mode)
        except py_compile.PyCompileError:
            continue  # a template, or syntax of another Python: nobody imports it here


def publish(made: Path, place: Path) -> None:
    """Give `made` its name, unless another process was first: then both made the same."""
    try:
        made.rename(place)
    except OSError:
        if not place.is_dir():
            raise


def settle(root: Path, epoch_s: int) -> None:
    """One time, and one of two modes, for everything in the tree."""
    for path in sorted(root.rglob("*"), reverse=True):
        if not path.is_symlink():
            runs = path.is_dir() or path.stat().st_mode & 0o100
            path.chmod(0o755 if runs else 0o644)
        os.utime(path, (epoch_s, epoch_s), follow_symlinks=False)
    root.chmod(0o755)
    os.utime(root, (epoch_s, epoch_s))


def size_bytes(root: Path) -> int:
    return sum(path.lstat().st_size for path in _files(root))


def digest(root: Path) -> str:
    """Of names, modes and content; what makes a layer another one."""
    whole = hashlib.sha256()
    for path in _files(root):
        content = os.readlink(path).encode() if path.is_symlink() else path.read_bytes()
        mode = path.lstat().st_mode & 0o111
        name = path.relative_to(root)
        whole.update(f"{name}\0{mode}\0{hashlib.sha256(content).hexdigest()}\n".encode())
    return whole.hexdigest()


def _files(root: Path) -> Iterator[Path]:
    yield from (path for path in sorted(root.rglob("*")) if path.is_symlink() or path.is_file())
