"""Keeps llama.cpp from copying weights that are not here yet. A part of host.py's process.

With a map of the file, what a load does with the weights is to copy some of them into a layout
that the processor multiplies faster; at the rest it only points. Every copy goes through one
function, `COPY`, which the wheel's library calls by way of its own table of addresses (the
procedure linkage table of the ELF specification). For the time of one load that entry leads here:
a copy from within the file waits until its bytes have arrived. Those before it are done by then.

The wheel loads in a thread of its own, while the one that asked keeps the interpreter's lock and
waits in `WAIT`. That entry leads here too, to wait without the lock.

How many bytes were copied is counted: the owner knows how many there must have been, and throws
the load away if these differ.
"""

from __future__ import annotations

import ctypes
import mmap
import os
import platform
import struct
import sys
from collections.abc import Callable
from contextlib import ExitStack
from types import TracebackType
from typing import Any

COPY = "ggml_backend_tensor_set"
WAIT = (
    "_ZNSt28__atomic_futex_unsigned_base19_M_futex_wait_untilEPjjbNSt6chrono8durationIlSt5ratio"
    "ILl1ELl1EEEENS2_IlS3_ILl1ELl1000000000EEEE"
)
"""``std::future::get`` of libstdc++."""

JUMP_SLOTS = {"x86_64": 7, "aarch64": 1026}
"""The relocation that makes an entry, for each processor."""

PT_LOAD, PT_DYNAMIC = 1, 2
DT_PLTRELSZ, DT_STRTAB, DT_SYMTAB, DT_JMPREL = 2, 5, 6, 23

CopyFunction = ctypes.CFUNCTYPE(
    None, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_size_t, ctypes.c_size_t
)
WaitFunction = ctypes.CFUNCTYPE(
    ctypes.c_bool, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_uint, ctypes.c_bool,
    ctypes.c_int64, ctypes.c_int64,
)  # fmt: skip


class Gate:
    """Around a load of the file at `path`: `wait` returns once so many of its bytes are here."""

    def __init__(self, library: str, path: str, wait: Callable[[int], None]) -> None:
        """Raises OSError or ValueError: it has no such entries; nothing was changed."""
        self.copied_bytes = 0
        self._inode = os.stat(path).st_ino  # its name changes when all of it is here
        self._wait = wait
        self._maps: list[tuple[int, int, int]] = []
        self._copy: Any = CopyFunction((COPY, ctypes.CDLL(library)))
        self._sleep: Any = WaitFunction((WAIT, ctypes.CDLL(library)))
        copy_at, wait_at = addresses(library, COPY, WAIT)
        self._entries = (
            Entry(copy_at, CopyFunction(self._hold)),
            Entry(wait_at, WaitFunction(lambda *given: self._sleep(*given))),
        )
        self._open = ExitStack()

    def __enter__(self) -> Gate:
        for entry in self._entries:
            self._open.enter_context(entry)
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        """Raises ValueError where not even the file's map was seen: its copies weren't, then."""
        self._open.close()
        if kind is None and not self.copied_bytes and not self._read_maps():
            raise ValueError("the engine has no map of the file")

    def _hold(self, tensor: int, source: int, offset: int, size_bytes: int) -> None:
        """Nothing may be raised into the engine, which would go on with what it didn't get."""
        try:
            end = self._file_end(source, size_bytes)
            if end is not None:
                self._wait(end)
                self.copied_bytes += size_bytes
            self._copy(tensor, source, offset, size_bytes)
        except BaseException as error:
            print(f"the gate failed: {error!r}", file=sys.stderr, flush=True)
            os._exit(70)

    def _file_end(self, source: int, size_bytes: int) -> int | None:
        """Where in the file these bytes end; None for memory that isn't a map of it."""
        if (found := self._mapped(source)) is None:
            self._maps = self._read_maps()
            found = self._mapped(source)
        return None if found is None else found + size_bytes

    def _mapped(self, source: int) -> int | None:
        for start, end, offset in self._maps:
            if start <= source < end:
                return source - start + offset
        return None

    def _read_maps(self) -> list[tuple[int, int, int]]:
        """Start, end and offset in the file of each map of it."""
        maps = []
        with open("/proc/self/maps") as lines:
            for line in lines:
                span, _, offset, _, inode, *_ = line.split(maxsplit=5)
                if int(inode) == self._inode:
                    start, _, end = span.partition("-")
                    maps.append((int(start, 16), int(end, 16), int(offset, 16)))
        return maps


class Entry:
    """A library's entry for a function, which leads to another one inside the ``with``."""

    def __init__(self, address: int, other: Any) -> None:
        self._entry = ctypes.c_void_p.from_address(address)
        self._other = other  # a thread may still return through it when all is over
        self._before: int | None = None

    def __enter__(self) -> None:
        self._before = self._entry.value
        self._entry.value = ctypes.cast(self._other, ctypes.c_void_p).value

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._entry.value = self._before


def suits_here() -> bool:
    """Whether libraries of this system and processor can have such entries."""
    return sys.platform == "linux" and platform.machine() in JUMP_SLOTS


def addresses(library: str, *functions: str) -> list[int]:
    """Where in this process's memory the library's entries for its own `functions` are."""
    with open(library, "rb") as file, mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ) as image:
        found = _entries(image, [name.encode() + b"\0" for name in functions])
    base = _address_of(library, functions[0]) - found[0][1]
    return [base + entry for entry, _ in found]


def _address_of(library: str, function: str) -> int:
    return ctypes.cast(getattr(ctypes.CDLL(library), function), ctypes.c_void_p).value or 0


def _entries(image: mmap.mmap, functions: list[bytes]) -> list[tuple[int, int]]:
    """Of each function its entry's address and its own, as if the library lay at 0."""
    kind = JUMP_SLOTS.get(platform.machine())
    if image[:6] != b"\x7fELF\x02\x01" or kind is None:
        raise ValueError("only 64-bit ELF libraries of x86-64 and ARM are understood")
    segments = _segments(image)
    table = _dynamic(image, segments)
    at, symbols, names = (
        _offset_of(table[part], segments) for part in (DT_JMPREL, DT_SYMTAB, DT_STRTAB)
    )
    found = {}
    for entry, info, _ in struct.iter_unpack("<QQq", image[at : at + table[DT_PLTRELSZ]]):
        name, _, address = struct.unpack_from("<IIQ", image, symbols + (info >> 32) * 24)
        for function in functions:
            start = names + name
            if info & 0xFFFFFFFF == kind and image[start : start + len(function)] == function:
                found[function] = entry, address
    missing = [function for function in functions if function not in found]
    if missing:
        raise ValueError(f"it calls {missing[0]!r} by no entry of its table")
    return [found[function] for function in functions]


def _segments(image: mmap.mmap) -> list[tuple[int, int, int, int]]:
    """Kind, offset in the file, address and size in the file of each."""
    (start,) = struct.unpack_from("<Q", image, 32)
    size, count = struct.unpack_from("<HH", image, 54)
    found = []
    for at in range(start, start + size * count, size):
        kind, _, offset, address, _, length = struct.unpack_from("<IIQQQQ", image, at)
        found.append((kind, offset, address, length))
    return found


def _dynamic(image: mmap.mmap, segments: list[tuple[int, int, int, int]]) -> dict[int, int]:
    for kind, offset, _, length in segments:
        if kind == PT_DYNAMIC:
            return dict(struct.iter_unpack("<QQ", image[offset : offset + length]))
    raise ValueError("it has no dynamic section")


def _offset_of(address: int, segments: list[tuple[int, int, int, int]]) -> int:
    for kind, offset, start, length in segments:
        if kind == PT_LOAD and start <= address < start + length:
            return offset + address - start
    raise ValueError(f"the address {address:#x} is in no part of the file")
