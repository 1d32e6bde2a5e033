"""An answer under the name that was asked for, from an engine that knows only its model's."""

from __future__ import annotations

import json
from dataclasses import dataclass

from pilotlight.gateway.wire.sse import Framer


@dataclass(frozen=True, slots=True)
class Rename:
    """Puts one name where an answer names its model.

    The bytes looked for hold bare quotes, and inside a JSON text quotes are escaped. So they
    are a key and its value, and never something that the model or the client said.
    """

    old: bytes
    new: bytes

    @classmethod
    def of(cls, old: str, new: str) -> Rename:
        return cls(*(f'"model":{json.dumps(n, ensure_ascii=False)}'.encode() for n in (old, new)))

    def apply(self, whole: bytes) -> bytes:
        """`whole` is one or more whole events, or a whole answer."""
        return whole.replace(self.old, self.new)


class Renamed(Framer):
    """What another framer passes on, renamed."""

    __slots__ = ("_inner", "_rename")

    def __init__(self, inner: Framer, rename: Rename) -> None:
        super().__init__()
        self._inner = inner
        self._rename = rename

    def feed(self, chunk: bytes) -> bytes:
        return self._rename.apply(self._inner.feed(chunk))

    def end(self) -> bytes:
        return self._inner.end()
