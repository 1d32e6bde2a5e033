"""The tracker's decisions, from the outside: announcements in, answers out."""

from __future__ import annotations

import random
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pilotlight.store.peers.bitmap import bitmap, chunks_in, full
from pilotlight.store.peers.tracker import (
    LEASES_ALONE,
    NEIGHBOURS,
    ORIGIN_LEASES,
    SILENT_S,
    Announcement,
    Answer,
    TrackerCore,
)

SHA256 = "ab" * 32
CHUNK_BYTES = 10


def url(node: str) -> str:
    return f"http://{node}"


@dataclass
class Swarm:
    """Nodes of one file, and their tracker; time passes when told."""

    count: int
    core: TrackerCore = field(default_factory=TrackerCore)
    now: float = 0.0

    def announce(
        self,
        node: str,
        have: int = 0,
        *,
        wants: bool = True,
        serves: bool = True,
        from_origin: int = 0,
        shunned: frozenset[str] = frozenset(),
    ) -> Answer:
        said = Announcement(
            node=node,
            url=url(node) if serves else None,
            sha256=SHA256,
            size_bytes=self.count * CHUNK_BYTES,
            chunk_bytes=CHUNK_BYTES,
            have=have,
            wants=wants,
            from_origin=from_origin,
            shunned=shunned,
        )
        return self.core.announce(said, self.now)

    def again(self, node: str, **said: Any) -> Answer:
        """The answer once it was heard for some turns."""
        for _ in range(9):
            self.announce(node, **said)
        return self.announce(node, **said)


def listed(bits: int) -> list[int]:
    return list(chunks_in(bits))


def test_who_is_alone_is_bounded_by_its_connections_only() -> None:
    swarm = Swarm(100)
    answer = swarm.again("a", have=bitmap([0, 1]))
    assert listed(answer.origin) == list(range(2, 2 + LEASES_ALONE))


def test_who_comes_first_doesnt_take_everything_before_the_others_are_known() -> None:
    swarm = Swarm(12)
    nodes = ("a", "b", "c", "d")
    assert [listed(swarm.announce(name).origin) for name in nodes] == [[0], [1], [2], [3]]


def test_two_nodes_are_given_different_chunks_the_first_ones_first() -> None:
    swarm = Swarm(100)
    swarm.announce("a")
    first = listed(swarm.announce("b").origin)
    second = listed(swarm.announce("a").origin)
    assert not set(first) & set(second)
    assert sorted(first + second) == list(range(len(first) + len(second)))


def test_what_a_lone_node_had_begun_is_its_own_when_another_comes() -> None:
    swarm = Swarm(100)
    swarm.announce("a", from_origin=bitmap([0, 1, 7]))
    assert not set(listed(swarm.announce("b").origin)) & {0, 1, 7}
    assert {0, 1, 7} <= set(listed(swarm.announce("a", from_origin=bitmap([0, 1, 7])).origin))


def test_chunks_of_a_seeder_are_not_the_origins_task() -> None:
    swarm = Swarm(10)
    swarm.announce("seed", full(9), wants=False)
    answer = swarm.announce("a")
    assert answer.origin == bitmap([9])
    assert [neighbour.url for neighbour in answer.neighbours] == [url("seed")]


def test_a_node_that_serves_nobody_keeps_nothing_from_others() -> None:
    swarm = Swarm(10)
    swarm.announce("mute", full(10), wants=False, serves=False)
    swarm.announce("taker", serves=False, from_origin=bitmap([0]))
    answer = swarm.again("a")
    assert answer.origin == full(10)
    assert answer.neighbours == ()


def test_a_silent_node_loses_its_leases_and_its_neighbours() -> None:
    swarm = Swarm(4)
    swarm.announce("a")
    held = swarm.announce("b", bitmap([3])).origin
    swarm.announce("a")
    swarm.now += SILENT_S + 0.01
    answer = swarm.again("a")
    assert held & answer.origin == held
    assert answer.origin >> 3 & 1, "what only the dead had is the origin's again"
    assert answer.neighbours == ()


def test_a_lease_that_takes_too_long_goes_to_another() -> None:
    swarm = Swarm(2)
    swarm.announce("slow")
    swarm.announce("b")
    [stuck] = listed(swarm.announce("slow").origin)
    [other] = listed(swarm.announce("b").origin)
    for _ in range(60):  # both are heard all the time
        swarm.now += 1.0
        swarm.announce("slow", from_origin=1 << stuck)
        if swarm.announce("b", 1 << other).origin >> stuck & 1:
            break
    else:
        pytest.fail("the chunk was never given to the other node")
    assert not swarm.announce("slow", from_origin=1 << stuck).origin >> stuck & 1


def test_a_chunk_of_nodes_that_cant_be_reached_is_the_origins() -> None:
    swarm = Swarm(8)
    swarm.announce("seed", full(8), wants=False)
    assert swarm.announce("a").origin == 0
    answer = swarm.again("a", shunned=frozenset([url("seed")]))
    assert answer.origin == full(8)
    assert answer.neighbours == ()


def test_files_of_one_hash_but_other_chunks_are_apart() -> None:
    core = TrackerCore()
    one = Announcement(
        node="a",
        url="http://a",
        sha256=SHA256,
        size_bytes=100,
        chunk_bytes=10,
        have=1,
        wants=True,
    )
    core.announce(one, 0.0)
    other = replace(one, node="b", url="http://b", chunk_bytes=20)
    assert core.announce(other, 0.0).neighbours == ()


def test_many_nodes_announce_themselves_less_often() -> None:
    few, many = Swarm(10), Swarm(10)
    waits = [many.announce(f"n{number}").again_s for number in range(200)]
    assert few.announce("a").again_s < waits[-1] <= 1.0


def reachable(edges: dict[str, set[str]], start: str) -> set[str]:
    found, todo = {start}, [start]
    while todo:
        new = edges[todo.pop()] - found
        found |= new
        todo += new
    return found


@given(st.sets(st.text("abcdef", min_size=1), min_size=2, max_size=40))
def test_neighbours_are_few_everybodys_share_and_reach_everybody(names: set[str]) -> None:
    swarm = Swarm(3)
    for name in names:
        swarm.announce(name)
    edges: dict[str, set[str]] = {}
    for name in names:
        named = [neighbour.url for neighbour in swarm.announce(name).neighbours]
        assert len(named) == len(set(named)) == min(NEIGHBOURS, len(names) - 1)
        edges[url(name)] = set(named)
        assert url(name) not in named
    assert all(reachable(edges, start) == set(edges) for start in edges)


def test_a_node_that_comes_changes_few_neighbours() -> None:
    swarm, names = Swarm(3), [f"n{number}" for number in range(50)]
    for name in names:
        swarm.announce(name)
    before = {name: swarm.announce(name).neighbours for name in names}
    swarm.announce("new")
    changed = sum(swarm.announce(name).neighbours != before[name] for name in names)
    assert 1 <= changed <= 4 * NEIGHBOURS


def test_neighbours_with_something_new_come_first() -> None:
    swarm = Swarm(3)
    for number in range(40):
        swarm.announce(f"n{number}")
    rich = [f"rich{number}" for number in range(3)]
    for name in rich:
        swarm.announce(name, bitmap([1]))
    named = {neighbour.url for neighbour in swarm.announce("n0").neighbours}
    assert {url(name) for name in rich} <= named


@given(
    count=st.integers(1, 80),
    asking=st.lists(st.integers(0, 9), min_size=1, max_size=80),
    seed=st.integers(0, 2**32),
)
def test_leases_are_of_one_node_each_and_bounded_in_all(
    count: int, asking: list[int], seed: int
) -> None:
    chance, swarm = random.Random(seed), Swarm(count)
    have = [chance.getrandbits(count) & chance.getrandbits(count) for _ in range(10)]
    for number in range(10):  # now everybody knows that nobody is alone
        swarm.announce(f"n{number}", have[number])
    held: dict[int, int] = {}
    for number in asking:
        held[number] = swarm.announce(f"n{number}", have[number]).origin
        everywhere = 0
        for bits in have:
            everywhere |= bits
        assert not held[number] & everywhere, "somebody has it"
        assert not any(held[number] & held[other] for other in held if other != number)
    assert sum(bits.bit_count() for bits in held.values()) <= ORIGIN_LEASES


@dataclass
class Peer:
    have: int = 0
    origin: int = 0
    neighbours: list[str] = field(default_factory=list)


@settings(max_examples=60, deadline=None)
@given(
    count=st.integers(1, 60),
    nodes=st.integers(2, 12),
    dying=st.integers(0, 6),
    seed=st.integers(0, 2**32),
)
def test_the_origin_sends_each_chunk_once_unless_its_bringers_die(
    count: int, nodes: int, dying: int, seed: int
) -> None:
    """Nodes in random order, with random luck; whoever lives ends with everything."""
    chance = random.Random(seed)
    swarm = Swarm(count)
    peers = {f"n{number}": Peer() for number in range(nodes)}
    sent = 0
    lost = 0
    to_die = min(dying, nodes - 1)
    for _ in range(20_000):
        if all(peer.have == full(count) for peer in peers.values()):
            break
        swarm.now += 0.01
        name = chance.choice(list(peers))
        peer = peers[name]
        if to_die and chance.random() < 0.01:
            del peers[name]
            to_die -= 1
            left = 0
            for other in peers.values():
                left |= other.have
            lost += (peer.have & ~left).bit_count()
            swarm.now += SILENT_S if chance.random() < 0.5 else 0.0
            continue
        if peer.origin and chance.random() < 0.3:
            chunk = chance.choice(listed(peer.origin))
            peer.have |= 1 << chunk
            sent += 1
        offered = [peers[n.removeprefix("http://")] for n in peer.neighbours if n[7:] in peers]
        for other in offered:
            if news := other.have & ~peer.have:
                peer.have |= 1 << chance.choice(listed(news))
        answer = swarm.announce(name, peer.have, wants=peer.have != full(count))
        peer.origin = answer.origin & ~peer.have
        peer.neighbours = [neighbour.url for neighbour in answer.neighbours]
        assert answer.origin & peer.have == 0
        assert len(peer.neighbours) <= NEIGHBOURS
    assert all(peer.have == full(count) for peer in peers.values())
    # Two may take the same only before they know of each other, or after a silence.
    assert sent <= count + lost + 2 * ORIGIN_LEASES * (1 + dying) // nodes + nodes
