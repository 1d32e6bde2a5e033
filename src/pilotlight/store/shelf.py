"""The directory of one ref in the store.

<scheme>-<name>-<hash of the ref>/
    manifest.json           written before the model appears under its name
    <model file>            complete and verified, or absent
    <file>.partial          arriving, with <file>.partial.json about its origin
    lock                    held while somebody fetches
"""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path

from pilotlight.core import ModelRef
from pilotlight.store.address import file_name, shown
from pilotlight.store.manifest import Manifest, read_manifest, write_manifest
from pilotlight.store.partial import discard

_NAME_LENGTH = 60


@dataclass(frozen=True, slots=True)
class Shelf:
    directory: Path

    @classmethod
    def of(cls, store: Path, ref: ModelRef) -> Shelf:
        key = hashlib.sha256(str(ref).encode()).hexdigest()[:16]
        name = file_name(shown(ref).partition(":")[2])[:_NAME_LENGTH]
        return cls(store / f"{ref.scheme}-{name}-{key}")

    @property
    def lock(self) -> Path:
        return self.directory / "lock"

    def partial(self, name: str) -> Path:
        return self.directory / f"{name}.partial"

    def manifest(self) -> Manifest | None:
        """The manifest, if its model is there and unchanged."""
        manifest = read_manifest(self.directory / "manifest.json")
        return manifest if manifest and manifest.intact(self.directory) else None

    def note(self, manifest: Manifest) -> None:
        write_manifest(self.directory / "manifest.json", manifest)

    def publish(self, partial: Path, manifest: Manifest) -> None:
        """Give a verified, synced file its name.

        The manifest goes first: a process killed in between leaves a complete partial
        file to continue from, not a file nobody vouches for.
        """
        self.note(manifest)
        partial.replace(manifest.file(self.directory))
        descriptor = os.open(self.directory, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def sweep(self, kept: Path | None = None) -> None:
        """Remove what earlier fetches left half done, except `kept`. Needs the lock."""
        for partial in self.directory.glob("*.partial"):
            if partial != kept:
                discard(partial)
        for notes in self.directory.glob("*.partial.json"):
            if not notes.with_suffix("").exists():
                notes.unlink()
