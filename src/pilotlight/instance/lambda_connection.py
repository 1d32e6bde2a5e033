"""HTTP/1.1 to the Runtime API: one exchange on a connection of its own.

aiohttp and httpx can't send trailers, and Lambda wants the connection of a streamed response closed
behind it anyway. A chunk goes from the gateway to the socket as it is, framed and nothing else.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass

import httptools

READ_BYTES = 256 * 1024

Headers = Iterable[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Reply:
    """What the Runtime API said. Names of headers are in lower case."""

    status: int
    headers: dict[str, str]
    body: bytes


class Call:
    """One request under way; whoever opened it closes it."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    @classmethod
    async def open(
        cls, address: str, method: str, path: str, headers: Headers = (), body: bytes | None = None
    ) -> Call:
        """Send the head, and `body` with it; without one its chunks follow.

        Raises OSError where nobody listens.
        """
        host, _, port = address.rpartition(":")
        reader, writer = await asyncio.open_connection(host.strip("[]"), int(port))
        call = cls(reader, writer)
        try:
            await call._send(_head(address, method, path, headers, body) + (body or b""))
        except BaseException:
            call.close()
            raise
        return call

    async def chunk(self, data: bytes) -> None:
        """Returns once the other side has room for more. An empty chunk would be the last one."""
        if data:
            await self._send(b"%x\r\n%b\r\n" % (len(data), data))

    async def end(self, trailers: Headers = ()) -> None:
        lines = "".join(f"{name}: {value}\r\n" for name, value in trailers)
        await self._send(b"0\r\n" + lines.encode("latin-1") + b"\r\n")

    async def reply(self) -> Reply:
        """Without a limit of time: an environment may be frozen while it waits for one.

        Raises OSError when the connection ends within it.
        """
        parts = _Parts()
        while not parts.whole:
            data = await self._reader.read(READ_BYTES)
            if not data:
                parts.end()
                break
            parts.feed(data)
        return parts.reply()

    async def _send(self, data: bytes) -> None:
        self._writer.write(data)
        await self._writer.drain()

    def close(self) -> None:
        """The other side sees an end, within a message as a break."""
        self._writer.transport.abort()


class _Parts:
    """The parser's callbacks."""

    def __init__(self) -> None:
        self.whole = False
        self._headers: dict[str, str] = {}
        self._body: list[bytes] = []
        self._begun = False
        self._parser = httptools.HttpResponseParser(self)

    def feed(self, data: bytes) -> None:
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError as error:
            raise ConnectionError(f"the answer is not HTTP: {error}") from None

    def on_header(self, name: bytes, value: bytes) -> None:
        self._headers[name.decode("latin-1").lower()] = value.decode("latin-1")

    def on_headers_complete(self) -> None:
        self._begun = True

    def on_body(self, body: bytes) -> None:
        self._body.append(body)

    def on_message_complete(self) -> None:
        self.whole = True

    def end(self) -> None:
        """The connection's end is the message's where it has no length of its own."""
        measured = {"content-length", "transfer-encoding"} & self._headers.keys()
        if not self._begun or measured:
            raise ConnectionResetError("the connection ended before its answer was whole")

    def reply(self) -> Reply:
        return Reply(self._parser.get_status_code(), self._headers, b"".join(self._body))


def _head(address: str, method: str, path: str, headers: Headers, body: bytes | None) -> bytes:
    lines = [f"{method} {path} HTTP/1.1", f"Host: {address}", "Connection: close"]
    lines += [f"{name}: {value}" for name, value in headers]
    if body is None:
        lines.append("Transfer-Encoding: chunked")
    elif method == "POST":
        lines.append(f"Content-Length: {len(body)}")
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")
