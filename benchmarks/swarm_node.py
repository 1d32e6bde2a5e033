"""One node of a swarm: serves what it has, fetches when told, and says how long that took.

    python -m benchmarks.swarm_node DIRECTORY ADDRESS URL SIZE_BYTES SHA256 [--tracker URL]

Prints ``ready``, waits for a line, fetches, prints the seconds; ends with its input.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import time
from pathlib import Path

from pilotlight.config import Settings
from pilotlight.core import ModelRef
from pilotlight.gateway.access import Access
from pilotlight.gateway.app import Gateway
from pilotlight.gateway.keys import KeyStore
from pilotlight.gateway.metrics import Metrics
from pilotlight.gateway.peers import PeerEndpoints
from pilotlight.gateway.serve import listen
from pilotlight.gateway.server import make_server
from pilotlight.store.fetch import fetch
from pilotlight.store.peers.company import Membership, Peers
from pilotlight.store.peers.holdings import Holdings
from pilotlight.store.peers.wire import Address
from pilotlight.store.progress import Reporter
from pilotlight.store.retry import Retry
from pilotlight.store.sources.base import Description

SECRET = "benchmark"
PORT = 8100


async def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.swarm_node", description=__doc__)
    parser.add_argument("directory", type=Path)
    parser.add_argument("address")
    parser.add_argument("url")
    parser.add_argument("size_bytes", type=int)
    parser.add_argument("sha256")
    parser.add_argument("--tracker")
    given = parser.parse_args()
    server = make_server(_gateway(given.directory), Settings())
    serving = asyncio.create_task(server.serve(sockets=[listen(given.address, PORT)]))
    peers = None
    if given.tracker:
        peers = Peers(Membership(secret=SECRET, tracker=given.tracker))
        peers.listens(Address(port=PORT))
    print("ready", flush=True)
    await _line()
    print(await _fetch(given, peers), flush=True)
    await _line()
    if peers is not None:
        await peers.close()
    server.cut()
    await serving


def _gateway(directory: Path) -> Gateway:
    now = asyncio.get_running_loop().time
    endpoints = PeerEndpoints(SECRET, Holdings([directory]), now, send_timeout_s=60.0)
    access = Access(KeyStore(directory / "keys.json"), "127.0.0.1", (), ())
    return Gateway(endpoints.routes(), access, Metrics())


async def _fetch(given: argparse.Namespace, peers: Peers | None) -> float:
    partial = given.directory / "models" / "https-model-0" / "model.gguf.partial"
    partial.parent.mkdir(parents=True)
    described = Description(given.url, "model.gguf", given.size_bytes, given.sha256)
    reporter = Reporter(ModelRef.parse(given.url), None)
    began_s = time.monotonic()
    await fetch(described, partial, retry=Retry(), reporter=reporter, peers=peers)
    return time.monotonic() - began_s


async def _line() -> None:
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.readline)


if __name__ == "__main__":
    asyncio.run(main())
