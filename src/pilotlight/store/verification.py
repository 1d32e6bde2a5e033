"""`store verify`: hash what is kept, say which chunk is wrong, and fetch just that one again."""

from __future__ import annotations

import asyncio
import hashlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from itertools import zip_longest
from pathlib import Path

from pilotlight.core import ModelRef
from pilotlight.durable import sync
from pilotlight.errors import PilotlightError, SourceError
from pilotlight.store.address import redacted
from pilotlight.store.blobs import Blobs, Record
from pilotlight.store.chunks import CHUNK_BYTES, ChunkList
from pilotlight.store.client import Client
from pilotlight.store.digest import digest_file
from pilotlight.store.progress import Reporter
from pilotlight.store.retry import Retry, TransientError
from pilotlight.store.snapshot import Snapshot, StoredFile, replace_json
from pilotlight.store.sources.base import Description
from pilotlight.store.sources.registry import Sources
from pilotlight.store.worker import Tick, in_thread

_AGAIN = "fetch the model again: pilotlight pull"


@dataclass(frozen=True, slots=True)
class Flaw:
    """A range of a file whose bytes are wrong; `chunk` is None where nobody knows which."""

    chunk: int | None
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Verdict:
    """What was found of one file. `reason` says why flaws are left, where some are."""

    name: str
    flaws: tuple[Flaw, ...] = ()
    mended: bool = False
    reason: str | None = None

    @property
    def good(self) -> bool:
        return not self.flaws or self.mended


class Verifier:
    """Of one store; its sources are asked for what is wrong here."""

    def __init__(self, blobs: Blobs, sources: Sources, retry: Retry) -> None:
        self._blobs = blobs
        self._sources = sources
        self._retry = retry

    async def verify(
        self, ref: ModelRef, snapshot: Snapshot, reporter: Reporter
    ) -> tuple[Verdict, ...]:
        """Every file of a model, in order. A file that stays wrong is no longer reported present,
        and the next use of the model fetches it anew.
        """
        return tuple([await self._file(ref, file, reporter) for file in snapshot.files])

    async def _file(self, ref: ModelRef, file: StoredFile, reporter: Reporter) -> Verdict:
        counter = reporter.counter("verify", file.size_bytes)
        flaws = await in_thread(partial(inspect, self._blobs, file), counter)
        if not flaws:
            return Verdict(file.name)
        try:
            await self._mended(ref, file, flaws)
        except (PilotlightError, OSError) as error:
            await in_thread(lambda tick: distrust(self._blobs, file))
            said = error.one_line() if isinstance(error, PilotlightError) else str(error)
            return Verdict(file.name, flaws, reason=said)
        return Verdict(file.name, flaws, mended=True)

    async def _mended(self, ref: ModelRef, file: StoredFile, flaws: tuple[Flaw, ...]) -> None:
        record = self._blobs.record(file.sha256)
        if record is None or any(flaw.chunk is None for flaw in flaws):
            raise SourceError(
                "it is gone, or the record of its chunks is and nobody knows which part is wrong",
                hint=_AGAIN,
            )
        described = await self._described(ref, file)
        for flaw in flaws:
            await self._replace(described, file, flaw, record.chunks)
        if not await in_thread(partial(_is_whole, self._blobs, file)):
            raise SourceError("it is wrong with every chunk as recorded", hint=_AGAIN)

    async def _described(self, ref: ModelRef, file: StoredFile) -> Description:
        """Where the source has the same file still."""
        listing = await self._sources.get(ref).describe(ref)
        for described in listing.files:
            same = described.sha256 in (None, file.sha256)
            if described.file_name == file.name and described.member is None and same:
                return described
        raise SourceError(
            f"the source has no file {file.name!r} with these bytes to take a part of",
            hint=_AGAIN,
        )

    async def _replace(
        self, described: Description, file: StoredFile, flaw: Flaw, chunks: ChunkList
    ) -> None:
        async def attempt() -> bytes:
            async with Client(described.network) as client:
                return await _range(client, described, flaw, chunks.size_bytes)

        block = await self._retry.persist(attempt)
        assert flaw.chunk is not None
        if hashlib.sha256(block).digest() != chunks.sha256[flaw.chunk]:
            raise SourceError(
                f"{redacted(described.url)!r} has other bytes now",
                hint=_AGAIN,
            )
        await in_thread(lambda tick: _write(self._blobs.path(file.sha256), flaw.start, block))


async def _range(client: Client, described: Description, flaw: Flaw, size_bytes: int) -> bytes:
    """Raises SourceError for anything but this range of a file of this size."""
    span = f"{flaw.start}-{flaw.end - 1}"
    headers = {**described.headers, "Range": f"bytes={span}"}
    async with client.open("GET", described.url, headers, hints=described.hints) as response:
        given = response.headers.get("Content-Range")
        if response.status != 206 or given != f"bytes {span}/{size_bytes}":
            raise SourceError(
                f"{redacted(described.url)!r} gives no part of this file", hint=_AGAIN
            )
        try:
            return await response.content.readexactly(flaw.end - flaw.start)
        except asyncio.IncompleteReadError as error:
            raise TransientError(
                SourceError(f"{redacted(described.url)!r} broke off", hint="try again")
            ) from error


def inspect(blobs: Blobs, file: StoredFile, tick: Tick) -> tuple[Flaw, ...]:
    """Hash the whole file and its chunks; what is right becomes believed again. Blocks."""
    try:
        actual, chunks = digest_file(blobs.path(file.sha256), tick)
    except FileNotFoundError:
        return (Flaw(None, 0, file.size_bytes),)
    if actual == file.sha256:
        _affirm(blobs, file, chunks)
        return ()
    record = blobs.record(file.sha256)
    if record is None or (record.size_bytes, record.chunk_bytes) != (file.size_bytes, CHUNK_BYTES):
        return (Flaw(None, 0, file.size_bytes),)
    wrong = _differing(record.chunks, chunks)
    flaws = tuple(Flaw(index, *record.chunks.span(index)) for index in wrong)
    # A record that finds nothing wrong with a wrong file is wrong itself.
    return flaws or (Flaw(None, 0, file.size_bytes),)


def _differing(expected: ChunkList, actual: ChunkList) -> Iterator[int]:
    last = len(expected.sha256) - 1
    for index, (wanted, found) in enumerate(zip_longest(expected.sha256, actual.sha256)):
        # A longer file may have its surplus behind chunks that are all right.
        resized = index == last and expected.size_bytes != actual.size_bytes
        if index <= last and (wanted != found or resized):
            yield index


def _write(path: Path, start: int, block: bytes) -> None:
    """In place, so that a server that has the file mapped gets the right bytes too."""
    path.chmod(0o644)
    with path.open("r+b", buffering=0) as file:
        file.seek(start)
        rest = memoryview(block)
        while rest:
            rest = rest[file.write(rest) :]


def _is_whole(blobs: Blobs, file: StoredFile, tick: Tick) -> bool:
    """Whether the mended file is what its name says; then it is kept as before."""
    path = blobs.path(file.sha256)
    os.truncate(path, file.size_bytes)
    path.chmod(0o444)
    actual, chunks = digest_file(path, tick)
    if actual == file.sha256:
        sync(path)
        _affirm(blobs, file, chunks)
    return actual == file.sha256


def _affirm(blobs: Blobs, file: StoredFile, chunks: ChunkList) -> None:
    """Give the right bytes the time by which they are known; snapshots have it too."""
    path = blobs.path(file.sha256)
    with blobs.locked():
        found = path.stat()
        if found.st_mtime_ns != file.modified_ns:
            os.utime(path, ns=(found.st_atime_ns, file.modified_ns))
        if not blobs.trusted(file.sha256):
            replace_json(blobs.record_path(file.sha256), Record.of(chunks, file.modified_ns))


def distrust(blobs: Blobs, file: StoredFile) -> None:
    """Have nobody believe the file: its record goes, and its time isn't the one that is known."""
    with blobs.locked():
        blobs.record_path(file.sha256).unlink(missing_ok=True)
        if blobs.path(file.sha256).exists():
            os.utime(blobs.path(file.sha256))
