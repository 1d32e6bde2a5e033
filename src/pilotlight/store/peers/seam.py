"""Between a file's transfer and those who help it along with other nodes' chunks."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from typing import Protocol

import aiohttp

Open = Callable[[Mapping[str, str]], AbstractAsyncContextManager[aiohttp.ClientResponse]]


@dataclass(frozen=True, slots=True)
class Peer:
    """Another node that has chunks of the file."""

    url: str
    open: Open = field(repr=False, compare=False, hash=False)
    """With a Range header: the node's answer to GET `url`. Only while the company is kept.

    Raises SourceError: it refuses for good; TransientError: another try may help.
    """


class Transfer(Protocol):
    """One file that is arriving, of known size and hash. For the event loop's own thread."""

    @property
    def sha256(self) -> str: ...

    @property
    def size_bytes(self) -> int: ...

    @property
    def chunk_bytes(self) -> int: ...

    @property
    def kept(self) -> frozenset[int]:
        """The chunks that are here and verified."""
        ...

    @property
    def from_origin(self) -> frozenset[int]:
        """The chunks that the origin is sending now."""
        ...

    @property
    def received_bytes(self) -> int:
        """All that has come from anybody, verified or not; it only grows."""
        ...

    @property
    def dropped(self) -> frozenset[str]:
        """Addresses of peers that the transfer has given up: unreachable, refusing or wrong."""
        ...

    def offer(self, peer: Peer, chunks: Mapping[int, bytes], lanes: int) -> None:
        """`peer` has these chunks now, with these SHA-256; replaces what it had before.

        Without chunks it isn't asked for more. A chunk that turns out to have another hash
        is rejected, and the peer is dropped for good.
        """
        ...

    def grant(self, chunks: frozenset[int] | None) -> None:
        """Which chunks the origin may be asked for from now on; None: any of them.

        What it is sending already goes on. An empty grant is no failure: the transfer waits.
        """
        ...
