"""What the router's parts ask of the store."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from pilotlight.core import ModelFiles, ModelRef
from pilotlight.store.progress import Progress

Report = Callable[[Progress], None]


class Files(Protocol):
    """Model ref → verified bytes; see store.store.Store."""

    async def resolve(
        self, ref: ModelRef, *, digest: str | None = None, report: Report | None = None
    ) -> ModelFiles: ...

    def present(self, ref: ModelRef) -> ModelFiles | None: ...
