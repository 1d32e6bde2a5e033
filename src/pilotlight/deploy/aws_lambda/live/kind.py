"""One kind of thing at AWS: how it is read, brought about and removed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

Document = Mapping[str, Any]


class Kind(Protocol):
    """All three may be repeated, and found half done: a failed call may have taken effect."""

    def read(self) -> Document | None:
        """As it is, in `wanted`'s form; None where it isn't there."""
        ...

    def put(self, document: Document) -> None:
        """Make it so, whatever is there; returns once it is."""
        ...

    def remove(self) -> None:
        """Nothing there is no error."""
        ...
