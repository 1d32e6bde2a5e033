"""Files of the user's own: used where they are, hashed only for a pin, and then once."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import msgspec

from pilotlight.store.digest import combined, hash_file
from pilotlight.store.shelf import Shelf
from pilotlight.store.snapshot import StoredFile, replace_json
from pilotlight.store.worker import Tick

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Hashed:
    """The hashes of what lay at `root`, as it was then."""

    root: str
    files: tuple[StoredFile, ...]

    @property
    def digest(self) -> str:
        return f"sha256:{combined((file.name, file.sha256) for file in self.files)}"


def files_of(root: Path) -> Iterator[tuple[str, Path]]:
    """A model's files with their names in it; hidden ones are other programs' notes."""
    if not root.is_dir():
        yield root.name, root
        return
    for path in sorted(root.rglob("*")):
        parts = path.relative_to(root).parts
        if path.is_file() and not any(part.startswith(".") for part in parts):
            yield "/".join(parts), path


def size_bytes(root: Path) -> int:
    return sum(path.stat().st_size for _, path in files_of(root))


def known_digest(shelf: Shelf, root: Path) -> str | None:
    """The digest noted earlier, if `root` is as it was."""
    try:
        noted = msgspec.json.decode(shelf.hashed.read_bytes(), type=Hashed)
        now = [_stamp(name, path) for name, path in files_of(root)]
    except (OSError, msgspec.DecodeError):
        return None
    then = [(file.name, file.size_bytes, file.modified_ns) for file in noted.files]
    # A relative file: ref is another file from another working directory.
    return noted.digest if noted.root == str(root) and now == then else None


def hash_in_place(shelf: Shelf, root: Path, tick: Tick) -> str:
    """The digest of what is at `root`, noted for as long as it is unchanged. Blocks."""
    hashed = Hashed(root=str(root), files=tuple(_hash(root, tick)))
    try:
        shelf.directory.mkdir(parents=True, exist_ok=True)
        replace_json(shelf.hashed, hashed)
    except OSError as error:  # then it is hashed each time
        _log.warning("can't note the digest of %s: %s", root, error)
    return hashed.digest


def _hash(root: Path, tick: Tick) -> Iterator[StoredFile]:
    done_bytes = 0
    for name, path in files_of(root):
        _, size, modified_ns = _stamp(name, path)
        sha256 = hash_file(path, _after(done_bytes, tick))
        yield StoredFile(name, sha256, size, modified_ns)
        done_bytes += size


def _after(done_bytes: int, tick: Tick) -> Tick:
    return lambda more_bytes: tick(done_bytes + more_bytes)


def _stamp(name: str, path: Path) -> tuple[str, int, int]:
    found = path.stat()
    return name, found.st_size, found.st_mtime_ns
