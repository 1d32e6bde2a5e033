"""What nodes and trackers write to each other, as JSON."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from dataclasses import dataclass

import msgspec

from pilotlight.errors import FieldError, MalformedBodyError
from pilotlight.store.chunks import chunk_count
from pilotlight.store.digest import is_sha256
from pilotlight.store.peers.bitmap import bitmap, chunks_in, pack, unpack
from pilotlight.store.peers.tracker import Announcement, Answer, Neighbour

BLOBS = "/pilotlight/v1/store/blobs"
ANNOUNCE = "/pilotlight/v1/store/announce"
MOST_CHUNKS = 2**20
"""8 TiB in chunks of 8 MiB."""

_HASH_BYTES = 32


@dataclass(frozen=True, slots=True)
class Address:
    """Where a node listens. Without a `url` it is the host that the tracker sees it at."""

    url: str | None = None
    port: int | None = None
    scheme: str = "http"

    def at(self, host: str | None) -> str | None:
        """Where others reach the node whose announcement came from `host`."""
        if self.url is not None:
            return self.url.rstrip("/")
        if self.port is None or not host:
            return None
        return f"{self.scheme}://{f'[{host}]' if ':' in host else host}:{self.port}"


class _Said(msgspec.Struct, forbid_unknown_fields=True):
    node: str
    address: Address | None
    sha256: str
    size_bytes: int
    chunk_bytes: int
    have: str
    wants: bool
    from_origin: str
    shunned: list[str]


class _Neighbour(msgspec.Struct):
    url: str
    have: str


class _Answer(msgspec.Struct):
    neighbours: list[_Neighbour]
    origin: str
    again_s: float


class _Listing(msgspec.Struct):
    size_bytes: int
    chunk_bytes: int
    have: str
    sha256: str


@dataclass(frozen=True, slots=True)
class ChunkHashes:
    """The chunks that a node has of a file, with their hashes."""

    size_bytes: int
    chunk_bytes: int
    sha256: Mapping[int, bytes]


def write_announcement(said: Announcement, address: Address | None) -> bytes:
    """`said.url` stays here: it is the tracker who finds it from the address."""
    count = chunk_count(said.size_bytes, said.chunk_bytes)
    return msgspec.json.encode(
        _Said(
            node=said.node,
            address=address,
            sha256=said.sha256,
            size_bytes=said.size_bytes,
            chunk_bytes=said.chunk_bytes,
            have=pack(said.have, count),
            wants=said.wants,
            from_origin=pack(said.from_origin, count),
            shunned=sorted(said.shunned),
        )
    )


def read_announcement(body: bytes, host: str | None) -> Announcement:
    """What came from `host`.

    Raises:
        MalformedBodyError, FieldError: it is no announcement.
    """
    try:
        said = msgspec.json.decode(body, type=_Said)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise MalformedBodyError(
            f"the body is no announcement: {error}",
            hint="run the same version of Pilotlight on all nodes",
        ) from None
    count = _count(said.size_bytes, said.chunk_bytes)
    if not is_sha256(said.sha256):
        raise FieldError("sha256", said.sha256, "64 hex digits")
    url = said.address.at(host) if said.address else None
    if url is not None and not url.startswith(("http://", "https://")):
        raise FieldError("address", url, "an http address", hint="set store.peer_url to one")
    return Announcement(
        node=said.node,
        url=url,
        sha256=said.sha256,
        size_bytes=said.size_bytes,
        chunk_bytes=said.chunk_bytes,
        have=_bits("have", said.have, count),
        wants=said.wants,
        from_origin=_bits("from_origin", said.from_origin, count),
        shunned=frozenset(said.shunned),
    )


def write_answer(answer: Answer, said: Announcement) -> bytes:
    count = chunk_count(said.size_bytes, said.chunk_bytes)
    named = [_Neighbour(one.url, pack(one.have, count)) for one in answer.neighbours]
    return msgspec.json.encode(_Answer(named, pack(answer.origin, count), answer.again_s))


def read_answer(body: bytes, said: Announcement) -> Answer:
    """The tracker's answer to `said`. Raises ValueError."""
    answer = msgspec.json.decode(body, type=_Answer)
    count = chunk_count(said.size_bytes, said.chunk_bytes)
    named = tuple(Neighbour(one.url, unpack(one.have, count)) for one in answer.neighbours)
    return Answer(named, unpack(answer.origin, count), answer.again_s)


def write_listing(listing: ChunkHashes) -> bytes:
    count = chunk_count(listing.size_bytes, listing.chunk_bytes)
    have = bitmap(listing.sha256)
    hashes = b"".join(listing.sha256[chunk] for chunk in chunks_in(have))
    return msgspec.json.encode(
        _Listing(
            size_bytes=listing.size_bytes,
            chunk_bytes=listing.chunk_bytes,
            have=pack(have, count),
            sha256=base64.b64encode(hashes).decode(),
        )
    )


def read_listing(body: bytes) -> ChunkHashes:
    """Raises ValueError."""
    said = msgspec.json.decode(body, type=_Listing)
    if said.size_bytes <= 0 or said.chunk_bytes <= 0:
        raise ValueError(f"a file of {said.size_bytes} bytes in chunks of {said.chunk_bytes}")
    chunks = list(chunks_in(unpack(said.have, chunk_count(said.size_bytes, said.chunk_bytes))))
    hashes = base64.b64decode(said.sha256, validate=True)
    if len(hashes) != _HASH_BYTES * len(chunks):
        raise ValueError(f"{len(hashes)} bytes of hashes for {len(chunks)} chunks")
    parts = (hashes[start : start + _HASH_BYTES] for start in range(0, len(hashes), _HASH_BYTES))
    return ChunkHashes(said.size_bytes, said.chunk_bytes, dict(zip(chunks, parts, strict=True)))


def _count(size_bytes: int, chunk_bytes: int) -> int:
    if size_bytes <= 0 or chunk_bytes <= 0 or chunk_count(size_bytes, chunk_bytes) > MOST_CHUNKS:
        raise FieldError(
            "size_bytes",
            size_bytes,
            f"1 to {MOST_CHUNKS} chunks of {chunk_bytes} bytes",
        )
    return chunk_count(size_bytes, chunk_bytes)


def _bits(field: str, text: str, count: int) -> int:
    try:
        return unpack(text, count)
    except (ValueError, binascii.Error) as error:
        raise FieldError(field, text, f"a bitmap of {count} chunks ({error})") from None
