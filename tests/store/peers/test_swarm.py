"""Many transfers and their tracker, as one machine without I/O: what holds whatever happens."""

from __future__ import annotations

import random
from dataclasses import dataclass, field

from hypothesis import given, settings
from hypothesis import strategies as st

from pilotlight.store.peers.bitmap import bitmap, chunks_in
from pilotlight.store.peers.tracker import SILENT_S, Announcement, TrackerCore
from pilotlight.store.retry import Retry
from pilotlight.store.transfer import TransferCore
from pilotlight.store.transfer_events import (
    ORIGIN,
    Arrived,
    Cancel,
    Ended,
    Event,
    Failed,
    Finish,
    GiveUp,
    Granted,
    Offered,
    Open,
    Opened,
    Ticked,
)

CHUNK = 10
STEP_S = 0.02
CONNECTIONS = 16
LANES = 2


@dataclass
class Node:
    """A transfer whose lanes bring what they are told to, when they are told to."""

    name: str
    core: TransferCore
    lanes: dict[int, Open] = field(default_factory=dict)
    kept: set[int] = field(default_factory=set)
    peers: dict[str, int] = field(default_factory=dict)
    again_s: float = 0.0
    done: bool = False

    def post(self, event: Event, now: float) -> None:
        for decision in self.core.handle(event, now, CONNECTIONS):
            assert not isinstance(decision, GiveUp), "the origin is there all the time"
            if isinstance(decision, Open):
                self.lanes[decision.lane] = decision
            elif isinstance(decision, Cancel):
                del self.lanes[decision.lane]
            elif isinstance(decision, Finish):
                self.done = True
                self.lanes.clear()

    def bring(self, lane: int, now: float) -> int:
        """One whole chunk on this lane; its number."""
        order = self.lanes[lane]
        assert order.last == order.first + 1, "with leases one chunk is asked for at a time"
        self.post(Opened(lane, None, ranges=True), now)
        self.kept.add(order.first)
        self.post(Arrived(lane, order.first), now)
        if self.lanes.pop(lane, None):
            self.post(Ended(lane), now)
        return order.first


class World:
    def __init__(self, count: int, nodes: int, seed: int) -> None:
        self.chance, self.now, self.count = random.Random(seed), 0.0, count
        self.tracker = TrackerCore()
        self.nodes = {f"http://{number}": self._node(number) for number in range(nodes)}
        self.from_origin = 0
        self.lost = 0
        for node in self.nodes.values():
            node.post(Granted(frozenset()), 0.0)

    def _node(self, number: int) -> Node:
        core = TransferCore(self.count * CHUNK, Retry(), chunk_bytes=CHUNK, seed=number)
        return Node(f"http://{number}", core)

    def step(self) -> None:
        self.now += STEP_S
        for node in self.nodes.values():
            if self.now >= node.again_s:
                self._announce(node)
            if not node.done:
                node.post(Ticked(), self.now)
        moving = [node for node in self.nodes.values() if node.lanes]
        for node in self.chance.sample(moving, len(moving)):
            self._move(node)

    def _move(self, node: Node) -> None:
        if not node.lanes or self.chance.random() < 0.5:
            return
        lane = self.chance.choice(list(node.lanes))
        source = node.lanes[lane].source
        if source != ORIGIN and not self._lives(node, source):
            del node.lanes[lane]
            node.post(Failed(lane), self.now)
            return
        node.bring(lane, self.now)
        self.from_origin += source == ORIGIN

    def _lives(self, node: Node, source: int) -> bool:
        return any(self.nodes.get(url) for url, number in node.peers.items() if number == source)

    def _announce(self, node: Node) -> None:
        taking = [order.first for order in node.lanes.values() if order.source == ORIGIN]
        answer = self.tracker.announce(
            Announcement(
                node=node.name,
                url=node.name,
                sha256="ab" * 32,
                size_bytes=self.count * CHUNK,
                chunk_bytes=CHUNK,
                have=bitmap(node.kept),
                wants=not node.done,
                from_origin=bitmap(taking),
            ),
            self.now,
        )
        node.again_s = self.now + answer.again_s
        node.post(Granted(frozenset(chunks_in(answer.origin))), self.now)
        for neighbour in answer.neighbours:
            number = node.peers.setdefault(neighbour.url, len(node.peers) + 1)
            node.post(Offered(number, frozenset(chunks_in(neighbour.have)), LANES), self.now)

    def kill(self) -> None:
        """With all that it alone had, or was getting."""
        dead = self.nodes.pop(self.chance.choice(list(self.nodes)))
        left = set().union(*(node.kept for node in self.nodes.values()))
        self.lost += len(dead.kept - left)

    def run(self, deaths: int) -> None:
        for _ in range(int(1000 / STEP_S)):
            if all(node.done for node in self.nodes.values()):
                return
            if deaths and self.chance.random() < 0.02:
                self.kill()
                deaths -= 1
            self.step()
        raise AssertionError("somebody never got it all")


@settings(max_examples=40, deadline=None)
@given(count=st.integers(1, 60), nodes=st.integers(1, 8), seed=st.integers(0, 2**32))
def test_everybody_gets_everything_and_the_origin_sends_it_once(
    count: int, nodes: int, seed: int
) -> None:
    world = World(count, nodes, seed)
    world.run(deaths=0)
    # A node that is raced, or whose lease was taken from it just as it began, costs a chunk.
    assert world.from_origin <= count + nodes


@settings(max_examples=40, deadline=None)
@given(
    count=st.integers(1, 60),
    nodes=st.integers(2, 8),
    deaths=st.integers(1, 7),
    seed=st.integers(0, 2**32),
)
def test_whoever_lives_gets_everything(count: int, nodes: int, deaths: int, seed: int) -> None:
    world = World(count, nodes, seed)
    world.run(min(deaths, nodes - 1))
    assert world.now < SILENT_S * (deaths + 1) + 100.0
    assert world.from_origin <= count + world.lost + nodes * (1 + deaths)
