"""The rows of one kind, found by name as people write it."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping
from typing import Generic, TypeVar

from pilotlight.catalog.kinds import Kind
from pilotlight.catalog.row import Row
from pilotlight.errors import ConfigError

R = TypeVar("R", bound=Row)


def plain(name: str) -> str:
    """Names differ by their letters and digits alone: `RTX 4090` is `rtx-4090`."""
    return "".join(sign for sign in name.lower() if sign.isalnum() or sign == ".")


class Table(Mapping[str, R], Generic[R]):
    """Rows by canonical name, in the files' order; `find` also takes aliases and other spellings.

    Raises:
        ConfigError: two rows answer to one name.
    """

    __slots__ = ("_by_spelling", "_rows", "kind")

    def __init__(self, kind: Kind, rows: Mapping[str, R]) -> None:
        self.kind = kind
        self._rows = dict(rows)
        self._by_spelling: dict[str, str] = {}
        for row in rows.values():
            for spelling in row.spellings:
                self._claim(plain(spelling), row.name, spelling)

    def _claim(self, key: str, name: str, spelling: str) -> None:
        holder = self._by_spelling.setdefault(key, name)
        if holder != name:
            raise ConfigError(
                f"the {self.kind.singular} {name!r} answers to {spelling!r}, as {holder!r} does",
                hint="give one of them another name or alias",
            )

    def __getitem__(self, name: str) -> R:
        return self._rows[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._rows)

    def __len__(self) -> int:
        return len(self._rows)

    def seek(self, text: str) -> R | None:
        """The row of that name or alias, in any spelling."""
        name = self._by_spelling.get(plain(text))
        return None if name is None else self._rows[name]

    def find(self, text: str) -> R:
        """Raises ConfigError: there is no such row; the hint has the names that are close."""
        row = self.seek(text)
        if row is None:
            raise ConfigError(f"unknown {self.kind.singular} {text!r}", hint=self._hint(text))
        return row

    def nearest(self, text: str) -> list[str]:
        """At most three names that are spelled nearly so, the nearest first."""
        close = difflib.get_close_matches(plain(text), self._by_spelling, n=3, cutoff=0.5)
        return list(dict.fromkeys(self._by_spelling[key] for key in close))

    def _hint(self, text: str) -> str:
        names = " or ".join(map(repr, self.nearest(text)))
        listing = f"pilotlight catalog list {self.kind.name} shows what there is"
        return f"did you mean {names}? {listing}" if names else listing
