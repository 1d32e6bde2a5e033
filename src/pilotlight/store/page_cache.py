"""Files that are likely to be needed next, kept in the page cache within a budget.

A model whose file lies there loads at the speed of memory. The kernel keeps what was
used last, which is not what will be used next; this reads the latter back in, as long
as there is memory that nobody uses.
"""

from __future__ import annotations

import ctypes
import mmap
import os
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from pilotlight.machine import memory_spare_bytes
from pilotlight.store.parts import parts_of

STEP_BYTES = 8 * 2**20
MARGIN_BYTES = 256 * 2**20
"""Left free whatever the budget says, for what starts meanwhile."""

_WINDOW_BYTES = 2**30
_MAP_FAILED = ctypes.c_void_p(-1).value


@dataclass(frozen=True, slots=True)
class Candidate:
    """A model on this node, and the chance that it is loaded soon."""

    name: str
    path: Path
    """As its engine is given it: see `parts_of`."""

    size_bytes: int
    chance: float
    loaded: bool = False
    """In use now: its pages are left alone, and nothing may push them out."""


def choose(candidates: Iterable[Candidate], budget_bytes: int) -> tuple[Candidate, ...]:
    """Whom the budget is for: the greatest expected saving for each byte, as far as it goes.

    What a warm file saves is the time to read it, which grows with its size: so for each
    byte it is the chance alone that counts, and the size only between equals. Half a file
    is not worth its bytes, for a load waits for the other half; a smaller one may still fit.
    """
    chosen = []
    left = budget_bytes
    for candidate in sorted(candidates, key=lambda item: (-item.chance, item.size_bytes)):
        if not candidate.loaded and candidate.size_bytes <= left:
            chosen.append(candidate)
            left -= candidate.size_bytes
    return tuple(chosen)


class PageCache:
    """Reads chosen files in, a step at a time; between steps it rests as long as it read.

    So a load that comes meanwhile has at least half of the disk. `keep` blocks and is run in
    a thread by one caller at a time; `stop` may be called from any.
    """

    def __init__(
        self,
        budget_bytes: int,
        spare_bytes: Callable[[], int] = memory_spare_bytes,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._budget_bytes = budget_bytes
        self._spare_bytes = spare_bytes
        self._clock = clock
        self._stopped = threading.Event()

    def keep(self, candidates: Iterable[Candidate]) -> int:
        """Bring in what is missing of those chosen; returns how many bytes were read.

        Ends early when memory runs short. A file that nobody can see the pages of, such as
        another user's, is passed over, and so is one that has gone.
        """
        candidates = tuple(candidates)
        chosen = choose(candidates, self._budget_bytes)
        loaded = [candidate for candidate in candidates if candidate.loaded]
        room = self._spare_bytes() - MARGIN_BYTES
        # Pages that must stay may be among those the kernel calls spare.
        room -= sum(_resident(candidate) for candidate in (*chosen, *loaded))
        read = 0
        for path in (path for candidate in chosen for path in _files(candidate)):
            read += self._warm(path, room - read)
        return read

    def stop(self) -> None:
        """Have `keep` return after the step it is at, now and from now on."""
        self._stopped.set()

    def _warm(self, path: Path, room_bytes: int) -> int:
        try:
            with path.open("rb", buffering=0) as file:
                return sum(self._steps(file.fileno(), room_bytes))
        except OSError:
            return 0  # removed since, or unreadable: whoever loads it says so

    def _steps(self, descriptor: int, room_bytes: int) -> Iterator[int]:
        """Bytes brought in, step by step."""
        if not _can_see(descriptor):
            return
        # Without reading ahead, which no count here would know of.
        os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_RANDOM)
        buffer = bytearray(STEP_BYTES)
        size_bytes = os.fstat(descriptor).st_size
        for offset in range(0, size_bytes, STEP_BYTES):
            length = min(STEP_BYTES, size_bytes - offset)
            missing = length - _count(descriptor, offset, length)
            room_bytes -= missing
            if room_bytes < 0 or self._spare_bytes() < MARGIN_BYTES or self._stopped.is_set():
                return
            if missing:
                # A read and no advice: when it returns the pages are there, which is what
                # the pace, the room and the count rest on.
                began_s = self._clock()
                os.preadv(descriptor, [memoryview(buffer)[:length]], offset)
                yield missing
                self._stopped.wait(self._clock() - began_s)


def resident_bytes(path: Path) -> int | None:
    """How much of the file is in the page cache; None where the kernel won't say. Blocks for ms.

    Raises OSError for a file that can't be opened.
    """
    with path.open("rb") as file:
        if not _can_see(file.fileno()):
            return None
        return _count(file.fileno(), 0, os.fstat(file.fileno()).st_size)


def _files(candidate: Candidate) -> tuple[Path, ...]:
    try:
        return parts_of(candidate.path)
    except OSError:
        return ()


def _resident(candidate: Candidate) -> int:
    total = 0
    for path in _files(candidate):
        try:
            total += resident_bytes(path) or 0
        except OSError:
            continue
    return total


def _can_see(descriptor: int) -> bool:
    """Linux shows the pages of a file to who owns it or may write it, and to others a full cache
    (can_do_mincore in mm/mincore.c)."""
    if sys.platform != "linux":
        return False
    owner = os.fstat(descriptor).st_uid
    return os.geteuid() in (0, owner) or os.access(f"/proc/self/fd/{descriptor}", os.W_OK)


def _count(descriptor: int, offset: int, length: int) -> int:
    """Resident bytes of a part that starts at a page."""
    end = offset + length
    return sum(
        _count_window(descriptor, start, min(_WINDOW_BYTES, end - start))
        for start in range(offset, end, _WINDOW_BYTES)
    )


def _count_window(descriptor: int, offset: int, length: int) -> int:
    pages = -(-length // mmap.PAGESIZE)
    states = (ctypes.c_ubyte * pages)()
    with _mapped(descriptor, offset, length) as address:
        if _libc().mincore(address, length, states):
            raise OSError(ctypes.get_errno(), "mincore failed")
    present = [state & 1 for state in states]
    overhang = pages * mmap.PAGESIZE - length if present[-1] else 0
    return sum(present) * mmap.PAGESIZE - overhang


@contextmanager
def _mapped(descriptor: int, offset: int, length: int) -> Iterator[int]:
    """Mapped by the C library, for a read-only `mmap.mmap` doesn't tell its address."""
    address = _libc().mmap(None, length, mmap.PROT_READ, mmap.MAP_SHARED, descriptor, offset)
    if address == _MAP_FAILED:
        raise OSError(ctypes.get_errno(), "mmap failed")
    try:
        yield address
    finally:
        _libc().munmap(address, length)


@lru_cache(maxsize=1)
def _libc() -> ctypes.CDLL:
    libc = ctypes.CDLL(None, use_errno=True)
    libc.mmap.restype = ctypes.c_void_p
    libc.mmap.argtypes = (
        *(ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int, ctypes.c_int, ctypes.c_int),
        ctypes.c_longlong,
    )
    libc.munmap.argtypes = (ctypes.c_void_p, ctypes.c_size_t)
    libc.mincore.argtypes = (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_void_p)
    return libc
