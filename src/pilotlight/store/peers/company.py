"""This node among others: it helps its transfers to other nodes' chunks, and says what it has.

With a tracker, the origin is asked only for what the tracker leases to this node. Whatever goes
wrong with the tracker or the peers costs a second at most: then the origin is asked for all of it.
"""

from __future__ import annotations

import asyncio
import logging
import random
import uuid
from collections.abc import Iterable
from dataclasses import dataclass, replace

from pilotlight.config import StoreSettings
from pilotlight.errors import ConfigError
from pilotlight.store.chunks import chunk_count
from pilotlight.store.download import Download
from pilotlight.store.network import Network
from pilotlight.store.peers.arriving import Arriving
from pilotlight.store.peers.bitmap import bitmap, chunks_in, full
from pilotlight.store.peers.client import PeerClient, PeerError
from pilotlight.store.peers.neighbours import Neighbourhood
from pilotlight.store.peers.seam import Transfer
from pilotlight.store.peers.tracker import NEIGHBOURS, Announcement
from pilotlight.store.peers.wire import Address

_log = logging.getLogger(__name__)

SEED_S = 300.0
"""How long a node goes on offering what it has fetched; asked by chance, it serves it for ever."""

STARVED_S = 10.0
"""Without a byte from anybody for so long, the origin may be asked for everything. On a slow link
a node may well wait some seconds for a chunk that another one is bringing."""

_ASK_S = 0.5
_LONGEST_SILENCE_S = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Membership:
    """What makes this node one of several."""

    secret: str
    tracker: str | None = None
    peers: tuple[str, ...] = ()
    network: Network = Network()


class Peers:
    """All that this process does with other nodes; `close` ends it. Of one event loop."""

    def __init__(self, membership: Membership) -> None:
        self._membership = membership
        self._node = uuid.uuid4().hex
        self._address: Address | None = None
        self._seeding: set[asyncio.Task[None]] = set()

    def listens(self, address: Address) -> None:
        """From now on others may get chunks from this node, there."""
        self._address = address

    async def follow(self, download: Download) -> None:
        """As `fetch` wants it: help until cancelled."""
        await self.keep(Arriving(download))

    async def keep(self, transfer: Transfer) -> None:
        """Help until cancelled, which happens when the transfer ends.

        Until its first wait it runs before the transfer's first request.
        """
        if self._membership.tracker:
            transfer.grant(frozenset())
        try:
            async with PeerClient(self._membership.network, self._membership.secret) as client:
                meeting = _Meeting(self._membership, self._node, self._address, client, transfer)
                await meeting.run()
        finally:
            transfer.grant(None)
            self._part(transfer)

    def _part(self, transfer: Transfer) -> None:
        """Stay with the tracker for a while; or else tell it that the leases are free."""
        if self._membership.tracker is None:
            return
        said = _announcement(transfer, self._node, wants=False)
        task = asyncio.get_running_loop().create_task(self._seed(self._membership.tracker, said))
        self._seeding.add(task)
        task.add_done_callback(self._seeding.discard)

    async def _seed(self, tracker: str, said: Announcement) -> None:
        whole = said.have == full(chunk_count(said.size_bytes, said.chunk_bytes))
        loop = asyncio.get_running_loop()
        until_s = loop.time() + (SEED_S if whole and self._address else 0.0)
        async with PeerClient(self._membership.network, self._membership.secret) as client:
            wait_s = await _say(client, tracker, said, self._address)
            while loop.time() + wait_s < until_s:
                await asyncio.sleep(wait_s)
                wait_s = await _say(client, tracker, said, self._address)

    async def close(self) -> None:
        for task in self._seeding:
            task.cancel()
        await asyncio.gather(*self._seeding, return_exceptions=True)


def peers_of(settings: StoreSettings) -> Peers | None:
    """This node's part among others, if it has any.

    Raises:
        ConfigError: others are named, and no secret that they would know it by.
    """
    if not settings.tracker and not settings.peers:
        return None
    if settings.peer_secret is None:
        raise ConfigError(
            f"store has {'a tracker' if settings.tracker else 'peers'} and no peer_secret",
            hint="set PILOTLIGHT_STORE_PEER_SECRET to the same secret on all nodes",
        )
    return Peers(
        Membership(
            secret=settings.peer_secret,
            tracker=settings.tracker,
            peers=settings.peers,
            network=Network.from_environment(),
        )
    )


class _Meeting:
    """One transfer's dealings with the others, for as long as it runs."""

    def __init__(
        self,
        membership: Membership,
        node: str,
        address: Address | None,
        client: PeerClient,
        transfer: Transfer,
    ) -> None:
        self._tracker = membership.tracker
        self._configured = [url.rstrip("/") for url in membership.peers]
        random.shuffle(self._configured)  # or else all would begin with the first few
        self._node, self._address = node, address
        self._client, self._transfer = client, transfer
        self._hunger = _Hunger(transfer.received_bytes, asyncio.get_running_loop().time())

    async def run(self) -> None:
        """Until cancelled."""
        async with Neighbourhood(self._client, self._transfer) as neighbours:
            asking = asyncio.create_task(self._ask_configured(neighbours))
            try:
                if self._tracker is None:
                    await asking
                else:
                    await self._announce(self._tracker, neighbours)
            finally:
                asking.cancel()
                await asyncio.gather(asking, return_exceptions=True)

    async def _ask_configured(self, neighbours: Neighbourhood) -> None:
        """A few at a time; those that have nothing for us make room for others."""
        while self._configured:
            few = self._configured[:NEIGHBOURS]
            await neighbours.look(few)
            idle = [url for url in few if not neighbours.useful(url)]
            self._configured = [url for url in self._configured if url not in idle] + idle
            await asyncio.sleep(_ASK_S)

    async def _announce(self, tracker: str, neighbours: Neighbourhood) -> None:
        silence_s = 0.0
        while True:
            said = replace(
                _announcement(self._transfer, self._node, wants=True),
                shunned=neighbours.shunned(),
            )
            try:
                answer = await self._client.announce(tracker, said, self._address)
            except PeerError as error:
                _log.info("fetching without the tracker: %s", error)
                self._transfer.grant(None)
                neighbours.look_again()
                silence_s = min(max(1.0, 2 * silence_s), _LONGEST_SILENCE_S)
                await asyncio.sleep(silence_s)
                continue
            silence_s = 0.0
            self._grant(chunks_in(answer.origin))
            neighbours.meet({one.url: one.have for one in answer.neighbours})
            await asyncio.sleep(answer.again_s)

    def _grant(self, leased: Iterable[int]) -> None:
        now = asyncio.get_running_loop().time()
        starved = self._hunger.starved(self._transfer.received_bytes, now)
        self._transfer.grant(None if starved else frozenset(leased))


@dataclass(slots=True)
class _Hunger:
    """Whether nothing has come for long. A tracker may be wrong about what others can give."""

    received_bytes: int
    since_s: float

    def starved(self, received_bytes: int, now: float) -> bool:
        if received_bytes > self.received_bytes:
            self.received_bytes, self.since_s = received_bytes, now
        return now - self.since_s > STARVED_S


async def _say(
    client: PeerClient, tracker: str, said: Announcement, address: Address | None
) -> float:
    """How long to wait before saying it again."""
    try:
        return (await client.announce(tracker, said, address)).again_s
    except PeerError as error:
        _log.debug("the tracker didn't hear of a seeder: %s", error)
        return _LONGEST_SILENCE_S


def _announcement(transfer: Transfer, node: str, *, wants: bool) -> Announcement:
    return Announcement(
        node=node,
        url=None,
        sha256=transfer.sha256,
        size_bytes=transfer.size_bytes,
        chunk_bytes=transfer.chunk_bytes,
        have=bitmap(transfer.kept),
        wants=wants,
        from_origin=bitmap(transfer.from_origin) if wants else 0,
    )
