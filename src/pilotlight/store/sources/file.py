"""``file:``: paths on this node, used where they are: files and directories."""

from __future__ import annotations

from pathlib import Path

from pilotlight.core import ModelRef
from pilotlight.errors import SourceError
from pilotlight.store.checkpoint import CONFIG, is_checkpoint
from pilotlight.store.peft import CONFIG as ADAPTER_CONFIG
from pilotlight.store.peft import is_adapter
from pilotlight.store.sources.base import Listing


class FileSource:
    def local(self, ref: ModelRef) -> Path | None:
        path = _path(ref)
        whole = path.is_file() or is_checkpoint(path) or is_adapter(path)
        return path if whole else None

    async def describe(self, ref: ModelRef) -> Listing:
        """Always raises: a model is either in place, or there is nothing to fetch."""
        path = _path(ref)
        if path.is_dir():
            raise _no_model(path)
        if path.exists():
            raise SourceError(f"{str(path)!r} is no regular file", hint="name a .gguf file")
        raise SourceError(f"no file {str(path)!r}", hint="check the path; ~ is your home directory")


def _no_model(directory: Path) -> SourceError:
    """Why a directory isn't a model's: the nearest thing to one that is in it."""
    if inside := sorted(entry.name for entry in directory.glob("*.gguf")):
        return SourceError(
            f"{str(directory)!r} is a directory, expected a model's file",
            hint=f"name one of {', '.join(inside)}",
        )
    if (directory / CONFIG).is_file():
        return SourceError(
            f"{str(directory)!r} has a {CONFIG} and no weights: no .safetensors file",
            hint="fetch the model again",
        )
    return SourceError(
        f"{str(directory)!r} is a directory without a model",
        hint=f"a model's directory has {CONFIG} and .safetensors files, an adapter's has "
        f"{ADAPTER_CONFIG}; or name a .gguf file",
    )


def _path(ref: ModelRef) -> Path:
    """Absolute, so that an engine with another working directory finds it too."""
    path = Path(ref.locator)
    try:
        return path.expanduser().absolute()
    except RuntimeError:  # ~somebody who doesn't exist
        return path.absolute()
