"""A server of one file: ranges, an ETag, what a hub's client asks for; slow on request.

    python -m benchmarks.origin FILE ADDRESS PORT [--delay-ms D] [--cap BYTES_PER_S]

Bodies go by sendfile, so that the server leaves the processor to its clients. A cap is the
kernel's own pacing of each connection.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import hashlib
import re
import socket
from dataclasses import dataclass
from pathlib import Path

_SO_MAX_PACING_RATE = 47
_RANGE = re.compile(rb"(?i)\r\nrange: bytes=(\d+)-(\d*)")
COMMIT = "0" * 40


@dataclass(frozen=True, slots=True)
class Origin:
    file: Path
    size_bytes: int
    etag: str
    delay_s: float
    cap_bytes_per_s: int | None

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
        match = _RANGE.search(head)
        start = int(match[1]) if match else 0
        end = min(int(match[2]) + 1, self.size_bytes) if match and match[2] else self.size_bytes
        lines = [
            "HTTP/1.1 206 Partial Content" if match else "HTTP/1.1 200 OK",
            f"Content-Length: {end - start}",
            f'ETag: "{self.etag}"',
            "Accept-Ranges: bytes",
            f"X-Repo-Commit: {COMMIT}",
        ]
        if match:
            lines.append(f"Content-Range: bytes {start}-{end - 1}/{self.size_bytes}")
        writer.write("\r\n".join([*lines, "", ""]).encode())
        await writer.drain()
        if head.startswith(b"GET"):
            with self.file.open("rb") as body:
                loop = asyncio.get_running_loop()
                await loop.sendfile(writer.transport, body, start, end - start)


async def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.origin", description=__doc__)
    parser.add_argument("file", type=Path)
    parser.add_argument("address")
    parser.add_argument("port", type=int)
    parser.add_argument("--delay-ms", type=float, default=0.0)
    parser.add_argument("--cap", type=int, help="bytes a second of each connection")
    given = parser.parse_args()
    etag = hashlib.sha256(str(given.file).encode()).hexdigest()
    size_bytes = given.file.stat().st_size
    origin = Origin(given.file, size_bytes, etag, given.delay_ms / 1000, given.cap)
    server = await asyncio.start_server(origin.serve, given.address, given.port)
    print("ready", flush=True)
    async with server:
        await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main())
