"""Content digests: how they are written, and computing one over a file."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

from pilotlight.errors import ConfigError
from pilotlight.store.worker import Tick

_BLOCK_BYTES = 4 * 2**20
_SHA256 = re.compile(r"[0-9a-f]{64}")


def is_sha256(text: str) -> bool:
    return _SHA256.fullmatch(text) is not None


def parse_digest(text: str | None) -> str | None:
    """``sha256:<hex>`` → the hex in lower case.

    Raises:
        ConfigError: for any other form.
    """
    if text is None:
        return None
    algorithm, _, value = text.strip().lower().partition(":")
    if algorithm != "sha256" or not is_sha256(value):
        raise ConfigError(
            f"digest {text!r} is not sha256:<64 hex digits>",
            hint="write what `sha256sum` prints for the model's file, after sha256:",
        )
    return value


def hash_file(path: Path, tick: Tick) -> hashlib._Hash:
    """SHA-256 over the file at `path`, ready for more bytes; blocks, so run it in a thread."""
    digest = hashlib.sha256()
    block = memoryview(bytearray(_BLOCK_BYTES))
    done_bytes = 0
    with path.open("rb", buffering=0) as file:
        while count := file.readinto(block):
            digest.update(block[:count])
            done_bytes += count
            tick(done_bytes)
    return digest
