"""The fake engine as a real program: ``python -m pilotlight.testing.server``.

With ``--socket`` it is an engine process as a fleet launches it: it parks, takes
orders as JSON lines on stdin, reports on descriptor 3 and serves on a Unix
socket while a model is loaded. With ``--port`` it serves one model on loopback
at once: an upstream for benchmarks.
"""

from __future__ import annotations

import argparse
import asyncio
import ctypes
import json
import mmap
import os
import signal
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NoReturn

import uvloop

from pilotlight.errors import EngineOptionError
from pilotlight.testing.engine import SECRET_VARIABLE
from pilotlight.testing.http import Connection
from pilotlight.testing.options import FakeOptions
from pilotlight.testing.service import Service

CHANNEL_FD = 3
_PR_SET_PDEATHSIG = 1


class Model:
    """A loaded model: its memory, really taken, and its connections."""

    def __init__(
        self,
        name: str,
        options: FakeOptions,
        secret: str | None,
        adapters: Iterable[str] = (),
    ) -> None:
        self._service = Service(name, options, sleep=asyncio.sleep, crash=_crash, adapters=adapters)
        self._secret = secret
        self._connections: set[Connection] = set()
        self._server: asyncio.Server | None = None
        taken = options.measured_ram_bytes
        self._memory = _take_memory(options.ram_bytes if taken is None else taken)

    async def listen_on_socket(self, path: Path) -> None:
        path.unlink(missing_ok=True)  # a process that was killed leaves its own behind
        loop = asyncio.get_running_loop()
        self._server = await loop.create_unix_server(self._connect, str(path))

    async def listen_on_port(self, port: int) -> int:
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(self._connect, "127.0.0.1", port)
        return int(self._server.sockets[0].getsockname()[1])

    def _connect(self) -> Connection:
        connection = Connection(self._service, self._secret, self._connections.discard)
        self._connections.add(connection)
        return connection

    def close(self) -> None:
        if self._server is not None:
            self._server.close()
        for connection in list(self._connections):
            connection.abort()
        if self._memory is not None:
            self._memory.close()


def _take_memory(size_bytes: int) -> mmap.mmap | None:
    """Resident at once and given back whole at `close`, which the heap doesn't promise."""
    if size_bytes == 0:
        return None
    flags = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | mmap.MAP_POPULATE
    return mmap.mmap(-1, size_bytes, flags=flags)


def _crash(words: str) -> NoReturn:
    print(words, file=sys.stderr, flush=True)
    os._exit(1)


class Channel:
    """Orders in, events out; the end of stdin is the end of the process, even while loading."""

    def __init__(self, socket: Path, secret: str) -> None:
        self._socket = socket
        self._secret = secret
        self._model: Model | None = None
        self._options = FakeOptions()

    async def run(self) -> None:
        _die_with_parent()
        orders = await _stdin()
        self._say(event="parked")
        work: set[asyncio.Task[None]] = set()
        while line := await orders.readline():
            order = json.loads(line)
            handle = {"load": self._load, "unload": self._unload}[order["op"]]
            task = asyncio.create_task(handle(order))
            work.add(task)
            task.add_done_callback(work.discard)
        os._exit(0)

    async def _load(self, order: Mapping[str, Any]) -> None:
        params = order["params"]
        options = FakeOptions.parse(params["options"])
        for _ in range(options.load_steps):
            await asyncio.sleep(options.load_delay_ms / 1000)
        if options.fail_load is not None:
            print(options.fail_load, file=sys.stderr, flush=True)
            self._say(event="failed", error=options.fail_load)
            return
        self._options = options
        adapters = params.get("adapters", ())
        self._model = Model(params["model"], options, self._secret, adapters)
        await self._model.listen_on_socket(self._socket)
        self._say(event="ready")

    async def _unload(self, order: Mapping[str, Any]) -> None:
        if not self._options.sleep:
            self._say(event="failed", error="this model does not sleep")
            return
        if self._model is not None:
            self._model.close()
            self._model = None
        self._say(event="parked")

    def _say(self, **event: str) -> None:
        os.write(CHANNEL_FD, json.dumps(event).encode() + b"\n")


async def _stdin() -> asyncio.StreamReader:
    reader = asyncio.StreamReader()
    loop = asyncio.get_running_loop()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    return reader


def _die_with_parent() -> None:
    """A second belt beside the end of stdin: another child may hold that pipe open."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


async def _serve_port(port: int, name: str, options: FakeOptions) -> None:
    model = Model(name, options, os.environ.get(SECRET_VARIABLE))
    listening = await model.listen_on_port(port)
    print(json.dumps({"event": "listening", "port": listening}), flush=True)
    await asyncio.get_running_loop().create_future()


def _options(text: str) -> FakeOptions:
    try:
        return FakeOptions.parse(json.loads(text))
    except EngineOptionError as error:
        raise argparse.ArgumentTypeError(error.one_line()) from None


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m pilotlight.testing.server", description=__doc__
    )
    where = parser.add_mutually_exclusive_group(required=True)
    where.add_argument("--socket", type=Path, help="serve here what the channel on stdin loads")
    where.add_argument("--port", type=int, help="serve at once on this port; 0 picks one")
    parser.add_argument("--model", default="fake", help="served name, with --port")
    parser.add_argument("--options", type=_options, default=FakeOptions(), help="JSON, with --port")
    given = parser.parse_args()
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    if given.socket is not None:
        uvloop.run(Channel(given.socket, os.environ[SECRET_VARIABLE]).run())
    else:
        uvloop.run(_serve_port(given.port, given.model, given.options))


if __name__ == "__main__":
    main()
