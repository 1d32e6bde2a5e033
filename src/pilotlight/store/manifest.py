"""What the store knows of one stored model, beside it as JSON."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import msgspec

FORMAT = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """One model's file as it was when it was verified.

    `ref` and `source` carry no login and no query; the directory's name, not `ref`,
    ties a manifest to its ref. `path` is a name beside the manifest, or an absolute
    path for a file of the user's own that the store hashed and left in place.
    """

    format: int = FORMAT
    ref: str
    path: str
    size_bytes: int
    modified_ns: int
    digest: str
    source: str | None
    revision: str | None
    fetched_at: str

    @property
    def owned(self) -> bool:
        """The store fetched it, and may remove it."""
        return not Path(self.path).is_absolute()

    def file(self, directory: Path) -> Path:
        return directory / self.path

    def intact(self, directory: Path) -> bool:
        """The file is there and nobody wrote to it since; a look at it, not a hash."""
        try:
            found = self.file(directory).stat()
        except OSError:
            return False
        return (found.st_size, found.st_mtime_ns) == (self.size_bytes, self.modified_ns)


def read_manifest(path: Path) -> Manifest | None:
    """The manifest at `path`; None when there is none that this version reads."""
    try:
        manifest = msgspec.json.decode(path.read_bytes(), type=Manifest)
    except (OSError, msgspec.DecodeError):
        return None
    return manifest if manifest.format == FORMAT else None


def write_manifest(path: Path, manifest: Manifest) -> None:
    """Atomically: a reader sees the old one or the new one."""
    fresh = path.with_name(f"{path.name}.new")
    with fresh.open("wb") as file:
        file.write(msgspec.json.format(msgspec.json.encode(manifest), indent=2) + b"\n")
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(path)
