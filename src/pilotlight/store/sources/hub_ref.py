"""What a ``hf:`` ref names: a repository at a revision, and which model of it."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from urllib.parse import quote, unquote

from pilotlight.core import ModelRef
from pilotlight.errors import ModelRefError, SourceError
from pilotlight.store.sources.contents import Choice, choose, choose_quantization, parts_of

_QUANTIZATION = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


@dataclass(frozen=True, slots=True)
class HubRef:
    """``org/repo[@revision][:quantization]``, or ``org/repo[@revision]/path``.

    A path is one file, or with / at its end a directory that is a model.
    """

    repository: str
    revision: str
    path: str | None = None
    quantization: str | None = None

    @classmethod
    def parse(cls, ref: ModelRef) -> HubRef:
        organisation, _, rest = ref.locator.partition("/")
        name, slash, path = rest.partition("/")
        name, colon, quantization = name.partition(":")
        name, at, revision = name.partition("@")
        parts = [organisation, name, *unquote(revision or "main").split("/")]
        parts += path.removesuffix("/").split("/") if slash else []
        if (
            (at and not revision)
            or (colon and (slash or not _QUANTIZATION.fullmatch(quantization)))
            or any(part in ("", ".", "..") for part in parts)
        ):
            raise ModelRefError(
                f"{str(ref)!r} names no model of a repository",
                hint="write hf:org/repo, hf:org/repo:Q4_K_M or hf:org/repo/path/file.gguf, "
                "with @revision after repo if you like",
            )
        # A revision such as refs/pr/1 is written with %2F, as in the hub's own addresses.
        revision = unquote(revision) or "main"
        return cls(f"{organisation}/{name}", revision, path or None, quantization or None)

    @property
    def directory(self) -> str:
        """What all names of the model's files begin with."""
        return self.path if self.path and self.path.endswith("/") else ""

    @property
    def one_file(self) -> str | None:
        """The path, when the ref names a file that is all of the model."""
        if not self.path or self.directory or len(parts_of(self.path)) > 1:
            return None
        return self.path

    def choose(self, names: Iterable[str]) -> Choice:
        """The model's files among the repository's.

        Raises:
            SourceError: it has none that fits, or several.
        """
        if self.quantization is not None:
            return choose_quantization(names, self.quantization, self.repository)
        if self.path is None:
            return choose(names, self.repository, how="add : and one of {quantizations}")
        if self.directory:
            return self._choose_below(names)
        parts, there = parts_of(self.path), frozenset(names)
        if missing := [part for part in parts if part not in there]:
            raise SourceError(f"{self.repository!r} has no {missing[0]!r}", hint="name another")
        return Choice(parts, parts[0])

    def _choose_below(self, names: Iterable[str]) -> Choice:
        start = self.directory
        below = [name.removeprefix(start) for name in names if name.startswith(start)]
        found = choose(below, f"{self.repository}/{start}")
        entry = f"{start}{found.entry}" if found.entry else None
        return Choice(tuple(f"{start}{name}" for name in found.names), entry)

    def url(self, endpoint: str, revision: str, path: str) -> str:
        where = f"{quote(self.repository)}/resolve/{quote(revision, safe='')}/{quote(path)}"
        return f"{endpoint}/{where}"

    def api_url(self, endpoint: str) -> str:
        revision = quote(self.revision, safe="")
        return f"{endpoint}/api/models/{quote(self.repository)}/revision/{revision}?blobs=true"
