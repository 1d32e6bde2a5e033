"""The fake engine with a clock of its own: when each request came and its first token went.

    python -m benchmarks.stamped_engine --port 0 --options '{"words": 16, "parallel": 512}'

`GET /stamps` gives both moments by the request's `user`, on this machine's monotonic clock, which
is the one that `time.perf_counter` shows in every process on Linux.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import re
import time

import uvloop

from pilotlight.testing.answer import Answer, whole
from pilotlight.testing.http import Connection
from pilotlight.testing.options import FakeOptions
from pilotlight.testing.service import Service

_USER = re.compile(rb'"user":"(\w+)"')
_TOKEN = re.compile(rb'"content":"[^"]')

STAMPS: dict[str, list[float]] = {}


class StampedConnection(Connection):
    """Stamps where the bytes cross the socket: as read, and just before they are written."""

    _waiting: list[float] | None = None
    _read_s = 0.0

    def data_received(self, data: bytes) -> None:
        self._read_s = time.perf_counter()
        super().data_received(data)

    def on_message_complete(self) -> None:
        if user := _USER.search(b"".join(self._body)):
            self._waiting = STAMPS[user[1].decode()] = [self._read_s]
        super().on_message_complete()

    async def write(self, data: bytes) -> None:
        if self._waiting is not None and _TOKEN.search(data):
            self._waiting.append(time.perf_counter())
            self._waiting = None
        await super().write(data)


class StampedService(Service):
    def answer(self, path: str, body: bytes | None) -> Answer:
        """Whoever asks gets the same answer, which the fake then remembers."""
        if path == "/stamps":
            return whole(STAMPS)
        return super().answer(path, None if body is None else _USER.sub(b'"user":""', body))


async def serve(port: int, options: FakeOptions) -> None:
    service = StampedService("fake", options, sleep=asyncio.sleep, crash=_crash)
    loop = asyncio.get_running_loop()
    server = await loop.create_server(
        lambda: StampedConnection(service, None, lambda gone: None), "127.0.0.1", port, backlog=4096
    )
    print(json.dumps({"port": server.sockets[0].getsockname()[1]}), flush=True)
    await server.serve_forever()


def _crash(words: str) -> None:
    raise SystemExit(words)


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.stamped_engine", description=__doc__
    )
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--options", type=json.loads, default={})
    given = parser.parse_args()
    uvloop.run(serve(given.port, FakeOptions.parse(given.options)))


if __name__ == "__main__":
    main()
