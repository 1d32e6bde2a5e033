"""What a model's files say of it, from their first bytes alone: nothing else is fetched."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, TypeVar

from pilotlight.core import ModelRef
from pilotlight.errors import ModelFormatError, SourceError
from pilotlight.store import gguf, safetensors
from pilotlight.store.address import redacted, shown
from pilotlight.store.body import place
from pilotlight.store.checkpoint import CONFIG
from pilotlight.store.client import Client
from pilotlight.store.gguf import GgufHeader
from pilotlight.store.retry import Retry
from pilotlight.store.safetensors import TensorHeader
from pilotlight.store.sources.base import Description, Listing
from pilotlight.store.sources.registry import Sources

_T = TypeVar("_T")
_Read = Callable[[bytes, int, Path], "_T | int"]

FIRST_BYTES = 2**20
"""Asked for at once: most safetensors headers are smaller, most GGUF vocabularies larger."""

MOST_BYTES = 128 * 2**20
"""A header that goes on for longer is no model's."""

AT_ONCE = 8


@dataclass(frozen=True, slots=True)
class Peek:
    """Either `header` is there, or `config` and, unless its weights are pickled, `tensors`."""

    size_bytes: int | None
    """Of all files; None where the source doesn't say."""

    header: GgufHeader | None = None
    config: Mapping[str, Any] | None = None
    tensors: Mapping[str, TensorHeader] | None = None


async def peek(ref: ModelRef, sources: Sources, retry: Retry) -> Peek:
    """The headers of the model at `ref`, over the network: a few MB for a GGUF file.

    Raises:
        SourceError, ModelRefError: as the source's `describe`; or the model lies in an archive.
        ModelFormatError: its files aren't what their names say.
    """
    listing = await sources.get(ref).describe(ref)
    if any(file.member for file in listing.files):
        raise SourceError(
            f"{shown(ref)!r} lies inside an archive, which can't be read from its start",
            hint=f"fetch it first: pilotlight pull {shown(ref)}",
        )
    async with Client(listing.files[0].network) as client:
        return await _Peeking(client, retry, asyncio.Semaphore(AT_ONCE)).all(listing)


@dataclass(frozen=True, slots=True)
class _Peeking:
    client: Client
    retry: Retry
    gate: asyncio.Semaphore

    async def all(self, listing: Listing) -> Peek:
        sizes = [file.size_bytes for file in listing.files]
        size = None if None in sizes else sum(filter(None, sizes))
        if parts := _ending(listing, ".gguf"):
            headers = await asyncio.gather(*(self._header(part, gguf.read_start) for part in parts))
            return Peek(size, header=gguf.join_parts(headers))
        config = next((file for file in listing.files if file.file_name == CONFIG), None)
        if config is None:
            raise ModelFormatError(
                f"{listing.files[0].file_name!r} is neither a GGUF file nor beside a {CONFIG}",
                hint="name a model's repository, directory or .gguf file",
            )
        shards = _ending(listing, ".safetensors")
        found = await asyncio.gather(
            *(self._header(shard, safetensors.read_start) for shard in shards)
        )
        tensors = {name: tensor for shard in found for name, tensor in shard.items()}
        return Peek(size, config=await self._document(config), tensors=tensors or None)

    async def _document(self, file: Description) -> Mapping[str, Any]:
        body, _ = await self._start(file, FIRST_BYTES)
        try:
            found = json.loads(body)
        except ValueError as error:
            raise ModelFormatError(f"{file.file_name!r} is not JSON: {error}") from None
        if not isinstance(found, dict):
            raise ModelFormatError(f"{file.file_name!r} holds no JSON object")
        return found

    async def _header(self, file: Description, read: _Read[_T]) -> _T:
        """Twice as much each time, for a vocabulary doesn't tell its length beforehand."""
        wanted = FIRST_BYTES
        while True:
            start, file_bytes = await self._start(file, wanted)
            found = read(start, file_bytes, Path(file.file_name))
            if not isinstance(found, int):
                return found
            if found > MOST_BYTES:
                raise ModelFormatError(f"{file.file_name!r} has a header of over {found} bytes")
            wanted = max(found, 2 * wanted)

    async def _start(self, file: Description, count: int) -> tuple[bytes, int]:
        """The first `count` bytes, or all where there are fewer; and the file's length."""
        async with self.gate:
            return await self.retry.persist(lambda: self._ask(file, count))

    async def _ask(self, file: Description, count: int) -> tuple[bytes, int]:
        headers = {**file.headers, "Range": f"bytes=0-{count - 1}"}
        async with self.client.open("GET", file.url, headers, hints=file.hints) as response:
            length = response.content_length
            body = place(response.status, response.headers, length, (0, count))
            total = file.size_bytes or (body.total_bytes if body else None)
            if body is None or total is None:
                raise SourceError(
                    f"{redacted(file.url)!r} doesn't say how long the file is",
                    hint="fetch the model first, and plan with the file",
                )
            start = bytearray()
            async for block in response.content.iter_any():
                start += block
                if len(start) >= count:  # a server that knows no ranges sends everything
                    break
            return bytes(start[:count]), total


def _ending(listing: Listing, suffix: str) -> list[Description]:
    return [
        file for file in listing.files if PurePosixPath(file.file_name).suffix.lower() == suffix
    ]
