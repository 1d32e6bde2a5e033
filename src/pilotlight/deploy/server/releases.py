"""Releases of one name side by side in a folder, and a link to the one that runs.

    FOLDER/releases/3f1c9a0b72de/…   one each, never changed once it is whole
    FOLDER/releases/91aa04d1c2b3/…
    FOLDER/current -> releases/91aa04d1c2b3

A link is replaced in one step, so whoever looks finds one release whole or the other, also after
a power cut.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
from dataclasses import dataclass
from pathlib import Path

from pilotlight import durable
from pilotlight.deploy.resources import Files
from pilotlight.errors import DeployError

VERSION_DIGITS = 12
_WHOLE = ".whole"
"""Written last: a folder without it is what a crash left, and is made anew."""


def version_of(files: Files) -> str:
    """Of exactly these files: the same again is the same release."""
    text = json.dumps(dict(files), sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:VERSION_DIGITS]


@dataclass(frozen=True, slots=True)
class Releases:
    """All blocks for as long as the disk takes, and raises DeployError where it refuses."""

    folder: Path

    @property
    def link(self) -> Path:
        return self.folder / "current"

    def path(self, version: str) -> Path:
        return self.folder / "releases" / version

    def current(self) -> str | None:
        """The release that the link names; None without a link or where it leads nowhere."""
        try:
            version = Path(os.readlink(self.link)).name
        except OSError:
            return None
        return version if self.path(version).is_dir() else None

    def holds(self, version: str) -> bool:
        return (self.path(version) / _WHOLE).exists()

    def write(self, version: str, files: Files) -> Path:
        """The release's folder with `files` in it, not yet whole: see `seal`."""
        place = self.path(version)
        try:
            shutil.rmtree(place, ignore_errors=True)
            place.mkdir(parents=True)
            # Read by the instance's own user, whatever the caller's mask; no secret is in them.
            for folder in (self.folder, place.parent, place):
                folder.chmod(0o755)
            for name, text in files.items():
                durable.write_text(place / name, text)
                (place / name).chmod(0o644)
        except OSError as error:
            raise _refused(place, error) from None
        return place

    def seal(self, version: str) -> None:
        try:
            durable.write_text(self.path(version) / _WHOLE, "")
        except OSError as error:
            raise _refused(self.path(version), error) from None

    def switch(self, version: str | None) -> None:
        """Have the link name `version`; None takes it away."""
        partial = self.folder / f".current.{os.getpid()}"
        try:
            if version is None:
                self.link.unlink(missing_ok=True)
                return
            partial.unlink(missing_ok=True)
            partial.symlink_to(Path("releases") / version)
            os.replace(partial, self.link)
            durable.sync(self.folder)
        except OSError as error:
            raise _refused(self.link, error) from None

    def discard(self, version: str) -> None:
        shutil.rmtree(self.path(version), ignore_errors=True)

    def keep(self, *versions: str | None) -> None:
        """Remove every other release."""
        place = self.folder / "releases"
        for path in sorted(place.iterdir()) if place.is_dir() else ():
            if path.name not in versions:
                shutil.rmtree(path, ignore_errors=True)

    def remove(self) -> None:
        """All of it, and the folder around it if nothing else is there; absent is no error."""
        self.switch(None)
        shutil.rmtree(self.folder, ignore_errors=True)
        with contextlib.suppress(OSError):
            self.folder.parent.rmdir()


def _refused(path: Path, error: OSError) -> DeployError:
    return DeployError(
        f"can't write {str(path)!r}: {error.strerror}",
        hint="run it as a user who may, or choose another folder",
    )
