"""A model of several files as far as its headers go, while the rest of it is still on its way."""

from __future__ import annotations

import os
import shutil
import struct
from collections.abc import Sequence
from pathlib import Path

from pilotlight.store.progress import Watch
from pilotlight.store.sources.base import Description

WEIGHTS = ".safetensors"
_LENGTH = struct.Struct("<Q")


class Preview:
    """A directory of links, told to `watch` once it is what somebody who reads no weights needs.

    That is every file whole, but of weights the verified beginning with the header in it. A
    file has its size from the start, so whoever looks finds the model's own extents.
    """

    def __init__(self, directory: Path, files: Sequence[Description], watch: Watch) -> None:
        self._directory = directory
        self._lacking = {file.file_name for file in files}
        self._size_bytes = sum(file.size_bytes or 0 for file in files)
        self._watch = watch
        self._over = False

    def take(self, file: Description, path: Path, verified_bytes: int) -> None:
        """The first `verified_bytes` of `file` are right, and lie at `path`. Blocks for a ms."""
        if self._over:
            return
        if not _suffices(file, path, verified_bytes):
            self._lacking.add(file.file_name)  # also when it is begun anew
        elif file.file_name in self._lacking:
            self._lacking.remove(file.file_name)
            self._add(path, self._directory / file.file_name)

    def _add(self, path: Path, link: Path) -> None:
        try:
            self._link(path, link)
        except OSError:
            self._over = True  # not all file systems have links: what it takes is said at the end
        if not self._lacking and not self._over:
            self._over = True
            self._watch(self._directory, self._size_bytes)

    def remove(self) -> None:
        """Its links would keep the bytes of files that were given up."""
        shutil.rmtree(self._directory, ignore_errors=True)

    def _link(self, path: Path, link: Path) -> None:
        link.parent.mkdir(parents=True, exist_ok=True)
        link.unlink(missing_ok=True)  # of an earlier fetch, which was killed
        os.link(path, link)


def _suffices(file: Description, path: Path, verified_bytes: int) -> bool:
    if file.size_bytes is not None and verified_bytes >= file.size_bytes:
        return True
    if not file.file_name.endswith(WEIGHTS) or verified_bytes < _LENGTH.size:
        return False
    with path.open("rb") as weights:
        (header_bytes,) = _LENGTH.unpack(weights.read(_LENGTH.size))
    return bool(_LENGTH.size + header_bytes <= verified_bytes)
