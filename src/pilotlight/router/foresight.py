"""What the beginning of a model's file tells, while the rest of it is still on its way."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from pilotlight.core import ModelFiles, ModelRef
from pilotlight.errors import StoreError
from pilotlight.store.gguf import read_header

FIRST_BYTES = 64 * 2**10


class Foresight:
    """Calls `tell` once, as soon as what is verified holds the headers.

    A directory holds them once the store tells of it. Of a GGUF file its beginning is watched:
    it has its whole size from the start, and a hole in it reads as zeros. So a header
    counts only if it ends within the verified bytes; until then it is tried again each time
    these have doubled, which costs no more than reading it twice.
    """

    def __init__(self, ref: ModelRef, tell: Callable[[ModelFiles], None]) -> None:
        self._ref = ref
        self._tell = tell
        self._next_bytes: float = FIRST_BYTES

    def watch(self, path: Path, verified_bytes: int) -> None:
        """The first `verified_bytes` of the file at `path` are right. Reads them; blocks for ms.

        A directory has all headers, and is as large as the model.
        """
        if path.is_dir():
            self._tell(ModelFiles(self._ref, path, verified_bytes))
            return
        if verified_bytes < self._next_bytes:
            return
        self._next_bytes = 2 * verified_bytes
        try:
            header = read_header(path)
        except StoreError:
            return
        if header.data_offset <= verified_bytes:
            self._next_bytes = float("inf")
            self._tell(ModelFiles(self._ref, path, header.file_bytes))
