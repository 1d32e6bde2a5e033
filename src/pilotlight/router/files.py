"""What the router's parts ask of the store."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from pilotlight.core import ModelFiles, ModelRef
from pilotlight.store.progress import Progress

Report = Callable[[Progress], None]
Watch = Callable[[Path, int], None]
"""Told of a file on its way, and of how many bytes from its beginning are right."""


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
