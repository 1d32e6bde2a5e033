"""A file from its origin and from peers at once: real servers, some of which lie or leave."""

from __future__ import annotations

import asyncio
import hashlib
import random
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from fault_origin import Answer, FaultOrigin, fault_origin

from pilotlight.core import ModelRef
from pilotlight.store.chunks import CHUNK_BYTES, ChunkList
from pilotlight.store.client import Client
from pilotlight.store.download import Download
from pilotlight.store.fetch import fetch
from pilotlight.store.network import Network
from pilotlight.store.progress import Reporter
from pilotlight.store.retry import Retry
from pilotlight.store.sources.base import Description
from pilotlight.store.trail import Trail

BODY = random.Random(8).randbytes(12 * CHUNK_BYTES - 5)
SHA256 = hashlib.sha256(BODY).hexdigest()
ALL = frozenset(range(12))


def hashes(body: bytes) -> ChunkList:
    parts = [body[start : start + CHUNK_BYTES] for start in range(0, len(body), CHUNK_BYTES)]
    sha256 = tuple(hashlib.sha256(part).digest() for part in parts)
    return ChunkList(size_bytes=len(body), sha256=sha256)


@dataclass
class Offers:
    """These peers with these chunks, from the beginning."""

    peers: Mapping[FaultOrigin, frozenset[int]]
    leased: frozenset[int] | None = None
    promised: ChunkList = field(default_factory=lambda: hashes(BODY))

    async def follow(self, download: Download) -> None:
        async with Client(Network()) as client:
            download.lease(self.leased)
            for peer, chunks in self.peers.items():
                described = Description(peer.url, "peer", size_bytes=len(BODY))
                number = download.offer(Trail(client, described), frozenset(), lanes=2)
                download.promise(number, dict(enumerate(self.promised.sha256)))
                download.update(number, chunks, lanes=2)
            await asyncio.Event().wait()


async def get(
    origin: FaultOrigin, target: Path, offers: Offers, size_bytes: int | None = len(BODY)
) -> None:
    described = Description(origin.url, "model", size_bytes=size_bytes, sha256=SHA256)
    reporter = Reporter(ModelRef("https", "//there"), None)
    fetched = await fetch(described, target, retry=Retry(), reporter=reporter, peers=offers)
    assert fetched.sha256 == SHA256
    assert fetched.chunks == hashes(BODY)
    assert target.read_bytes() == BODY


async def test_what_peers_have_the_origin_need_not_send(tmp_path: Path) -> None:
    async with fault_origin(BODY) as origin, fault_origin(BODY) as one, fault_origin(BODY) as two:
        await get(origin, tmp_path / "p", Offers({one: ALL, two: ALL}, leased=frozenset({0, 3})))
        assert origin.sent_bytes + one.sent_bytes + two.sent_bytes < 1.2 * len(BODY)
        assert origin.sent_bytes < 4 * CHUNK_BYTES
        assert one.sent_bytes > 0
        assert two.sent_bytes > 0


async def test_without_a_lease_all_comes_from_peers(tmp_path: Path) -> None:
    halves = (frozenset(range(7)), frozenset(range(5, 12)))
    async with fault_origin(BODY) as origin, fault_origin(BODY) as one, fault_origin(BODY) as two:
        await get(
            origin, tmp_path / "p", Offers(dict(zip((one, two), halves, strict=True)), frozenset())
        )
        assert not origin.asked
        assert not any(asked.start >= 7 * CHUNK_BYTES for asked in one.asked)


async def test_a_size_that_nobody_said_is_asked_for(tmp_path: Path) -> None:
    async with fault_origin(BODY) as origin, fault_origin(BODY) as peer:
        offers = Offers({peer: ALL}, leased=frozenset())
        await get(origin, tmp_path / "p", offers, size_bytes=None)
        assert origin.sent_bytes == 1


@pytest.mark.parametrize(
    "answer",
    [
        Answer(status=404),
        Answer(status=503),
        Answer(cut_after=100_000),
        Answer(ranges=False),
        Answer(content_range=f"bytes 0-9/{len(BODY)}"),
    ],
)
async def test_a_peer_that_fails_costs_nothing_but_its_chunks(
    tmp_path: Path, answer: Answer
) -> None:
    async with fault_origin(BODY) as origin, fault_origin(BODY, lambda asked: answer) as peer:
        await get(origin, tmp_path / "p", Offers({peer: ALL}))


async def test_wrong_bytes_from_a_peer_never_get_in(tmp_path: Path) -> None:
    wrong = bytes(byte ^ 1 for byte in BODY[:1000]) + BODY[1000:]
    async with fault_origin(BODY) as origin, fault_origin(bytes(len(BODY))) as peer:
        await get(origin, tmp_path / "p", Offers({peer: ALL}))
        assert 0 < len(peer.asked) <= 2, "not asked again"
    async with fault_origin(BODY) as origin, fault_origin(wrong) as peer:
        await get(origin, tmp_path / "q", Offers({peer: ALL}))


async def test_a_peer_that_lies_in_its_hashes_too_is_found_out_at_the_end(tmp_path: Path) -> None:
    other = random.Random(9).randbytes(len(BODY))
    async with fault_origin(BODY) as origin, fault_origin(other) as peer:
        await get(origin, tmp_path / "p", Offers({peer: ALL}, promised=hashes(other)))
        assert peer.sent_bytes > 0


async def test_a_peer_that_vanishes_half_way_is_made_up_for(tmp_path: Path) -> None:
    async with fault_origin(BODY) as origin, fault_origin(BODY) as peer:

        def vanish(sent_bytes: int) -> None:
            if sent_bytes > 12 * 2**20:
                peer.behave = lambda asked: Answer(cut_after=0)
                peer.hang_up()

        peer.on_sent = vanish
        await get(origin, tmp_path / "p", Offers({peer: ALL}))


async def test_peers_that_cannot_be_followed_are_done_without(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    class Broken:
        async def follow(self, download: Download) -> None:
            raise ConnectionError("no tracker")

    async with fault_origin(BODY) as origin:
        described = Description(origin.url, "model", size_bytes=len(BODY), sha256=SHA256)
        reporter = Reporter(ModelRef("https", "//there"), None)
        target = tmp_path / "p"
        await fetch(described, target, retry=Retry(), reporter=reporter, peers=Broken())
    assert "no tracker" in caplog.text
