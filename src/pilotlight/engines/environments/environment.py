"""What is installed: read from disk, written only by an install that went through.

<directory>/<name>/current        symbolic link to the build in use
<directory>/<name>/<digest>       one build; its record is the last thing written to it
<directory>/<name>/<digest>.partial   an install that hasn't come to its end; never used
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from pilotlight.errors import EngineMissingError

LLAMACPP_NATIVE = "llamacpp-native"
"""llama.cpp compiled here: found by the llamacpp engine, which has other programs too."""

CURRENT = "current"
RECORD = "installed.json"
PARTIAL = ".partial"
_VERSIONED = re.compile(r"python(\d+\.\d+)")


@dataclass(frozen=True, slots=True)
class Record:
    """What an install leaves behind about itself, as JSON in its root."""

    name: str
    version: str
    variant: str
    """What it computes on: ``cpu`` or ``cuda``."""

    digest: str
    """Of the plan it was made by: another one is another environment."""

    built_for: tuple[str, ...] = ()
    """Instruction sets compiled in, in the kernel's words; empty where the wheels decide."""

    details: Mapping[str, str] = field(default_factory=dict)
    """Facts to show, such as the Python it was made with."""


@dataclass(frozen=True, slots=True)
class Environment:
    """One installed engine. It doesn't change under a path: a new build is a new directory."""

    root: Path
    record: Record

    @property
    def name(self) -> str:
        return self.record.name

    @property
    def version(self) -> str:
        return self.record.version

    @property
    def python(self) -> Path:
        return self.root / "bin" / "python"

    @property
    def lost_python(self) -> bool:
        """Whether the Python it was made with has gone, or become another version, since.

        A virtual environment's is a link into the system, which an upgrade moves; what was
        installed for one version is nothing to another.
        """
        if not self.python.is_symlink():
            return False  # compiled here: there is none
        now = self.python.resolve()
        version = _VERSIONED.fullmatch(now.name)
        made_with = self.record.details.get("python")
        changed = version is not None and made_with is not None and version[1] != made_with
        return changed or not now.exists()

    def program(self, name: str) -> Path:
        """One of its own programs; whether it is there is for the caller to see."""
        return self.root / "bin" / name


def find(directory: Path, name: str) -> Environment | None:
    """The build of `name` in use under `directory`; None when none was ever finished."""
    link = directory / name / CURRENT
    record = read(link)
    if record is None or record.name != name:
        return None
    # Resolved, so that a process started from it doesn't change engines when the link moves.
    return Environment(link.resolve(), record)


def require(directory: Path, name: str) -> Environment:
    """Raises EngineMissingError with the command that installs it."""
    environment = find(directory, name)
    if environment is not None and environment.lost_python:
        raise EngineMissingError(
            f"the Python that {name!r} was made with is gone: {str(environment.python)!r}",
            hint=f"run: pilotlight engines install {name}",
        )
    if environment is not None:
        return environment
    begun = any((directory / name).glob(f"*{PARTIAL}"))
    raise EngineMissingError(
        f"the install of {name!r} was not finished"
        if begun
        else f"{name!r} is not installed under {str(directory)!r}",
        hint=f"run: pilotlight engines install {name}",
    )


def installed(directory: Path) -> list[Environment]:
    """All that can be used under `directory`, by name."""
    if not directory.is_dir():
        return []
    found = (find(directory, each.name) for each in sorted(directory.iterdir()))
    return [environment for environment in found if environment is not None]


def write(record: Record, root: Path) -> None:
    """The last step of an install: from here on `root` may be used."""
    path = root / RECORD
    with path.open("wb") as file:
        file.write(msgspec.json.format(msgspec.json.encode(record), indent=2) + b"\n")
        file.flush()
        os.fsync(file.fileno())


def read(root: Path) -> Record | None:
    """None for what is missing, torn or of another shape: such an environment isn't used."""
    try:
        return msgspec.json.decode((root / RECORD).read_bytes(), type=Record)
    except (OSError, msgspec.DecodeError):
        return None
