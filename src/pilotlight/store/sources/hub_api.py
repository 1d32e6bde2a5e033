"""What the hub's API says of a repository: its commit and its files.

https://huggingface.co/docs/hub/api
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import msgspec

from pilotlight.errors import SourceError
from pilotlight.store.digest import is_sha256


@dataclass(frozen=True, slots=True)
class _LargeFile:
    sha256: str
    size: int | None = None


@dataclass(frozen=True, slots=True)
class HubFile:
    """One file; a small one has no SHA-256, only a git hash."""

    rfilename: str
    size: int | None = None
    lfs: _LargeFile | None = None

    @property
    def size_bytes(self) -> int | None:
        return self.lfs.size if self.lfs and self.lfs.size is not None else self.size

    @property
    def sha256(self) -> str | None:
        value = self.lfs.sha256.lower() if self.lfs else ""
        return value if is_sha256(value) else None


@dataclass(frozen=True, slots=True)
class HubRepository:
    """A repository at `sha`, a commit."""

    sha: str
    siblings: list[HubFile] = field(default_factory=list)

    @property
    def files(self) -> Mapping[str, HubFile]:
        return {file.rfilename: file for file in self.siblings}


def parse_repository(body: bytes) -> HubRepository:
    """Raises SourceError for an answer that isn't the hub's."""
    try:
        found = msgspec.json.decode(body, type=HubRepository)
    except msgspec.DecodeError as error:
        raise SourceError(
            f"the hub's API answers no repository: {error}",
            hint="check store.hf_endpoint; a mirror needs the hub's API at /api",
        ) from error
    if not found.sha.isalnum():
        raise SourceError(f"the hub's API names no commit: {found.sha!r}")
    return found
