"""The source seam: what the store asks of a place that models come from."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Protocol

from pilotlight.core import ModelRef
from pilotlight.errors import SourceError
from pilotlight.store.network import Network


@dataclass(frozen=True, slots=True)
class ArchiveMember:
    """Which file of an archive is the model: by `name`, or the only .gguf when None."""

    name: str | None = None


@dataclass(frozen=True, slots=True)
class Description:
    """One file to fetch. `url` holds no login; `headers` do, and never leave its origin.

    `file_name` is a relative path, with `/` in it where a model has directories.
    """

    url: str
    file_name: str
    size_bytes: int | None = None
    sha256: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    hints: Mapping[int, str] = field(default_factory=dict, repr=False)
    """The next step by HTTP status, where this source knows better than HTTP does."""

    member: ArchiveMember | None = None
    """Set when the file is a zip archive with the model inside."""

    identity: str | None = None
    """What these bytes are where neither `sha256` nor `url` stays the same: see `origin`."""

    network: Network = field(default_factory=Network)
    renew: Callable[[], Awaitable[Description]] | None = field(
        default=None, repr=False, compare=False
    )
    """The same file with a fresh `url` or `headers`: a signature or a token lasts for a while."""

    @property
    def origin(self) -> str:
        """Equal for two descriptions of the same bytes, so that one continues the other's fetch.

        A secret, perhaps: an address may be a signed one.
        """
        return self.sha256 or self.identity or self.url


@dataclass(frozen=True, slots=True)
class Listing:
    """The files of one model, as a source has them at `revision`."""

    files: tuple[Description, ...]
    revision: str | None = None
    entry: str | None = None
    """The name of the file that an engine is given; None where that is the whole directory."""

    def __post_init__(self) -> None:
        """Raises SourceError: no files, a name that leads out of the model's directory, or
        one that two files claim."""
        names = [file.file_name for file in self.files]
        for name in names:
            require_inside(name)
        # A name may not be a directory of another one either: a/b beside a.
        taken = {str(parent) for name in names for parent in PurePosixPath(name).parents}
        twice = {name for name in names if names.count(name) > 1 or name in taken}
        if twice:
            raise SourceError(f"the source lists {min(twice)!r} twice")
        if not names or (self.entry is not None and self.entry not in names):
            raise SourceError("the source lists no file of the model")

    @classmethod
    def of(cls, file: Description, revision: str | None = None) -> Listing:
        """A model that is one file."""
        return cls((file,), revision, file.file_name)


def require_inside(name: str) -> None:
    """Raises SourceError for a name that leads out of a directory, or that it can't hold."""
    parts = name.split("/")
    if any(part in ("", ".", "..") for part in parts) or "\\" in name or not name.isprintable():
        raise SourceError(
            f"the source names a file {name!r}, which leads out of the model's directory",
            hint="don't use this model; whoever put it there meant harm, or erred",
        )


class Source(Protocol):
    """One place that models come from."""

    def local(self, ref: ModelRef) -> Path | None:
        """A file of the user's own that `ref` names on this node, used in place. No network."""
        ...

    async def describe(self, ref: ModelRef) -> Listing:
        """What to fetch for `ref`.

        Raises:
            SourceError: the source refuses, is unreachable or has no such model.
            ModelRefError: `ref` isn't written as this source needs it.
        """
        ...
