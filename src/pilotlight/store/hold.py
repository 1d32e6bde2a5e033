"""A model in use: house-keeping leaves it alone for as long as somebody holds it."""

from __future__ import annotations

import os
from types import TracebackType
from typing import Self

from pilotlight.errors import StoreError
from pilotlight.store.lock import join
from pilotlight.store.shelf import Shelf


class Hold:
    """The kernel releases it when this process ends, however that ends."""

    def __init__(self, descriptor: int | None = None) -> None:
        self._descriptor = descriptor

    @classmethod
    def on(cls, shelf: Shelf) -> Hold:
        """Raises StoreError when the model was removed, or is being removed."""
        descriptor = join(shelf.use)
        if shelf.intact() is not None:
            # Without a descriptor: a store that was copied without its lock, and is only read.
            return cls(descriptor)
        if descriptor is not None:
            os.close(descriptor)
        raise StoreError(
            f"the model in {str(shelf.directory)!r} was just removed", hint="fetch it again"
        )

    def release(self) -> None:
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.release()
