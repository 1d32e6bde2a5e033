"""Who has which chunks of a file, and who asks the origin for which: an announcement and the time
in, an answer out. No I/O, no clock.

Each chunk is to leave the origin once. So a node may ask the origin only for chunks that it has
a lease on; all others it gets from few neighbours. A lease ends with the chunk's arrival, with its
holder's silence or, for a holder that is too slow, with the patience of the others.
"""

from __future__ import annotations

import hashlib
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass, field

from pilotlight.store.chunks import chunk_count
from pilotlight.store.peers.bitmap import bitmap, chunks_in, full

NEIGHBOURS = 5
ORIGIN_LEASES = 8
"""Of one file at a time. More would leave more chunks to be handed round after the last one."""

LEASES_ALONE = 16
"""Of a node without others; as many as it may have connections. It is given them step by step:
nodes that begin at once know of each other a moment later, and each is to bring its share."""

SILENT_S = 3.0
"""A node that wasn't heard for so long, and for three of its own turns, is gone."""

_FETCHING_S = (0.15, 1.0)
_SEEDING_S = 2.0
_ANNOUNCEMENTS_PER_S = 100.0
"""Of one file, in all: the more nodes, the less often each is to announce itself."""

_FIRST_PATIENCE_S = 15.0
_PATIENCE_S = (5.0, 60.0)
_TYPICAL_TIMES = 4.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Announcement:
    """What a node says of itself and one file. Chunks are bitmaps."""

    node: str
    """Names this process of this node for as long as it runs."""

    url: str | None
    """Where others get the file's chunks from it; None when they can't."""

    sha256: str
    size_bytes: int
    chunk_bytes: int
    have: int
    wants: bool
    """Whether it is fetching; else it only offers what it has."""

    from_origin: int = 0
    """The chunks that the origin is sending it now."""

    shunned: frozenset[str] = frozenset()
    """Addresses of nodes that this one can't get chunks from."""


@dataclass(frozen=True, slots=True)
class Neighbour:
    url: str
    have: int


@dataclass(frozen=True, slots=True)
class Answer:
    neighbours: tuple[Neighbour, ...]
    origin: int
    """The chunks that the node may ask the origin for; all that are not here are others' task."""

    again_s: float
    """When to announce itself next, and how often at most."""


@dataclass(slots=True)
class Node:
    said: Announcement
    rings: tuple[int, ...]
    seen_s: float
    silent_after_s: float = SILENT_S
    leases: dict[int, float] = field(default_factory=dict)
    """When each chunk was granted."""

    alone: int = 0
    """How many leases it was let have at its last turn without others."""

    overdue: set[int] = field(default_factory=set)
    """Leases that it lost to the others' patience; it isn't given them again."""

    @property
    def leased(self) -> int:
        return sum(1 << chunk for chunk in self.leases)


class TrackerCore:
    """All files and nodes that anybody announced lately."""

    def __init__(self) -> None:
        self._swarms: dict[tuple[str, int, int], Swarm] = {}

    def announce(self, said: Announcement, now: float) -> Answer:
        self._forget(now)
        key = (said.sha256, said.size_bytes, said.chunk_bytes)
        swarm = self._swarms.setdefault(key, Swarm(chunk_count(said.size_bytes, said.chunk_bytes)))
        return swarm.announce(said, now)

    def _forget(self, now: float) -> None:
        for key, swarm in list(self._swarms.items()):
            swarm.forget(now)
            if not swarm.nodes:
                del self._swarms[key]


class Swarm:
    """The nodes that have or want one file."""

    def __init__(self, count: int) -> None:
        self.nodes: dict[str, Node] = {}
        self._count = count
        self._took_s: float | None = None
        """How long a lease usually takes."""

        self._rings: list[list[tuple[int, str]]] = []

    def announce(self, said: Announcement, now: float) -> Answer:
        node = self._note(said, now)
        origin = self._origin(node, now) if said.wants else 0
        fair_s = len(self.nodes) / _ANNOUNCEMENTS_PER_S
        again_s = min(max(fair_s, _FETCHING_S[0]), _FETCHING_S[1]) if said.wants else _SEEDING_S
        node.silent_after_s = max(SILENT_S, 3 * again_s)
        return Answer(tuple(self._neighbours(node)), origin, again_s)

    def forget(self, now: float) -> None:
        """Nodes that are silent, with their leases, and leases that took too long."""
        for name, node in list(self.nodes.items()):
            if now - node.seen_s > node.silent_after_s:
                del self.nodes[name]
                self._rings = []
                continue
            late = [c for c, since_s in node.leases.items() if now - since_s > self._patience_s]
            for chunk in late:
                del node.leases[chunk]
                node.overdue.add(chunk)

    @property
    def _patience_s(self) -> float:
        if self._took_s is None:
            return _FIRST_PATIENCE_S
        return min(max(_TYPICAL_TIMES * self._took_s, _PATIENCE_S[0]), _PATIENCE_S[1])

    def _note(self, said: Announcement, now: float) -> Node:
        node = self.nodes.get(said.node)
        if node is None:
            node = self.nodes[said.node] = Node(said, _places(said), now)
            self._rings = []
        node.said, node.seen_s = said, now
        for chunk in [chunk for chunk in node.leases if said.have >> chunk & 1]:
            took_s = now - node.leases.pop(chunk)
            before_s = took_s if self._took_s is None else self._took_s
            self._took_s = 0.8 * before_s + 0.2 * took_s
        if not said.wants:
            node.leases.clear()
        return node

    def _origin(self, node: Node, now: float) -> int:
        """What it may ask the origin for: its leases.

        What it took before it was told otherwise counts as leased.
        """
        self._withdraw(node.leased & self._had(node), node)
        free = full(self._count) & ~node.said.have & ~self._spoken_for(node)
        for chunk in chunks_in(node.said.from_origin & free):
            if chunk not in node.overdue:
                node.leases.setdefault(chunk, now)
        left = free & ~node.leased
        room = self._room(node, left.bit_count())
        if room < 0:  # it was given more when there were fewer nodes
            self._withdraw(bitmap(sorted(node.leases)[room:]), node)
        self._give(left, room, node, now)
        return node.leased

    def _withdraw(self, chunks: int, node: Node) -> None:
        """Unless it has begun with them: a chunk half here is better kept on."""
        for chunk in chunks_in(chunks & ~node.said.from_origin):
            del node.leases[chunk]

    def _give(self, chunks: int, room: int, node: Node, now: float) -> None:
        for chunk in chunks_in(chunks):
            if room <= 0:
                return
            if chunk not in node.overdue or not self._another_for(chunk, node):
                node.leases[chunk] = now
                room -= 1

    def _another_for(self, chunk: int, node: Node) -> bool:
        """Whether somebody else may take over a lease that this one was too slow with."""
        return any(
            other.said.wants and not other.said.have >> chunk & 1 and chunk not in other.overdue
            for other in self._others(node)
        )

    def _room(self, node: Node, left: int) -> int:
        """How many more leases it may have; below 0, how many it has too many.

        They become few towards the end: a chunk comes late to all when its one bringer
        shares the origin's link with many, and then it has yet to be handed round.
        """
        wanting = 1 + sum(other.said.wants for other in self._others(node))
        if wanting == 1:
            node.alone = min(2 * node.alone, LEASES_ALONE) or 1
            return node.alone - len(node.leases)
        fair = max(1, min(ORIGIN_LEASES // wanting, left // (4 * wanting)))
        leased = sum(len(each.leases) for each in self.nodes.values())
        return min(fair - len(node.leases), max(0, ORIGIN_LEASES - leased))

    def _had(self, node: Node) -> int:
        """The chunks that it can get from others."""
        bits = 0
        for other in self._others(node):
            bits |= other.said.have
        return bits

    def _spoken_for(self, node: Node) -> int:
        """The chunks that others have or lease, and will hand on."""
        bits = self._had(node)
        for other in self._others(node):
            bits |= other.leased
        return bits

    def _others(self, node: Node) -> list[Node]:
        """Those whom it can get chunks from."""
        shunned = node.said.shunned
        return [
            other
            for other in self.nodes.values()
            if other is not node and other.said.url is not None and other.said.url not in shunned
        ]

    def _neighbours(self, node: Node) -> Iterator[Neighbour]:
        """Its successor on each of several rings, that has something for it if one has.

        Rings of nodes in random order make a random graph in which nobody has more than
        his share of neighbours, either way; and a node that comes or goes changes few of them.
        """
        lacks = full(self._count) & ~node.said.have
        usable = {other.said.node: other for other in self._others(node)}
        for ring in range(NEIGHBOURS):
            if not usable:
                return
            around = self._around(ring, node)
            found = [name for name in around if name in usable]
            useful = (name for name in found if usable[name].said.have & lacks)
            chosen = usable.pop(next(useful, found[0]))
            yield Neighbour(str(chosen.said.url), chosen.said.have)

    def _around(self, ring: int, node: Node) -> Iterator[str]:
        """All nodes in the ring's order, from this one on."""
        if not self._rings:
            listed = self.nodes.items()
            self._rings = [
                sorted((each.rings[index], name) for name, each in listed)
                for index in range(NEIGHBOURS)
            ]
        order = self._rings[ring]
        start = bisect_right(order, (node.rings[ring], node.said.node))
        for _, name in (*order[start:], *order[:start]):
            yield name


def _places(said: Announcement) -> tuple[int, ...]:
    """Its place on each ring: for another file it has others."""
    digest = hashlib.blake2b(f"{said.sha256} {said.node}".encode(), digest_size=8 * NEIGHBOURS)
    content = digest.digest()
    return tuple(
        int.from_bytes(content[8 * ring : 8 * ring + 8], "big") for ring in range(NEIGHBOURS)
    )
