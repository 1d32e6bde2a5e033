"""Sources by scheme."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from pilotlight.config import StoreSettings
from pilotlight.core import ModelRef
from pilotlight.errors import SourceError
from pilotlight.store.address import shown
from pilotlight.store.retry import Retry
from pilotlight.store.sources.base import Listing, Source
from pilotlight.store.sources.buckets import BucketSource
from pilotlight.store.sources.file import FileSource
from pilotlight.store.sources.hf import HubSource
from pilotlight.store.sources.oci import OciSource
from pilotlight.store.sources.ollama import OllamaSource
from pilotlight.store.sources.pypi import PackageSource
from pilotlight.store.sources.web import WebSource

Factory = Callable[[StoreSettings, Retry], Source]

_REMOTE: Mapping[str, Factory] = {
    "pypi": PackageSource,
    "hf": HubSource,
    "s3": lambda settings, retry: BucketSource("s3"),
    "gs": lambda settings, retry: BucketSource("gs"),
    "az": lambda settings, retry: BucketSource("az"),
    "oci": lambda settings, retry: OciSource(retry),
    "ollama": lambda settings, retry: OllamaSource(retry),
    "https": lambda settings, retry: WebSource(),
    "http": lambda settings, retry: WebSource(),
}
_OF_ENGINES = ("openai", "python")
"""Schemes whose bytes are an engine's own affair; see `Engine.owns`."""


@dataclass(frozen=True, slots=True)
class OfflineSource:
    """A source whose network is switched off: files already on this node still work."""

    online: Source

    def local(self, ref: ModelRef) -> Path | None:
        return self.online.local(ref)

    async def describe(self, ref: ModelRef) -> Listing:
        raise SourceError(
            f"{shown(ref)!r} isn't in the store, and store.offline forbids fetching it",
            hint="fetch it once with store.offline: false, or name a file with file:",
        )


class Sources:
    """What `settings` allow, by scheme."""

    def __init__(self, settings: StoreSettings, retry: Retry) -> None:
        remote = {scheme: make(settings, retry) for scheme, make in _REMOTE.items()}
        if settings.offline:
            remote = {scheme: OfflineSource(source) for scheme, source in remote.items()}
        self._sources: Mapping[str, Source] = {"file": FileSource(), **remote}

    def find(self, ref: ModelRef) -> Source | None:
        return self._sources.get(ref.scheme)

    def get(self, ref: ModelRef) -> Source:
        """Raises SourceError for a scheme that can be written and not yet fetched."""
        source = self.find(ref)
        if source is None and ref.scheme in _OF_ENGINES:
            raise SourceError(
                f"{shown(ref)!r} is nothing to fetch: the engine {ref.scheme!r} has it itself",
                hint=f"write engine: {ref.scheme} beside the ref",
            )
        if source is None:
            raise SourceError(
                f"nothing fetches {ref.scheme!r} refs yet, such as {shown(ref)!r}",
                hint=f"use one of {', '.join(self._sources)}",
            )
        return source
