"""Connections to one server: kept while the server keeps them, made when none is free.

A connection is made for a request that is due, never in advance of the run's first ones: a server
with a thread for each connection would spend one on it.
"""

from __future__ import annotations

import asyncio
import errno
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from pilotlight.bench.generator.connection import Connection
from pilotlight.bench.generator.exchange import Exchange
from pilotlight.bench.record import ErrorKind
from pilotlight.bench.target import Target
from pilotlight.errors import ServerUnreachableError

if TYPE_CHECKING:
    import ssl

_EXHAUSTED = frozenset({errno.EMFILE, errno.ENFILE, errno.EADDRNOTAVAIL})


class Pool:
    """Tells `ended` of each exchange it was given, once."""

    def __init__(self, target: Target, ended: Callable[[Exchange], None]) -> None:
        self.ended = ended
        self._target = target
        self._secure = _context(target) if target.secure else None
        self._peer: tuple[str, int] | None = None
        self._idle: dict[Connection, None] = {}
        """The last one freed is taken first, so that a server may close the others."""

        self._open: set[Connection] = set()
        self._connecting: set[asyncio.Task[None]] = set()
        self.made = 0
        self.most_open = 0
        self.exhausted: str | None = None
        """Why this machine had no file or port left for one more connection."""

    async def open(self, count: int) -> None:
        """Raises ServerUnreachableError where the first can't be had."""
        try:
            self.freed(await self._connect())
            more = [self._connect() for _ in range(count - 1)]
            self._idle.update(dict.fromkeys(await asyncio.gather(*more)))
        except OSError as error:
            await self.close()
            raise ServerUnreachableError(
                f"nobody answers at {self._target.where}: {_told(error)}",
                hint="check the address, or give a model ref to have it started",
            ) from None

    def send(self, exchange: Exchange) -> None:
        if self._idle:
            self._idle.popitem()[0].start(exchange)
        else:
            self._send_anew(exchange)

    def give_up(self, exchange: Exchange, kind: ErrorKind, message: str) -> None:
        if exchange.connection is not None:
            exchange.connection.give_up(kind, message)
        else:
            self._fail(exchange, kind, message)

    async def close(self) -> None:
        """Exchanges under way get no end."""
        for task in self._connecting:
            task.cancel()
        await asyncio.gather(*self._connecting, return_exceptions=True)
        for connection in list(self._open):
            connection.close()
        while self._open:  # their transports let go within the loop's next turns
            await asyncio.sleep(0)

    def freed(self, connection: Connection) -> None:
        self._idle[connection] = None

    def closed(self, connection: Connection) -> None:
        self._open.discard(connection)
        self._idle.pop(connection, None)

    def unanswered(self, exchange: Exchange) -> None:
        exchange.connection = None
        self._send_anew(exchange)

    def _send_anew(self, exchange: Exchange) -> None:
        task = asyncio.get_running_loop().create_task(self._connect_and_send(exchange))
        self._connecting.add(task)
        task.add_done_callback(self._connecting.discard)

    async def _connect_and_send(self, exchange: Exchange) -> None:
        try:
            connection = await self._connect()
        except OSError as error:
            if error.errno in _EXHAUSTED:
                self.exhausted = _told(error)
            if exchange.failure is None:
                self._fail(exchange, "connection", f"can't connect: {_told(error)}")
            return
        if exchange.failure is None:
            connection.start(exchange)
        else:  # given up meanwhile
            self.freed(connection)

    def _fail(self, exchange: Exchange, kind: ErrorKind, message: str) -> None:
        exchange.failure = (kind, message)
        exchange.ended_s = time.perf_counter()
        self.ended(exchange)

    async def _connect(self) -> Connection:
        """Raises OSError; a TimeoutError is one."""
        async with asyncio.timeout(self._target.connect_timeout_s):
            connection = await self._dial()
        self._open.add(connection)
        self.made += 1
        self.most_open = max(self.most_open, len(self._open))
        return connection

    async def _dial(self) -> Connection:
        loop = asyncio.get_running_loop()
        host, port = self._target.address
        if self._target.socket is not None:
            made = await loop.create_unix_connection(self._protocol, self._target.socket)
            return made[1]
        # The name is looked up once: a lookup by each connection would be part of what is measured.
        secure: dict[str, Any] = {"ssl": self._secure} if self._secure else {}
        secure |= {"server_hostname": host} if self._secure else {}
        there = self._peer or (host, port)
        transport, connection = await loop.create_connection(self._protocol, *there, **secure)
        self._peer = transport.get_extra_info("peername")[:2]
        return connection

    def _protocol(self) -> Connection:
        return Connection(self)


def _context(target: Target) -> ssl.SSLContext:
    import ssl

    return ssl.create_default_context(cafile=target.ca_file)


def _told(error: OSError) -> str:
    return error.strerror or str(error) or type(error).__name__
