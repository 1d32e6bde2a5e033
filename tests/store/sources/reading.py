"""Asking a source in a test, and reading what it describes as the fetcher would: in ranges."""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable

from pilotlight.store.client import Client
from pilotlight.store.sources.base import Description, Listing

Describe = Callable[..., Awaitable[Listing]]


async def read(file: Description) -> bytes:
    """The file's bytes in two ranges, checked against what was promised of them."""
    assert file.size_bytes is not None
    half = file.size_bytes // 2
    body = await _read(file, f"bytes=0-{half - 1}") + await _read(file, f"bytes={half}-")
    assert len(body) == file.size_bytes
    assert file.sha256 in (None, hashlib.sha256(body).hexdigest())
    return body


async def _read(file: Description, wanted: str) -> bytes:
    async with Client(file.network) as client:
        headers = {**file.headers, "Range": wanted}
        answer = await client.ask("GET", file.url, headers, hints=file.hints)
    assert answer.status == 206
    return answer.body
