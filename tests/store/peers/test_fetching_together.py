"""Whole fetches, each in a store of its own, that help each other over real sockets."""

from __future__ import annotations

import asyncio
import hashlib
import os
from collections.abc import AsyncIterator, Iterable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import pytest
from aiohttp import web
from village import SECRET, Node, node

from pilotlight.core import ModelRef
from pilotlight.store.chunks import CHUNK_BYTES, span
from pilotlight.store.fetch import Fetched, fetch
from pilotlight.store.journal import Journal, Mark, Origin, journal_of, read_journal
from pilotlight.store.peers.company import Membership, Peers
from pilotlight.store.peers.neighbours import LANES
from pilotlight.store.peers.wire import Address, ChunkHashes, write_listing
from pilotlight.store.progress import Reporter
from pilotlight.store.retry import Retry
from pilotlight.store.sources.base import Description

COUNT = 5
BODY = os.urandom(2**20) * 8 * (COUNT - 1) + b"the end"
SHA256 = hashlib.sha256(BODY).hexdigest()
PATIENCE_S = 60.0


def part(chunk: int) -> bytes:
    start, end = span(chunk, len(BODY))
    return BODY[start:end]


HASHES = {chunk: hashlib.sha256(part(chunk)).digest() for chunk in range(COUNT)}


class Source:
    """The origin; counts what it sends, and sends nothing of `held` while that is set."""

    def __init__(self) -> None:
        self.url = ""
        self.sent: list[int] = []
        self.open = asyncio.Event()
        self.open.set()

    async def handle(self, request: web.Request) -> web.StreamResponse:
        await self.open.wait()
        first, _, last = request.headers["Range"].removeprefix("bytes=").partition("-")
        start, end = int(first), int(last) + 1
        response = web.StreamResponse(status=206)
        response.headers["Content-Range"] = f"bytes {start}-{end - 1}/{len(BODY)}"
        response.content_length = end - start
        await response.prepare(request)
        for at in range(start, end, 2**20):
            await response.write(BODY[at : min(end, at + 2**20)])
            self.sent.append(min(end, at + 2**20) - at)
        return response


@asynccontextmanager
async def serving(handler: object) -> AsyncIterator[str]:
    app = web.Application()
    app.router.add_get("/{path:.*}", handler)  # type: ignore[arg-type]
    runner = web.AppRunner(app, handler_cancellation=True, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield "http://{}:{}".format(*runner.addresses[0][:2])
    finally:
        await runner.cleanup()


@pytest.fixture
async def source() -> AsyncIterator[Source]:
    made = Source()
    async with serving(made.handle) as url:
        made.url = url
        yield made


class Fetcher:
    """A node and its fetch of the file."""

    def __init__(self, at: Node, source: Source, peers: Peers) -> None:
        self.node, self.peers = at, peers
        self.partial = at.directory / "models" / "https-file-0" / "file.partial"
        self.partial.parent.mkdir(parents=True, exist_ok=True)
        self._described = Description(f"{source.url}/file", "file", len(BODY), SHA256)

    async def fetch(self) -> Fetched:
        fetched = await fetch(
            self._described,
            self.partial,
            retry=Retry(),
            reporter=Reporter(ModelRef.parse("https://host/file"), None),
            peers=self.peers,
        )
        assert fetched.sha256 == SHA256
        assert self.partial.read_bytes() == BODY
        return fetched


@asynccontextmanager
async def fetchers(
    directory: Path, source: Source, count: int, *, tracker: Node | None, peers: Iterable[str] = ()
) -> AsyncIterator[list[Fetcher]]:
    async with AsyncExitStack() as stack:
        made = []
        for number in range(count):
            at = await stack.enter_async_context(node(directory / str(number)))
            company = Peers(
                Membership(
                    secret=SECRET,
                    tracker=tracker.url if tracker else None,
                    peers=tuple(peers),
                )
            )
            company.listens(Address(url=at.url))
            stack.push_async_callback(company.close)
            made.append(Fetcher(at, source, company))
        yield made


@pytest.fixture
async def tracker(tmp_path: Path) -> AsyncIterator[Node]:
    async with node(tmp_path / "tracker") as running:
        yield running


async def test_three_nodes_take_the_file_from_the_origin_about_once(
    tmp_path: Path, source: Source, tracker: Node
) -> None:
    async with asyncio.timeout(PATIENCE_S), fetchers(tmp_path, source, 3, tracker=tracker) as all3:
        await asyncio.gather(*(one.fetch() for one in all3))
    # Whoever is first may have begun a chunk or two before the others were known.
    assert sum(source.sent) <= len(BODY) + 2 * CHUNK_BYTES


async def test_a_second_node_takes_nothing_from_the_origin(
    tmp_path: Path, source: Source, tracker: Node
) -> None:
    async with (
        asyncio.timeout(PATIENCE_S),
        fetchers(tmp_path, source, 2, tracker=tracker) as (first, second),
    ):
        await first.fetch()
        source.sent.clear()
        await second.fetch()
    assert not source.sent


async def test_a_node_that_dies_takes_nothing_with_it(
    tmp_path: Path, source: Source, tracker: Node
) -> None:
    async with asyncio.timeout(PATIENCE_S), AsyncExitStack() as stack:
        lasting = await stack.enter_async_context(fetchers(tmp_path, source, 2, tracker=tracker))
        async with fetchers(tmp_path / "dying", source, 1, tracker=tracker) as [dying]:
            dies = asyncio.create_task(dying.fetch())
            runs = [asyncio.create_task(one.fetch()) for one in lasting]
            while not any(source.sent):
                await asyncio.sleep(0)
            dies.cancel()
            await asyncio.gather(dies, return_exceptions=True)
        await asyncio.gather(*runs)


async def test_without_a_tracker_a_configured_peer_gives_what_it_has(
    tmp_path: Path, source: Source
) -> None:
    async with asyncio.timeout(PATIENCE_S), node(tmp_path / "peer") as peer:
        arrived(peer.directory, range(COUNT))
        source.open.clear()  # so that only the peer can have sent it
        company = fetchers(tmp_path, source, 1, tracker=None, peers=[peer.url])
        async with company as [one]:
            fetching = asyncio.create_task(one.fetch())
            while arrived_chunks(one.partial) < COUNT - 1:
                await asyncio.sleep(0)
            source.open.set()
            await fetching


def arrived_chunks(partial: Path) -> int:
    """How many chunks the journal at a partial file counts as whole."""
    found = read_journal(journal_of(partial))
    marks = found[1] if found else {}
    return sum(mark.filled_bytes == len(part(chunk)) for chunk, mark in marks.items())


async def test_a_peer_that_sends_other_bytes_than_it_says_is_dropped(
    tmp_path: Path, source: Source
) -> None:
    asked = []

    async def lie(request: web.Request) -> web.Response:
        if request.path.endswith("/chunks"):
            listing = ChunkHashes(len(BODY), CHUNK_BYTES, HASHES)
            return web.Response(body=write_listing(listing))
        asked.append(request.headers["Range"])
        start, end = map(int, request.headers["Range"].removeprefix("bytes=").split("-"))
        headers = {"Content-Range": f"bytes {start}-{end}/{len(BODY)}"}
        return web.Response(status=206, headers=headers, body=bytes(end + 1 - start))

    async with asyncio.timeout(PATIENCE_S), serving(lie) as liar:
        source.open.clear()
        async with fetchers(tmp_path, source, 1, tracker=None, peers=[liar]) as [one]:
            fetching = asyncio.create_task(one.fetch())
            while not asked:
                await asyncio.sleep(0)
            source.open.set()
            await fetching
    assert len(asked) <= LANES, "it was asked again after its first wrong chunk"


async def test_wrong_bytes_under_a_hash_of_their_own_cost_only_themselves(
    tmp_path: Path, source: Source
) -> None:
    """Only the whole file's hash tells; then the origin sends what came from peers."""
    async with asyncio.timeout(PATIENCE_S), node(tmp_path / "peer") as peer:
        arrived(peer.directory, [2], wrong=True)
        async with fetchers(tmp_path, source, 1, tracker=None, peers=[peer.url]) as [one]:
            source.open.clear()
            fetching = asyncio.create_task(one.fetch())
            while not arrived_chunks(one.partial):
                await asyncio.sleep(0)
            source.open.set()
            await fetching
    assert sum(source.sent) <= len(BODY) + CHUNK_BYTES


def arrived(directory: Path, chunks: Iterable[int], *, wrong: bool = False) -> None:
    """A partial file in which these chunks are, or others under their own hashes."""
    partial = directory / "models" / "https-file-0" / "file.partial"
    partial.parent.mkdir(parents=True)
    content = bytearray(len(BODY)) if wrong else BODY
    partial.write_bytes(content)
    marks = {}
    for chunk in chunks:
        start, end = span(chunk, len(BODY))
        marks[chunk] = Mark(end - start, hashlib.sha256(content[start:end]).digest())
    Journal(journal_of(partial), Origin(SHA256, True, None, len(BODY)), marks).close()
