"""Which class a ref means: ``python:path/to/file.py:Class`` or ``python:package.module:Class``."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from pilotlight.core import ModelRef
from pilotlight.errors import ModelRefError

_FORMS = "write python:path/to/file.py:ClassName or python:package.module:ClassName"


@dataclass(frozen=True, slots=True)
class Target:
    """A class in a file, or in a module that its interpreter can import."""

    kind: str
    """The class's name."""

    file: Path | None = None
    module: str | None = None

    @classmethod
    def parse(cls, ref: ModelRef) -> Target:
        """Raises ModelRefError for a ref that names no class."""
        where, colon, kind = ref.locator.rpartition(":")
        if ref.scheme != "python" or not colon or not where or not kind.isidentifier():
            raise ModelRefError(f"{str(ref)!r} names no class", hint=_FORMS)
        if where.endswith(".py") or os.sep in where:
            return cls(kind, file=Path(where).expanduser().absolute())
        if not all(part.isidentifier() for part in where.split(".")):
            raise ModelRefError(f"{where!r} is neither a .py file nor a module", hint=_FORMS)
        return cls(kind, module=where)

    def as_json(self) -> Mapping[str, str | None]:
        file = str(self.file) if self.file else None
        return {"file": file, "module": self.module, "class": self.kind}

    def __str__(self) -> str:
        return f"{self.file or self.module}:{self.kind}"
