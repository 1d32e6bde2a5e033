"""A server of one file, or of a directory as a repository of the hub; slow on request.

    python -m benchmarks.origin PATH ADDRESS PORT [--delay-ms D] [--cap BYTES_PER_S]

It knows ranges, ETags and what a hub's client asks for. A file is the answer to every path; a
directory answers the hub's API and its files' addresses. Bodies go by sendfile, so that the server
leaves the processor to its clients. A cap is the kernel's own pacing of each connection.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import hashlib
import re
import socket
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from benchmarks.hub_repository import COMMIT, Blob, Repository

_SO_MAX_PACING_RATE = 47
_RANGE = re.compile(rb"(?i)\r\nrange: bytes=(\d+)-(\d*)")
Find = Callable[[str], Blob | bytes | None]
"""What a request's target names: a file, a short answer, or nothing."""


@dataclass(frozen=True, slots=True)
class Origin:
    find: Find
    delay_s: float = 0.0
    cap_bytes_per_s: int | None = None

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection, which is kept for more requests."""
        if self.cap_bytes_per_s is not None:
            made: socket.socket = writer.get_extra_info("socket")
            made.setsockopt(socket.SOL_SOCKET, _SO_MAX_PACING_RATE, self.cap_bytes_per_s)
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            await asyncio.sleep(self.delay_s)  # the handshake's round trip
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                await asyncio.sleep(self.delay_s)
                await self._answer(head, writer)
        writer.close()

    async def _answer(self, head: bytes, writer: asyncio.StreamWriter) -> None:
        method, target, _ = head.split(b" ", 2)
        found = self.find(target.decode("latin-1"))
        if isinstance(found, Blob):
            await _send_file(found, head, writer)
            return
        status, body = ("404 Not Found", b"") if found is None else ("200 OK", found)
        lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}"]
        writer.write(_head(lines) + (body if method == b"GET" else b""))
        await writer.drain()


async def _send_file(blob: Blob, head: bytes, writer: asyncio.StreamWriter) -> None:
    match = _RANGE.search(head)
    start = int(match[1]) if match else 0
    end = min(int(match[2]) + 1, blob.size_bytes) if match and match[2] else blob.size_bytes
    lines = [
        "HTTP/1.1 206 Partial Content" if match else "HTTP/1.1 200 OK",
        f"Content-Length: {end - start}",
        f'ETag: "{blob.etag}"',
        "Accept-Ranges: bytes",
        f"X-Repo-Commit: {COMMIT}",
    ]
    if match:
        lines.append(f"Content-Range: bytes {start}-{end - 1}/{blob.size_bytes}")
    writer.write(_head(lines))
    await writer.drain()
    if head.startswith(b"GET") and end > start:  # sendfile refuses to send nothing
        with blob.path.open("rb") as body:
            loop = asyncio.get_running_loop()
            await loop.sendfile(writer.transport, body, start, end - start)


def _head(lines: list[str]) -> bytes:
    return "\r\n".join([*lines, "", ""]).encode()


def contents(path: Path) -> Find:
    if path.is_dir():
        return Repository.of(path).find
    etag = hashlib.sha256(str(path).encode()).hexdigest()
    blob = Blob(path, path.stat().st_size, etag)
    return lambda _target: blob


async def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.origin", description=__doc__)
    parser.add_argument("path", type=Path, help="a file or a directory")
    parser.add_argument("address")
    parser.add_argument("port", type=int)
    parser.add_argument("--delay-ms", type=float, default=0.0)
    parser.add_argument("--cap", type=int, help="bytes a second of each connection")
    given = parser.parse_args()
    origin = Origin(contents(given.path), given.delay_ms / 1000, given.cap)
    server = await asyncio.start_server(origin.serve, given.address, given.port)
    print("ready", flush=True)
    async with server:
        await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main())
