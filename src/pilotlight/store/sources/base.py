"""The source seam: what the store asks of a place that models come from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from pilotlight.core import ModelRef
from pilotlight.store.network import Network


@dataclass(frozen=True, slots=True)
class ArchiveMember:
    """Which file of an archive is the model: by `name`, or the only .gguf when None."""

    name: str | None = None


@dataclass(frozen=True, slots=True)
class Description:
    """One file to fetch. `url` holds no login; `headers` do, and never leave its origin."""

    url: str
    file_name: str
    size_bytes: int | None = None
    sha256: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    hints: Mapping[int, str] = field(default_factory=dict, repr=False)
    """The next step by HTTP status, where this source knows better than HTTP does."""

    member: ArchiveMember | None = None
    """Set when the file is a zip archive with the model inside."""

    revision: str | None = None
    network: Network = field(default_factory=Network)


class Source(Protocol):
    """One place that models come from."""

    def local(self, ref: ModelRef) -> Path | None:
        """A file of the user's own that `ref` names on this node, used in place. No network."""
        ...

    async def describe(self, ref: ModelRef) -> Description:
        """What to fetch for `ref`.

        Raises:
            SourceError: the source refuses, is unreachable or has no such model.
            ModelRefError: `ref` isn't written as this source needs it.
        """
        ...
