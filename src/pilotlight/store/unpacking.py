"""A member taken out of a zip archive while the archive still arrives.

Inflating takes about as long as reading from a fast line, so it hides behind the download. What
comes out is as good as the archive: it counts once the whole archive's hash was right and its
directory, which is at its end, describes the same member. Whatever is unusual about an archive
makes this give up, and the member is taken out afterwards as ever.
"""

from __future__ import annotations

import asyncio
import os
import struct
import threading
import zlib
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from types import TracebackType
from typing import Self

from pilotlight.store.archive import Member, is_wanted
from pilotlight.store.chunks import ChunkList
from pilotlight.store.digest import ChunkDigest
from pilotlight.store.sources.base import ArchiveMember
from pilotlight.store.worker import Tick, in_thread

_BLOCK_BYTES = 2**20
_INFLATED_BYTES = 4 * _BLOCK_BYTES
"""Most that is made of a block at once; a crafted one could ask for a thousand times its size."""

_LOCAL = struct.Struct("<4s5H3I2H")  # PKWARE's APPNOTE, 4.3.7
_SIGNATURE = b"PK\x03\x04"
_ENCRYPTED, _SIZES_FOLLOW, _UTF8 = 0x1, 0x8, 0x800
_DEFLATED = 8
_ZIP64_SIZE = 0xFFFFFFFF


class _GivenUpError(Exception):
    """This archive isn't one to be read from the front."""


@dataclass(frozen=True, slots=True)
class Unpacked:
    """What came out, and what the archive's directory must say of it."""

    name: str
    offset: int
    crc: int
    sha256: str
    chunks: ChunkList

    def fits(self, member: Member) -> bool:
        mine = (self.name, self.offset, self.crc, self.chunks.size_bytes)
        return mine == (member.name, member.offset, member.crc, member.size_bytes)


@dataclass(frozen=True, slots=True)
class _Header:
    name: str
    start: int
    stop: int | None
    size_bytes: int | None
    """Unpacked, where it is said before the directory."""

    @property
    def end(self) -> int:
        """Where the next header begins; a member that doesn't say its size can't be skipped."""
        if self.stop is None:
            raise _GivenUpError
        return self.stop


class Unpacking:
    """Use as a context; `feed` is for `fetch` to call. Leaving it early ends its thread."""

    def __init__(
        self,
        archive: Path,
        wanted: ArchiveMember,
        target_of: Callable[[str], Path],
        watch: Callable[[Path, int], None] | None,
    ) -> None:
        """`target_of` says where a file of that name goes; `watch` is told how it grows."""
        self._archive = archive
        self._wanted = wanted
        self._target_of = target_of
        self._watch = watch
        self._target: Path | None = None
        self._changed = threading.Condition()
        self._here_bytes = 0
        self._ended = False
        self._void = False
        self._task: asyncio.Task[Unpacked | None] | None = None

    async def __aenter__(self) -> Self:
        self._task = asyncio.create_task(self._work())
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if error is None:
            await self.result()
            return
        self._end(void=True)
        assert self._task is not None
        await self._task
        if self._target is not None:
            self._target.unlink(missing_ok=True)

    def feed(self, archive: Path, here_bytes: int) -> None:
        """So many bytes of the archive are here. Fewer than before: it is another one now."""
        with self._changed:
            self._void = self._void or here_bytes < self._here_bytes
            self._here_bytes = here_bytes
            self._changed.notify()

    async def result(self) -> Unpacked | None:
        """What came out of all that was fed; None when it was given up, or fed anew since."""
        self._end()
        assert self._task is not None
        unpacked = await self._task
        return None if self._void else unpacked

    def _end(self, *, void: bool = False) -> None:
        with self._changed:
            self._ended = True
            self._void = self._void or void
            self._changed.notify()

    async def _work(self) -> Unpacked | None:
        with ThreadPoolExecutor(1) as executor:
            return await in_thread(self._run, self._grown, executor=executor)

    def _grown(self, done_bytes: int) -> None:
        if self._watch is not None and self._target is not None:
            self._watch(self._target, done_bytes)

    def _run(self, tick: Tick) -> Unpacked | None:
        try:
            return self._unpack(tick)
        except (_GivenUpError, OSError, zlib.error, struct.error, UnicodeDecodeError):
            return None

    def _unpack(self, tick: Tick) -> Unpacked:
        self._await(1)  # the file is there only then
        with self._archive.open("rb", buffering=0) as archive:
            offset = 0
            header = self._header(archive.fileno(), offset)
            while not is_wanted(header.name, self._wanted):
                offset = header.end
                header = self._header(archive.fileno(), offset)
            blocks = self._blocks(archive.fileno(), header.start)
            return self._write(header, offset, _inflated(blocks), tick)

    def _header(self, archive: int, offset: int) -> _Header:
        fixed = self._read(archive, offset, _LOCAL.size)
        signature, _, flags, method, _, _, _, packed, size, name_length, more = _LOCAL.unpack(fixed)
        start = offset + _LOCAL.size + name_length + more
        name = self._read(archive, offset + _LOCAL.size, name_length)
        if signature != _SIGNATURE or method != _DEFLATED or flags & _ENCRYPTED:
            raise _GivenUpError
        known = not flags & _SIZES_FOLLOW and _ZIP64_SIZE not in (packed, size)
        text = name.decode("utf-8" if flags & _UTF8 else "cp437")
        return _Header(text, start, start + packed if known else None, size if known else None)

    def _write(self, header: _Header, offset: int, blocks: Iterator[bytes], tick: Tick) -> Unpacked:
        self._target = self._target_of(PurePosixPath(header.name).name)
        digest, crc = ChunkDigest(), 0
        with self._target.open("wb") as file:
            file.truncate(header.size_bytes)  # so that a header of its own counts before its end
            for block in blocks:
                file.write(block)
                digest.update(block)
                crc = zlib.crc32(block, crc)
                file.flush()
                tick(digest.size_bytes)
            file.truncate()  # a size that was a lie
        return Unpacked(header.name, offset, crc, *digest.result())

    def _blocks(self, archive: int, offset: int) -> Iterator[bytes]:
        """What follows, as it arrives."""
        while True:
            here_bytes = self._await(offset + 1)
            block = os.pread(archive, min(_BLOCK_BYTES, here_bytes - offset), offset)
            offset += len(block)
            yield block

    def _read(self, archive: int, offset: int, size: int) -> bytes:
        self._await(offset + size)
        return os.pread(archive, size, offset)

    def _await(self, size: int) -> int:
        """Until so much of the archive is here; how much there is."""
        with self._changed:
            self._changed.wait_for(lambda: self._here_bytes >= size or self._ended or self._void)
            if self._void or self._here_bytes < size:
                raise _GivenUpError
            return self._here_bytes


def _inflated(blocks: Iterator[bytes]) -> Iterator[bytes]:
    inflater, piece = zlib.decompressobj(-zlib.MAX_WBITS), b""
    while not inflater.eof:
        block = inflater.unconsumed_tail or (b"" if len(piece) == _INFLATED_BYTES else next(blocks))
        piece = inflater.decompress(block, _INFLATED_BYTES)
        yield piece
