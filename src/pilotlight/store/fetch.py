"""Download one described file into a partial path: resumed, retried, counted and hashed.

This is the seam for other ways to fetch: a description and a path go in, the
verified bytes' hash comes out, and the partial path holds them.
"""

from __future__ import annotations

import asyncio
import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import aiohttp

from pilotlight.errors import DigestError, SourceError
from pilotlight.store.address import redacted
from pilotlight.store.client import Client
from pilotlight.store.disk import require_room
from pilotlight.store.partial import Origin, Partial, discard
from pilotlight.store.progress import Reporter
from pilotlight.store.retry import Retry, TransientError
from pilotlight.store.sources.base import Description
from pilotlight.store.worker import in_thread

_BLOCK_BYTES = 2**20
_BLOCK_S = 0.5  # on a slow line a block is less, so that progress is seen and kept
_CONTENT_RANGE = re.compile(r"bytes (\d+)-(\d+)/(\d+|\*)")


@dataclass(frozen=True, slots=True)
class Body:
    """What a response's body is of the whole file."""

    start: int
    total_bytes: int | None


async def fetch(
    description: Description, partial: Path, *, retry: Retry, reporter: Reporter
) -> str:
    """Bring all bytes of `description` to `partial`, on the disk when this returns their SHA-256.

    The caller holds the model's lock.

    Cancelled or killed, what has arrived stays and is continued by the next call.

    Raises:
        SourceError: the source refuses, or can't be reached for long.
        DigestError: the bytes are not the ones promised; they are gone then.
        DiskFullError: said before the first byte.
    """
    file = Partial(partial, _origin(description))
    counter = reporter.counter("verify", _size_or_none(partial))
    try:
        await in_thread(file.open, counter)
        resumed = file.size_bytes > 0
        try:
            return await _complete(description, file, retry, reporter)
        except DigestError:
            if not resumed:
                raise
            # The beginning was another process's, perhaps cut off by a power loss: once more.
            await in_thread(lambda tick: file.restart(_origin(description)))
            return await _complete(description, file, retry, reporter)
    except DigestError:
        discard(partial)
        raise
    finally:
        file.close()


async def _complete(
    description: Description, file: Partial, retry: Retry, reporter: Reporter
) -> str:
    if description.size_bytes is None or file.size_bytes != description.size_bytes:
        async with Client(description.network) as client:
            transfer = _Transfer(description, file, client, reporter)
            await retry.persist(transfer.attempt, lambda: file.most_bytes)
    sha256 = await in_thread(lambda tick: file.finish())
    reporter.say("verify", file.size_bytes, file.size_bytes)
    if description.sha256 not in (None, sha256):
        raise DigestError(
            f"{redacted(description.url)!r} has sha256 {sha256}, expected {description.sha256}",
            hint="the file was changed or damaged on the way; don't use it",
        )
    return sha256


@dataclass(frozen=True, slots=True)
class _Transfer:
    description: Description
    file: Partial
    client: Client
    reporter: Reporter

    async def attempt(self) -> None:
        """One request for what is missing; raises TransientError when another may help."""
        described, file = self.description, self.file
        if file.size_bytes and not file.origin.resumable:
            await self._restart(None)
        headers = {**described.headers, **_range_headers(file)}
        async with self.client.open(
            "GET", described.url, headers, hints=described.hints
        ) as response:
            body = await self._accept(response)
            await self._receive(response, body)
        if body.total_bytes is not None and file.size_bytes != body.total_bytes:
            raise self._broken(f"ended after {file.size_bytes} of {body.total_bytes} bytes")

    async def _accept(self, response: aiohttp.ClientResponse) -> Body:
        """Make the partial file ready for this body, or refuse it before its first byte."""
        described, file = self.description, self.file
        body = _body(response, file.size_bytes)
        if body is None:
            await self._restart(None)
            raise self._broken("doesn't continue where the partial file ends")
        if response.headers.get("Content-Encoding", "identity") != "identity":
            raise SourceError(f"{redacted(described.url)!r} answers compressed, against request")
        if None not in (body.total_bytes, described.size_bytes):
            self._check_size(body.total_bytes)
        if body.start == 0:
            await self._restart(_validator(response.headers))
        elif not file.origin.hashed and _validator(response.headers) != file.origin.validator:
            await self._restart(None)
            raise self._broken("changed since the partial file was begun")
        self._check_room(body)
        return body

    async def _receive(self, response: aiohttp.ClientResponse, body: Body) -> None:
        block, clock = bytearray(), asyncio.get_running_loop().time
        written_s = clock()
        try:
            async for piece in response.content.iter_any():
                block += piece
                if len(block) >= _BLOCK_BYTES or clock() - written_s >= _BLOCK_S:
                    full, block = bytes(block), bytearray()
                    await self._write(full, body)
                    written_s = clock()
        finally:
            await self._write(bytes(block), body)  # what came before a break is kept

    async def _write(self, block: bytes, body: Body) -> None:
        file, most = self.file, self.description.size_bytes
        if most is not None and file.size_bytes + len(block) > most:
            self._check_size(file.size_bytes + len(block))
        await in_thread(lambda tick: file.write(block))
        self.reporter.say("download", file.size_bytes, body.total_bytes or most)

    async def _restart(self, validator: str | None) -> None:
        origin = replace(self.file.origin, validator=validator)
        await in_thread(lambda tick: self.file.restart(origin))

    def _check_size(self, size_bytes: int | None) -> None:
        if size_bytes != self.description.size_bytes:
            raise DigestError(
                f"{redacted(self.description.url)!r} sends {size_bytes} bytes or more, "
                f"promised were {self.description.size_bytes}",
                hint="the file was changed or damaged on the way; don't use it",
            )

    def _check_room(self, body: Body) -> None:
        total_bytes = body.total_bytes or self.description.size_bytes
        if total_bytes is None:
            return
        # Models don't compress, so what comes out of an archive is about as large as it is.
        unpacked_bytes = total_bytes if self.description.member else 0
        needed_bytes = total_bytes - body.start + unpacked_bytes
        require_room(self.file.path.parent, needed_bytes, repr(self.description.file_name))

    def _broken(self, what: str) -> TransientError:
        return TransientError(
            SourceError(
                f"{redacted(self.description.url)!r} {what}",
                hint="try again; what was fetched is kept and continued",
            )
        )


def _origin(description: Description) -> Origin:
    """The address is hashed: it may be a signed one, and is written beside the partial file."""
    address = hashlib.sha256(description.url.encode()).hexdigest()
    return Origin(description.sha256 or address, hashed=description.sha256 is not None)


def _range_headers(file: Partial) -> dict[str, str]:
    if file.size_bytes == 0:
        return {}
    headers = {"Range": f"bytes={file.size_bytes}-"}
    if file.origin.validator and not file.origin.hashed:
        headers["If-Range"] = file.origin.validator
    return headers


def _validator(headers: Mapping[str, str]) -> str | None:
    """What If-Range may name: a strong ETag, or else a date (RFC 9110, 13.1.5)."""
    etag = headers.get("ETag", "")
    return etag if etag.startswith('"') else headers.get("Last-Modified")


def _body(response: aiohttp.ClientResponse, offset: int) -> Body | None:
    """Where this body belongs; None when it isn't what was asked for."""
    if response.status == 200:
        return Body(0, response.content_length)
    match = _CONTENT_RANGE.fullmatch(response.headers.get("Content-Range", ""))
    if response.status != 206 or match is None or int(match[1]) != offset or offset == 0:
        return None
    return Body(offset, None if match[3] == "*" else int(match[3]))


def _size_or_none(path: Path) -> int | None:
    return path.stat().st_size if path.exists() else None
