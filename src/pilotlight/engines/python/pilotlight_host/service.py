"""One process: parked, loaded and serving, parked again."""

from __future__ import annotations

import asyncio
import ctypes
import gc
import os
import signal
import sys
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from .answers import answer
from .channel import Channel, die_with_parent
from .connection import Connection, Request
from .model import Model
from .refusal import LoadError, Refusal, log, words


class Service:
    """Holds at most one model, and listens only while it does."""

    def __init__(self, channel: Channel, socket: str, secret: str) -> None:
        self._channel = channel
        self._socket = socket
        self._secret = secret
        self._model: Model | None = None
        self._listener: asyncio.AbstractServer | None = None
        self._connections: set[Connection] = set()

    async def run(self) -> None:
        die_with_parent()
        self._channel.say(event="parked")
        acts = {"load": self._load, "unload": self._unload}
        work: set[asyncio.Task[None]] = set()
        async for order in self._channel.orders():
            # Apart, so that the end of stdin is seen during a load too.
            task = asyncio.create_task(acts[order["op"]](order))
            work.add(task)
            task.add_done_callback(work.discard)
        os._exit(0)

    async def _load(self, order: Mapping[str, Any]) -> None:
        try:
            self._model = await Model.load(order)
            await self._listen()
        except LoadError as error:
            self._channel.say(event="failed", error=str(error), hint=error.hint)
        except (Exception, asyncio.CancelledError) as error:  # an order must have an answer
            log(error)
            self._channel.say(event="failed", error=words(error), hint=None)
        else:
            self._channel.say(event="ready")

    async def _listen(self) -> None:
        loop = asyncio.get_running_loop()
        self._listener = await loop.create_unix_server(self._connect, self._socket)
        loop.add_signal_handler(signal.SIGTERM, self._end)

    def _connect(self) -> Connection:
        connection = Connection(self._answer, self._secret, self._connections.discard)
        self._connections.add(connection)
        return connection

    async def _answer(self, request: Request, connection: Connection) -> None:
        assert self._model is not None
        try:
            await answer(self._model, request, connection)
        except (Refusal, asyncio.CancelledError):
            raise
        except Exception as error:  # a request's edge: our own fault, and no other's end
            log(error)
            raise Refusal(500, f"the host failed: {error!r}") from error

    async def _unload(self, order: Mapping[str, Any]) -> None:
        try:
            await self._close()
        except (Exception, asyncio.CancelledError) as error:
            log(error)
            os._exit(1)  # a process that can't let go of its model is no standby
        self._channel.say(event="parked")

    async def _close(self) -> None:
        model, self._model = self._model, None
        if self._listener is not None:
            self._listener.close()
            self._listener = None
            with suppress(FileNotFoundError):  # from Python 3.13 on it went with the listener
                os.unlink(self._socket)
        for connection in list(self._connections):
            connection.abort()
        if model is not None:
            await model.unload()
        del model
        gc.collect()
        _give_back_memory()

    def _end(self) -> None:
        """SIGTERM, once there is something to tear down; before, it ends the process at once."""
        asyncio.ensure_future(self._close()).add_done_callback(lambda _: os._exit(0))


def _give_back_memory() -> None:
    """glibc keeps freed memory for later; a sleeper has no later to keep it for."""
    if sys.platform == "linux":
        trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
        if trim is not None:
            trim(0)


def main() -> None:
    service = Service(Channel(), os.environ.pop("ENGINE_SOCKET"), os.environ.pop("ENGINE_SECRET"))
    asyncio.run(service.run())
