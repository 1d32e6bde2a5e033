"""A directory as a repository of the hub: what its API says of it, and its files.

Any repository's name means the directory, at the revision main or at the one commit there is. No
file redirects to a storage. https://huggingface.co/docs/hub/api
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

COMMIT = "0" * 40
LARGE_BYTES = 10**7
"""From here on the hub knows a file's SHA-256; of a smaller one it has a git hash."""

_REVISION = f"(?:main|{COMMIT})"
_API = re.compile(rf"/api/models/[^/]+/[^/]+/revision/{_REVISION}")
_FILE = re.compile(rf"/[^/]+/[^/]+/resolve/{_REVISION}/(?P<name>.+)")


@dataclass(frozen=True, slots=True)
class Blob:
    """A file to serve."""

    path: Path
    size_bytes: int
    etag: str


@dataclass(frozen=True, slots=True)
class Repository:
    listing: bytes
    files: Mapping[str, Blob]

    @classmethod
    def of(cls, directory: Path) -> Repository:
        """Reads all files once, for their hashes; hidden ones belong to other programs."""
        paths = {path.relative_to(directory): path for path in sorted(directory.rglob("*"))}
        files = {
            name.as_posix(): _blob(path)
            for name, path in paths.items()
            if path.is_file() and not any(part.startswith(".") for part in name.parts)
        }
        siblings = [_sibling(name, blob) for name, blob in files.items()]
        listed = {"id": directory.name, "sha": COMMIT, "siblings": siblings}
        return cls(json.dumps(listed).encode(), files)

    def find(self, target: str) -> Blob | bytes | None:
        """What a request's target names: a file, the API's answer, or nothing."""
        path = unquote(urlsplit(target).path)
        if _API.fullmatch(path):
            return self.listing
        match = _FILE.fullmatch(path)
        return self.files.get(match["name"]) if match else None


def _blob(path: Path) -> Blob:
    size_bytes = path.stat().st_size
    with path.open("rb") as file:
        if size_bytes >= LARGE_BYTES:
            etag = hashlib.file_digest(file, "sha256").hexdigest()
        else:
            etag = hashlib.sha1(b"blob %d\0" % size_bytes + file.read()).hexdigest()
    return Blob(path, size_bytes, etag)


def _sibling(name: str, blob: Blob) -> dict[str, Any]:
    entry: dict[str, Any] = {"rfilename": name, "size": blob.size_bytes}
    if blob.size_bytes >= LARGE_BYTES:
        return {**entry, "lfs": {"sha256": blob.etag, "size": blob.size_bytes}}
    return {**entry, "blobId": blob.etag}
