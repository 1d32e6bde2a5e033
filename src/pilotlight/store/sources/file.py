"""``file:``: paths on this node, used where they are."""

from __future__ import annotations

from pathlib import Path

from pilotlight.core import ModelRef
from pilotlight.errors import SourceError
from pilotlight.store.sources.base import Description


class FileSource:
    def local(self, ref: ModelRef) -> Path | None:
        path = _path(ref)
        return path if path.is_file() else None

    async def describe(self, ref: ModelRef) -> Description:
        """Always raises: a file is either in place, or there is nothing to fetch."""
        path = _path(ref)
        if path.is_dir():
            inside = sorted(entry.name for entry in path.glob("*.gguf"))
            raise SourceError(
                f"{str(path)!r} is a directory, expected a model's file",
                hint=f"name one of {', '.join(inside)}" if inside else "it has no .gguf file",
            )
        if path.exists():
            raise SourceError(f"{str(path)!r} is no regular file", hint="name a .gguf file")
        raise SourceError(f"no file {str(path)!r}", hint="check the path; ~ is your home directory")


def _path(ref: ModelRef) -> Path:
    """Absolute, so that an engine with another working directory finds it too."""
    path = Path(ref.locator)
    try:
        return path.expanduser().absolute()
    except RuntimeError:  # ~somebody who doesn't exist
        return path.absolute()
