"""One connection to the server under test: a request at a time, stamps on receipt, no parsing.

Only HTTP's own framing is read while an answer comes (by httptools, in C); what the answer says
waits until it has ended.
"""

from __future__ import annotations

import asyncio
import time
from typing import Protocol, cast

import httptools

from pilotlight.bench.generator.exchange import Exchange
from pilotlight.bench.record import ErrorKind

TTFT_HEADER, QUEUE_HEADER = b"x-pilotlight-ttft-ms", b"x-pilotlight-queue-ms"
_KEPT_HEADERS = frozenset({TTFT_HEADER, QUEUE_HEADER})
_FRAMING = frozenset({b"content-length", b"transfer-encoding"})


class Owner(Protocol):
    """Who is told what becomes of a connection and its exchange."""

    def ended(self, exchange: Exchange) -> None:
        """Whole or failed; the connection may be in use again already."""
        ...

    def unanswered(self, exchange: Exchange) -> None:
        """A kept connection closed before a byte of the answer: to be sent again on a new one."""
        ...

    def freed(self, connection: Connection) -> None: ...

    def closed(self, connection: Connection) -> None: ...


class Connection(asyncio.Protocol):
    """Belongs to its owner, which gives it exchanges one after the other."""

    def __init__(self, owner: Owner) -> None:
        self._owner = owner
        self._parser = httptools.HttpResponseParser(self)
        self._exchange: Exchange | None = None
        self._uses = 0
        self._now_s = 0.0
        self._framed = False
        self._whole = False
        self._keep = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports have the methods without being of the class.
        self._transport = cast("asyncio.Transport", transport)

    def start(self, exchange: Exchange) -> None:
        self._exchange = exchange
        self._uses += 1
        self._framed = self._whole = False
        exchange.connection = self
        exchange.sent_s = time.perf_counter()
        self._transport.write(exchange.payload)

    def data_received(self, data: bytes) -> None:
        self._now_s = time.perf_counter()
        exchange = self._exchange
        if exchange is None:  # nobody asked: such as a 408 to a connection kept too long
            self._transport.abort()
            return
        if exchange.first_read_s is None:
            exchange.first_read_s = self._now_s
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as error:
            self._end(exchange, "malformed", f"the answer is no HTTP: {error}")
            self._transport.abort()
            return
        if self._whole:
            self._finish(exchange)

    def on_header(self, name: bytes, value: bytes) -> None:
        name = name.lower()
        if name in _FRAMING:
            self._framed = True
        elif name in _KEPT_HEADERS and self._exchange is not None:
            self._exchange.headers[name] = value

    def on_body(self, body: bytes) -> None:
        if self._exchange is not None:
            self._exchange.pieces.append(body)
            self._exchange.stamps.append(self._now_s)

    def on_message_complete(self) -> None:
        if self._parser.get_status_code() >= 200:  # 1xx: the answer is yet to come
            self._whole = True
            self._keep = self._parser.should_keep_alive()

    def _finish(self, exchange: Exchange) -> None:
        self._exchange = None
        exchange.status = self._parser.get_status_code()
        exchange.complete = True
        exchange.ended_s = self._now_s
        if self._keep:
            self._owner.freed(self)
        else:
            self._transport.close()
        self._owner.ended(exchange)

    def give_up(self, kind: ErrorKind, message: str) -> None:
        """End what is under way from this side."""
        self._now_s = time.perf_counter()
        if self._exchange is not None:
            self._end(self._exchange, kind, message)
        self._transport.abort()

    def _end(self, exchange: Exchange, kind: ErrorKind, message: str) -> None:
        self._exchange = None
        if exchange.first_read_s is not None:
            exchange.status = self._parser.get_status_code() or None
        exchange.ended_s = self._now_s
        exchange.failure = (kind, message)
        self._owner.ended(exchange)

    def close(self) -> None:
        """Whatever is under way stays without an end."""
        self._exchange = None
        self._transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        self._now_s = time.perf_counter()
        exchange, self._exchange = self._exchange, None
        self._owner.closed(self)
        if exchange is not None:
            self._lost(exchange, exc)
        del self._parser  # it holds on to this object

    def _lost(self, exchange: Exchange, exc: Exception | None) -> None:
        if exchange.first_read_s is None and self._uses > 1:
            self._owner.unanswered(exchange)
        elif exchange.first_read_s is None:
            self._end(exchange, "connection", f"closed without an answer{_why(exc)}")
        elif not self._framed and self._parser.get_status_code() >= 200 and exc is None:
            self._keep, exchange.complete = False, True
            exchange.status = self._parser.get_status_code()
            exchange.ended_s = self._now_s
            self._owner.ended(exchange)
        else:
            self._end(exchange, "broken-off", f"the connection closed midway{_why(exc)}")


def _why(exc: Exception | None) -> str:
    return "" if exc is None else f": {exc}"
