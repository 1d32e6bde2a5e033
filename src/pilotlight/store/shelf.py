"""The directory of one ref in a store.

models/<scheme>-<name>-<hash of the ref>/
    snapshot.json           which files it is, written last: what vouches for the rest
    files/<name>            relative links into blobs/, under the names the model's source has
    <file>.partial          arriving, with a journal beside it
    !preview.partial        links to what of several files is enough for whoever reads headers
    hashed.json             hashes of files of the user's own, used where they are
    lock                    held while somebody fetches
    use                     held, shared, by every server that has the model loaded
    used                    its time is when the model was last asked for
    pinned                  there while the model must stay
"""

from __future__ import annotations

import hashlib
import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from pilotlight.core import ModelRef
from pilotlight.store.address import file_name, shown
from pilotlight.store.snapshot import Snapshot, read_snapshot, same_time

_NAME_LENGTH = 60
_PARTIAL_LENGTH = 200
MODELS = "models"
BLOBS = "blobs"


@dataclass(frozen=True, slots=True)
class Shelf:
    directory: Path

    @classmethod
    def of(cls, store: Path, ref: ModelRef) -> Shelf:
        key = hashlib.sha256(str(ref).encode()).hexdigest()[:16]
        name = file_name(shown(ref).partition(":")[2])[:_NAME_LENGTH]
        return cls(store / MODELS / f"{ref.scheme}-{name}-{key}")

    @property
    def files(self) -> Path:
        return self.directory / "files"

    @property
    def lock(self) -> Path:
        return self.directory / "lock"

    @property
    def use(self) -> Path:
        return self.directory / "use"

    @property
    def used(self) -> Path:
        return self.directory / "used"

    @property
    def pinned(self) -> Path:
        return self.directory / "pinned"

    @property
    def hashed(self) -> Path:
        return self.directory / "hashed.json"

    @property
    def snapshot_path(self) -> Path:
        return self.directory / "snapshot.json"

    @property
    def preview(self) -> Path:
        """What is known of a directory that still arrives; no file's own name becomes this."""
        return self.directory / "!preview.partial"

    def partial(self, name: str) -> Path:
        """Where the file arrives: a name in this directory also for one with directories."""
        flat = quote(name, safe=" +,=@()[]")
        if len(flat) > _PARTIAL_LENGTH:
            flat = hashlib.sha256(name.encode()).hexdigest()
        return self.directory / f"{flat}.partial"

    def snapshot(self) -> Snapshot | None:
        """What was published here, whether or not it still is as it was."""
        return read_snapshot(self.snapshot_path)

    def intact(self) -> Snapshot | None:
        """The snapshot if nobody touched its files since. A look at them, not a hash."""
        snapshot = self.snapshot()
        if snapshot is None or not snapshot.believable:
            return None
        try:
            found = [(self.files / file.name).stat() for file in snapshot.files]
        except OSError:
            return None
        same = all(
            file.size_bytes == stat.st_size and same_time(file.modified_ns, stat.st_mtime_ns)
            for file, stat in zip(snapshot.files, found, strict=True)
        )
        return snapshot if same else None

    def touch(self) -> None:
        """Note that the model was asked for now; a store that is only read keeps no such note."""
        try:
            os.utime(self.used)
        except OSError:
            return

    def used_s(self) -> float:
        """When the model was last asked for, in Unix time; 0 where nobody knows."""
        try:
            return self.used.stat().st_mtime
        except OSError:
            return 0.0

    def partials(self) -> tuple[Path, ...]:
        """What is arriving and what lies beside it."""
        return tuple(sorted(self.directory.glob("*.partial*")))

    def sweep(self) -> None:
        """Remove what earlier fetches left half done. Needs the lock."""
        for path in self.partials():
            if path.is_dir():
                shutil.rmtree(path)
            else:
                path.unlink(missing_ok=True)
