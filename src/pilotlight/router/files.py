"""What the router's parts ask of the store."""

from __future__ import annotations

from typing import Protocol

from pilotlight.core import ModelFiles, ModelRef
from pilotlight.store.progress import Report, Watch


class Held(Protocol):
    """Files that stay where they are until this is released."""

    def release(self) -> None: ...


class Files(Protocol):
    """Model ref → verified bytes; see store.store.Store."""

    async def resolve(
        self,
        ref: ModelRef,
        *,
        digest: str | None = None,
        report: Report | None = None,
        watch: Watch | None = None,
    ) -> ModelFiles: ...

    def hold(self, files: ModelFiles) -> Held:
        """Have nobody remove what was resolved. Raises StoreError where somebody did."""
        ...

    def present(self, ref: ModelRef) -> ModelFiles | None: ...


def as_pinned(store: Files, ref: ModelRef, digest: str | None) -> ModelFiles | None:
    """The files if they are here and known to be `digest`; else it is for `resolve` to say."""
    files = store.present(ref)
    if files is None or digest is None or files.digest == digest.lower():
        return files
    return None
