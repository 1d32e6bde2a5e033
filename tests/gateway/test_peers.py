"""Chunks for other nodes, and the tracker, over the gateway's edge."""

from __future__ import annotations

import asyncio
import hashlib
import json
import logging
from collections.abc import Mapping
from pathlib import Path

import pytest

from pilotlight.gateway.access import Access
from pilotlight.gateway.app import Gateway
from pilotlight.gateway.keys import KeyStore
from pilotlight.gateway.metrics import Metrics
from pilotlight.gateway.peers import UPLOADS, PeerEndpoints
from pilotlight.store.blobs import Blobs
from pilotlight.store.chunks import ChunkList, span
from pilotlight.store.journal import Journal, Mark, Origin, journal_of
from pilotlight.store.peers.bitmap import bitmap
from pilotlight.store.peers.holdings import Holdings
from pilotlight.store.peers.tracker import SILENT_S, Announcement
from pilotlight.store.peers.wire import (
    ANNOUNCE,
    BLOBS,
    Address,
    read_answer,
    read_listing,
    write_announcement,
)
from pilotlight.store.publication import Arrived, store

from .asgi import Client, turn

SECRET = "open sesame"
CHUNK_BYTES = 1000
BODY = bytes(number % 251 for number in range(4500))
SHA256 = hashlib.sha256(BODY).hexdigest()
BLOB = f"{BLOBS}/{SHA256}"


class Node:
    """One node's endpoints over a store directory, and a clock that stands."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.now = 0.0
        endpoints = PeerEndpoints(
            SECRET, Holdings([directory]), lambda: self.now, send_timeout_s=5.0
        )
        keys = KeyStore(directory / "keys.json")
        keys.create("somebody", "user")
        access = Access(keys, "0.0.0.0", (), ())
        gateway = Gateway(endpoints.routes(), access, Metrics())
        self.client = Client(gateway, {"authorization": f"Bearer {SECRET}"})

    def add_blob(self) -> Path:
        blobs = Blobs(self.directory / "blobs")
        partial = self.directory / "arriving"
        partial.write_bytes(BODY)
        chunks = ChunkList(size_bytes=len(BODY), chunk_bytes=CHUNK_BYTES, sha256=tuple(hashes()))
        with blobs.locked():
            list(store(blobs, Arrived("file", SHA256, partial, chunks)))
        return blobs.path(SHA256)

    def add_partial(self, chunks: Mapping[int, bytes], *, hashed: bool = True) -> Path:
        """One in which these chunks have arrived, under the marks of the right bytes."""
        partial = self.directory / "models" / "https-file-0" / "file.partial"
        partial.parent.mkdir(parents=True)
        with partial.open("wb") as file:
            file.truncate(len(BODY))
            for chunk, content in chunks.items():
                file.seek(chunk * CHUNK_BYTES)
                file.write(content)
        origin = Origin(SHA256, hashed=hashed, size_bytes=len(BODY), chunk_bytes=CHUNK_BYTES)
        marks = {chunk: Mark(len(chunks[chunk]), hashes()[chunk]) for chunk in chunks}
        Journal(journal_of(partial), origin, marks).close()
        return partial


def part(chunk: int) -> bytes:
    start, end = span(chunk, len(BODY), CHUNK_BYTES)
    return BODY[start:end]


def hashes() -> list[bytes]:
    return [hashlib.sha256(part(chunk)).digest() for chunk in range(5)]


@pytest.fixture
def node(tmp_path: Path) -> Node:
    return Node(tmp_path)


def ranged(first: int, last: int) -> dict[str, str]:
    return {"range": f"bytes={first}-{last}"}


async def test_a_range_of_a_whole_file(node: Node) -> None:
    node.add_blob()
    answer = await node.client.get(BLOB, ranged(990, 2009))
    assert (answer.status, answer.body) == (206, BODY[990:2010])
    assert answer.headers["content-range"] == f"bytes 990-2009/{len(BODY)}"
    assert answer.headers["content-length"] == "1020"


async def test_a_whole_file_and_its_end(node: Node) -> None:
    node.add_blob()
    assert (await node.client.get(BLOB)).body == BODY
    tail = await node.client.get(BLOB, {"range": "bytes=4400-"})
    assert (tail.status, tail.body) == (206, BODY[4400:])
    beyond = await node.client.get(BLOB, ranged(4400, 9999))
    assert beyond.headers["content-range"] == f"bytes 4400-4499/{len(BODY)}"


async def test_the_chunks_of_a_whole_file(node: Node) -> None:
    node.add_blob()
    listing = read_listing((await node.client.get(f"{BLOB}/chunks")).body)
    assert (listing.size_bytes, listing.chunk_bytes) == (len(BODY), CHUNK_BYTES)
    assert listing.sha256 == dict(enumerate(hashes()))


async def test_of_an_arriving_file_only_whole_chunks(node: Node) -> None:
    node.add_partial({0: part(0), 2: part(2)[:500], 4: part(4)})
    listing = read_listing((await node.client.get(f"{BLOB}/chunks")).body)
    assert listing.sha256 == {0: hashes()[0], 4: hashes()[4]}
    assert (await node.client.get(BLOB, ranged(4000, 4499))).body == part(4)
    assert (await node.client.get(BLOB, ranged(300, 999))).body == BODY[300:1000]
    for first, last in ((2000, 2499), (0, 1000), (999, 1000), (0, 4499)):
        refused = await node.client.get(BLOB, ranged(first, last))
        assert (refused.status, refused.body) == (416, b"")
        assert refused.headers["content-range"] == f"bytes */{len(BODY)}"


async def test_what_a_power_cut_made_of_a_chunk_is_not_sent(node: Node) -> None:
    node.add_partial({0: part(0), 1: bytes(1000)})
    assert (await node.client.get(BLOB, ranged(0, 999))).status == 206
    assert (await node.client.get(BLOB, ranged(1000, 1999))).status == 416


async def test_a_file_that_is_just_becoming_a_blob_is_asked_for_again(node: Node) -> None:
    node.add_partial({0: part(0)}).unlink()
    answer = await node.client.get(BLOB, ranged(0, 999))
    assert (answer.status, answer.headers["retry-after"]) == (503, "1")


async def test_a_file_of_unpromised_hash_is_nobodys(node: Node) -> None:
    node.add_partial({0: part(0)}, hashed=False)
    assert (await node.client.get(f"{BLOB}/chunks")).status == 404


async def test_a_blob_that_somebody_changed_is_not_sent(node: Node) -> None:
    path = node.add_blob()
    path.chmod(0o644)
    path.write_bytes(BODY[:-1] + b"!")
    assert (await node.client.get(BLOB, ranged(0, 99))).status == 404


@pytest.mark.parametrize(
    "given", ["bytes=-5", "bytes=5-4", "bytes=4500-4600", "bytes=0-1,3-4", "x"]
)
async def test_ranges_that_there_are_none_of(node: Node, given: str) -> None:
    node.add_blob()
    assert (await node.client.get(BLOB, {"range": given})).status == 416


@pytest.mark.parametrize(
    "path", [BLOBS + "/", f"{BLOBS}/{'0' * 64}", f"{BLOBS}/..%2Fkeys.json", f"{BLOB}/x"]
)
async def test_what_is_not_here(node: Node, path: str) -> None:
    node.add_blob()
    assert (await node.client.get(path)).status == 404


@pytest.mark.parametrize("path", [BLOB, f"{BLOB}/chunks", ANNOUNCE])
async def test_nothing_without_the_secret(node: Node, path: str) -> None:
    """Not for an API key either: that is a user's, and this is for nodes."""
    node.add_blob()
    method = "POST" if path == ANNOUNCE else "GET"
    _, key = KeyStore(node.directory / "more.json").create("user", "user")
    for shown in (f"Bearer {key}", "Bearer ", "", f"Bearer {SECRET}x"):
        call = node.client.begin(method, path, None, {"authorization": shown})
        assert (await call.done()).status == 401
        assert SECRET.encode() not in call.body


async def test_uploads_are_bounded_and_freed_by_a_client_that_leaves(node: Node) -> None:
    node.add_blob()
    stuck, sending = [], []
    never = asyncio.Event()

    async def block(message: object) -> None:
        sending.append(message)
        await never.wait()

    for _ in range(UPLOADS):
        call = node.client.begin("GET", BLOB, None, ranged(0, 99))
        call.block(block)
        stuck.append(call)
    async with asyncio.timeout(10):
        while len(sending) < UPLOADS:
            await turn()
    busy = await node.client.get(BLOB, ranged(0, 99))
    assert (busy.status, busy.headers["retry-after"]) == (503, "1")
    stuck.pop().leave()
    async with asyncio.timeout(10):
        while (await node.client.get(BLOB, ranged(0, 99))).status != 206:
            await turn()
    for call in stuck:
        call.leave()
        await call.done()


def announcement(name: str, have: int = 0) -> Announcement:
    return Announcement(
        node=name,
        url=None,
        sha256=SHA256,
        size_bytes=len(BODY),
        chunk_bytes=CHUNK_BYTES,
        have=have,
        wants=True,
    )


async def test_a_tracker_introduces_nodes_at_the_address_it_sees(node: Node) -> None:
    first, second = announcement("a", bitmap([0, 3])), announcement("b")
    await node.client.begin("POST", ANNOUNCE, write_announcement(first, Address(port=81))).done()
    answered = await node.client.begin("POST", ANNOUNCE, write_announcement(second, None)).done()
    answer = read_answer(answered.body, second)
    [neighbour] = answer.neighbours
    assert (neighbour.url, neighbour.have) == ("http://127.0.0.1:81", bitmap([0, 3]))
    assert not answer.origin & bitmap([0, 3])
    node.now += SILENT_S + 1
    answered = await node.client.begin("POST", ANNOUNCE, write_announcement(second, None)).done()
    assert read_answer(answered.body, second).neighbours == ()


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("sha256", "../../etc/passwd"),
        ("size_bytes", 0),
        ("size_bytes", 2**62),
        ("chunk_bytes", -1),
        ("have", "//8="),
        ("have", "!"),
        ("address", {"url": "file:///etc/passwd"}),
        ("surprise", 1),
    ],
)
async def test_what_is_no_announcement_is_refused(node: Node, field: str, value: object) -> None:
    tree = json.loads(write_announcement(announcement("a"), None)) | {field: value}
    answer = await node.client.post(ANNOUNCE, tree)
    assert answer.status == 400
    assert answer.json["error"]["message"]


async def test_what_nodes_ask_many_times_a_second_is_no_news(
    node: Node, caplog: pytest.LogCaptureFixture
) -> None:
    node.add_blob()
    with caplog.at_level(logging.INFO):
        await node.client.get(BLOB, ranged(0, 99))
        assert not caplog.records
        await node.client.get(BLOB, {**ranged(0, 99), "authorization": "Bearer wrong"})
        assert [record.getMessage() for record in caplog.records] == [f"GET {BLOB} 401"]
