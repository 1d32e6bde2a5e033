"""What a transfer is told while other nodes help it, over real sockets."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import pytest
import trustme
from village import CHUNK_BYTES, COUNT, SECRET, Node, Note, hash_of, node

from pilotlight.store.network import Network
from pilotlight.store.peers import client, company
from pilotlight.store.peers.bitmap import bitmap
from pilotlight.store.peers.client import PeerClient
from pilotlight.store.peers.company import Membership, Peers
from pilotlight.store.peers.tracker import Announcement
from pilotlight.store.peers.wire import BLOBS, Address

ALL = frozenset(range(COUNT))


def blob(at: Node, transfer: Note) -> str:
    return f"{at.url}{BLOBS}/{transfer.sha256}"


@asynccontextmanager
async def helped(peers: Peers, transfer: Note) -> AsyncIterator[None]:
    keeping = asyncio.create_task(peers.keep(transfer))
    await asyncio.sleep(0)
    try:
        yield
    finally:
        keeping.cancel()
        await asyncio.gather(keeping, return_exceptions=True)
        await peers.close()


@pytest.fixture
async def tracker(tmp_path: Path) -> AsyncIterator[Node]:
    async with node(tmp_path / "tracker") as running:
        yield running


@pytest.fixture
async def other(tmp_path: Path) -> AsyncIterator[Node]:
    async with node(tmp_path / "other") as running:
        yield running


def member(tracker: Node | None = None, *peers: Node, secret: str = SECRET) -> Peers:
    return Peers(
        Membership(
            secret=secret,
            tracker=tracker.url if tracker else None,
            peers=tuple(peer.url for peer in peers),
        )
    )


async def announce(tracker: Node, at: Node | None, have: set[int], *, wants: bool = False) -> None:
    """As another process would that serves at `at`."""
    note = Note()
    said = Announcement(
        node="other",
        url=None,
        sha256=note.sha256,
        size_bytes=note.size_bytes,
        chunk_bytes=CHUNK_BYTES,
        have=bitmap(have),
        wants=wants,
    )
    async with PeerClient(Network(), SECRET) as speaking:
        await speaking.announce(tracker.url, said, Address(url=at.url) if at else None)


async def test_nothing_is_asked_of_the_origin_before_the_trackers_word(tracker: Node) -> None:
    transfer = Note()
    async with helped(member(tracker), transfer):
        assert transfer.grants == [frozenset()]
        await transfer.until(lambda: transfer.grants[-1] == ALL)


async def test_chunks_of_a_neighbour_come_from_it_and_the_rest_from_the_origin(
    tracker: Node, other: Node
) -> None:
    other.arrive({1, 4})
    await announce(tracker, other, {1, 4})
    transfer = Note()
    async with helped(member(tracker), transfer):
        await transfer.until(lambda: bool(transfer.offered))
        assert transfer.offers == {blob(other, transfer): {1: hash_of(1), 4: hash_of(4)}}
        await transfer.until(lambda: transfer.grants[-1] == ALL - {1, 4})


async def test_two_nodes_share_the_origin(tracker: Node) -> None:
    one, two = Note(), Note()
    first, second = member(tracker), member(tracker)
    first.listens(Address(port=1))
    second.listens(Address(port=2))
    async with helped(first, one), helped(second, two):
        await one.until(lambda: one.grants[-1] not in (frozenset(), ALL))
        await two.until(lambda: two.grants[-1] not in (frozenset(), ALL))
        assert not (one.grants[-1] or ALL) & (two.grants[-1] or ALL)


async def test_a_new_chunk_of_a_neighbour_is_noticed(tracker: Node, other: Node) -> None:
    other.arrive({1})
    await announce(tracker, other, {1})
    transfer = Note()
    async with helped(member(tracker), transfer):
        await transfer.until(lambda: transfer.offered == {1})
        other.arrive({1, 2})
        await announce(tracker, other, {1, 2})
        await transfer.until(lambda: transfer.offered == {1, 2})


async def test_a_neighbour_that_doesnt_answer_costs_a_second_and_then_the_origin_has_its_chunks(
    tracker: Node, other: Node
) -> None:
    await announce(tracker, Node(other.directory, port=9), set(ALL))
    transfer = Note()
    async with helped(member(tracker), transfer):
        await transfer.until(lambda: transfer.grants[-1] == ALL)
        assert not transfer.offered


async def test_what_a_neighbour_no_longer_has_is_the_origins(tracker: Node, other: Node) -> None:
    await announce(tracker, other, set(ALL))
    transfer = Note()
    async with helped(member(tracker), transfer):
        await transfer.until(lambda: transfer.grants[-1] == ALL)


async def test_a_peer_that_the_transfer_dropped_is_no_neighbour_any_more(
    tracker: Node, other: Node
) -> None:
    other.arrive(ALL)
    await announce(tracker, other, set(ALL))
    transfer = Note()
    async with helped(member(tracker), transfer):
        await transfer.until(lambda: transfer.offered == ALL)
        assert not any(transfer.grants)
        transfer.dropped = frozenset([blob(other, transfer)])
        await transfer.until(lambda: transfer.grants[-1] == ALL)


async def test_without_its_tracker_a_node_has_the_origin_at_once() -> None:
    transfer = Note()
    async with helped(member(Node(Path("nowhere"), port=9)), transfer):
        await transfer.until(lambda: transfer.grants[-1] is None)


async def test_neighbours_outlive_the_tracker(tmp_path: Path, other: Node) -> None:
    other.arrive({1})
    transfer = Note()
    async with AsyncExitStack() as stack:
        async with node(tmp_path / "tracker") as tracker:
            await announce(tracker, other, {1})
            await stack.enter_async_context(helped(member(tracker), transfer))
            await transfer.until(lambda: transfer.offered == {1})
        other.arrive({1, 2})
        await transfer.until(lambda: transfer.grants[-1] is None and transfer.offered == {1, 2})


async def test_a_tracker_that_is_silent_is_waited_for_a_moment_only(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert client.ANSWER_S <= 1.0
    monkeypatch.setattr(client, "ANSWER_S", 0.05)

    async def ignore(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    async with await asyncio.start_server(ignore, "127.0.0.1", 0) as mute:
        port = mute.sockets[0].getsockname()[1]
        transfer = Note()
        async with helped(member(Node(Path("nowhere"), port=port)), transfer):
            await transfer.until(lambda: transfer.grants[-1] is None)


async def test_a_tracker_with_another_secret_is_none(tracker: Node) -> None:
    transfer = Note()
    async with helped(member(tracker, secret="other"), transfer):
        await transfer.until(lambda: transfer.grants[-1] is None)


async def test_a_transfer_that_starves_gets_the_origin(
    tracker: Node, other: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(company, "STARVED_S", 0.1)
    other.arrive(ALL)
    await announce(tracker, other, set(ALL))
    transfer = Note()
    async with helped(member(tracker), transfer):
        await transfer.until(lambda: transfer.grants[-1] is None)


async def test_configured_peers_are_asked_what_they_have(other: Node) -> None:
    other.arrive({3})
    transfer = Note()
    async with helped(member(None, other), transfer):
        await transfer.until(lambda: transfer.offered == {3})
        assert transfer.grants == [], "without a tracker the origin is everybody's"
        other.arrive({0, 3})
        await transfer.until(lambda: transfer.offered == {0, 3})


@pytest.mark.parametrize("trusted", [True, False])
async def test_nodes_with_tls_are_believed_by_their_certificate(
    tmp_path: Path, trusted: bool
) -> None:
    authority, certificate = trustme.CA(), tmp_path / "node.pem"
    authority.issue_cert("127.0.0.1").private_key_and_cert_chain_pem.write_to_path(certificate)
    authority.cert_pem.write_to_path(tmp_path / "authority.pem")
    known = Network((tmp_path / "authority.pem",)) if trusted else Network()
    transfer = Note()
    async with node(tmp_path / "safe", certificate=certificate) as safe:
        safe.arrive({0})
        membership = Membership(secret=SECRET, tracker=safe.url, peers=(safe.url,), network=known)
        async with helped(Peers(membership), transfer):
            await transfer.until(lambda: bool(transfer.grants[-1]) or transfer.grants[-1] is None)
            assert (transfer.grants[-1] is None) is not trusted
            if trusted:
                await transfer.until(lambda: transfer.offered == {0})
            assert (transfer.offered == {0}) is trusted


async def test_among_many_configured_peers_one_with_something_is_found(
    tmp_path: Path, other: Node
) -> None:
    other.arrive({3})
    idle = [Node(tmp_path, port=9)] * 7
    transfer = Note()
    async with helped(member(None, *idle, other), transfer):
        await transfer.until(lambda: transfer.offered == {3})


async def test_a_peer_whose_file_has_another_size_is_left_alone(tracker: Node, other: Node) -> None:
    other.arrive({0}, size_bytes=9999)
    await announce(tracker, other, set(ALL))
    transfer = Note()
    async with helped(member(tracker), transfer):
        await transfer.until(lambda: transfer.grants[-1] == ALL)
        assert not transfer.offered


async def test_a_node_that_has_fetched_the_file_offers_it(tracker: Node, other: Node) -> None:
    other.arrive(ALL)
    done, transfer = Note(kept=ALL), Note()
    seeder = member(tracker)
    seeder.listens(Address(url=f"{other.url}/"))
    keeping = asyncio.create_task(seeder.keep(done))
    await done.until(lambda: len(done.grants) > 1)
    keeping.cancel()
    await asyncio.gather(keeping, return_exceptions=True)
    async with helped(member(tracker), transfer):
        await transfer.until(lambda: transfer.offered == ALL)
    await seeder.close()
