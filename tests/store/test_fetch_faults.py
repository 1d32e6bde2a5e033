"""The fetcher against a real server that does everything wrong a server can do."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from fault_origin import Answer, Asked, FaultOrigin, fault_origin

from pilotlight.core import ModelRef
from pilotlight.errors import DigestError, SourceError
from pilotlight.store.chunks import CHUNK_BYTES
from pilotlight.store.fetch import Fetched, fetch
from pilotlight.store.journal import journal_of, read_journal
from pilotlight.store.limits import Bandwidth, Limits
from pilotlight.store.progress import Progress, Reporter
from pilotlight.store.retry import Retry
from pilotlight.store.sources.base import Description

BODY = random.Random(4).randbytes(5 * CHUNK_BYTES + 12345)
SHA256 = hashlib.sha256(BODY).hexdigest()
REF = ModelRef("https", "//there/model.gguf")


@pytest.fixture
def target(tmp_path: Path) -> Path:
    return tmp_path / "model.gguf.partial"


@pytest.fixture
def slept() -> list[float]:
    return []


@pytest.fixture
def get(target: Path, slept: list[float]) -> Callable[..., Any]:
    async def sleep(seconds: float) -> None:
        slept.append(seconds)

    async def get_one(
        origin: FaultOrigin,
        *,
        sha256: str | None = None,
        size_bytes: int | None = None,
        report: Callable[[Progress], None] | None = None,
        **more: Any,
    ) -> Fetched:
        described = Description(origin.url, "model.gguf", size_bytes=size_bytes, sha256=sha256)
        reporter = Reporter(REF, report)
        return await fetch(described, target, retry=Retry(sleep=sleep), reporter=reporter, **more)

    return get_one


def whole(target: Path, fetched: Fetched, body: bytes = BODY) -> None:
    """The file is `body`, and so are the hashes."""
    assert target.read_bytes() == body
    assert fetched.sha256 == hashlib.sha256(body).hexdigest()
    chunks = fetched.chunks
    assert chunks.size_bytes == len(body)
    spans = [chunks.span(index) for index in range(len(chunks.sha256))]
    assert [hashlib.sha256(body[a:b]).digest() for a, b in spans] == list(chunks.sha256)


def once(number: int, answer: Answer) -> Callable[[Asked], Answer]:
    """`answer` to that request, and right ones to all others."""
    return lambda asked: answer if asked.number == number else Answer()


async def test_each_byte_crosses_the_wire_once(get: Callable[..., Any], target: Path) -> None:
    async with fault_origin(BODY) as origin:
        whole(target, await get(origin, sha256=SHA256, size_bytes=len(BODY)))
        assert origin.sent_bytes == len(BODY)
        assert 1 < origin.most_connections <= 16
        assert origin.asked[0].start == 0


async def test_connections_are_bounded(get: Callable[..., Any], target: Path) -> None:
    async with fault_origin(BODY) as origin:
        whole(target, await get(origin, limits=Limits(connections=2)))
        assert origin.most_connections == 2


async def test_the_front_is_told_as_it_grows(get: Callable[..., Any], target: Path) -> None:
    seen: list[int] = []

    def watch(partial: Path, prefix_bytes: int) -> None:
        assert partial.read_bytes()[:prefix_bytes] == BODY[:prefix_bytes]
        seen.append(prefix_bytes)

    async with fault_origin(BODY) as origin:
        await get(origin, watch=watch)
    assert seen[0] == CHUNK_BYTES
    assert seen == sorted(set(seen))
    assert seen[-1] == len(BODY)


@pytest.mark.parametrize("number", [0, 1, 3])
@pytest.mark.parametrize("after", [0, 100_000, 3 * 2**20])
async def test_a_cut_costs_what_was_under_way_at_most(
    get: Callable[..., Any], target: Path, number: int, after: int
) -> None:
    async with fault_origin(BODY, once(number, Answer(cut_after=after))) as origin:
        whole(target, await get(origin))
        assert origin.sent_bytes <= len(BODY) + CHUNK_BYTES


async def test_a_connection_that_is_cut_again_and_again_still_gets_there(
    get: Callable[..., Any], target: Path
) -> None:
    async with fault_origin(BODY, lambda asked: Answer(cut_after=2**20)) as origin:
        whole(target, await get(origin, limits=Limits(connections=3)))


@pytest.mark.parametrize("status", [429, 503])
async def test_a_busy_server_is_left_alone_while_it_says(
    get: Callable[..., Any], target: Path, slept: list[float], status: int
) -> None:
    busy = Answer(status=status, headers={"Retry-After": "23"})
    async with fault_origin(BODY, once(0, busy)) as origin:
        whole(target, await get(origin))
    assert slept == [pytest.approx(23, abs=0.5)]


async def test_too_many_connections_for_the_server_makes_it_fewer(
    get: Callable[..., Any], target: Path
) -> None:
    """It refuses a third at a time, as nginx's limit_conn does."""
    async with fault_origin(BODY) as origin:

        def behave(asked: Asked) -> Answer:
            return Answer(status=503) if origin.active > 2 else Answer()

        origin.behave = behave
        whole(target, await get(origin, limits=Limits(connections=8)))


async def test_a_server_that_stays_down_is_an_error(get: Callable[..., Any]) -> None:
    async with fault_origin(BODY, lambda asked: Answer(status=500)) as origin:
        with pytest.raises(SourceError, match="500"):
            await get(origin)
        assert len(origin.asked) == Retry().attempts


@pytest.mark.parametrize("size_bytes", [None, len(BODY)])
@pytest.mark.parametrize("sized", [True, False])
async def test_without_ranges_it_is_one_stream(
    get: Callable[..., Any], target: Path, size_bytes: int | None, sized: bool
) -> None:
    behave = Answer(ranges=False, sized=sized)
    async with fault_origin(BODY, lambda asked: behave) as origin:
        whole(target, await get(origin, size_bytes=size_bytes))
        assert len(origin.asked) == 1


async def test_without_ranges_a_cut_stream_is_read_again_and_goes_on(
    get: Callable[..., Any], target: Path
) -> None:
    def behave(asked: Asked) -> Answer:
        return Answer(ranges=False, cut_after=20 * 2**20 if asked.number == 0 else None)

    seen: list[int] = []
    async with fault_origin(BODY, behave) as origin:
        fetched = await get(origin, report=lambda progress: seen.append(progress.done_bytes))
        whole(target, fetched)
    assert seen == sorted(seen), "what was there is not taken again"


async def test_a_part_that_nothing_ties_to_the_others_is_not_used(
    get: Callable[..., Any], target: Path
) -> None:
    """Ranges, but neither a validator nor a hash: two parts may be of two versions."""
    async with fault_origin(BODY, lambda asked: Answer(headers={"ETag": "W/weak"})) as origin:
        whole(target, await get(origin))
        assert [asked.ranged for asked in origin.asked] == [True, False]


@pytest.mark.parametrize("conditional", [True, False])
async def test_a_file_that_changes_half_way_is_never_a_mixture(
    get: Callable[..., Any], target: Path, conditional: bool
) -> None:
    other = random.Random(5).randbytes(len(BODY))
    async with fault_origin(BODY) as origin:

        def behave(asked: Asked) -> Answer:
            if asked.number == 3:
                origin.body, origin.etag = other, '"two"'
            if conditional:
                return Answer()
            # A server that never heard of If-Range.
            found = other[asked.start : asked.end] if origin.body is other else None
            end = asked.start + len(found or b"")
            told = f"bytes {asked.start}-{end - 1}/{len(other)}"
            return Answer(206, body=found, content_range=told if found else None)

        origin.behave = behave
        whole(target, await get(origin), other)


@pytest.mark.parametrize(
    "content_range",
    [
        f"bytes 1-{CHUNK_BYTES}/{len(BODY)}",
        f"bytes 0-{CHUNK_BYTES}/{len(BODY)}",
        f"bytes 0-{CHUNK_BYTES - 1}/{CHUNK_BYTES - 1}",
        "bytes nonsense",
        "",
    ],
)
async def test_a_range_that_is_not_the_one_asked_for_is_not_taken(
    get: Callable[..., Any], target: Path, content_range: str
) -> None:
    behave = once(0, Answer(206, body=BODY[1 : CHUNK_BYTES + 1], content_range=content_range))
    async with fault_origin(BODY, behave) as origin:
        whole(target, await get(origin))


@pytest.mark.parametrize("extra", [-1000, 1000])
@pytest.mark.parametrize("ranges", [True, False])
@pytest.mark.parametrize("sized", [True, False])
async def test_another_size_than_promised_is_refused(
    get: Callable[..., Any], target: Path, extra: int, ranges: bool, sized: bool
) -> None:
    body = (BODY + bytes(1000))[: len(BODY) + extra]
    async with fault_origin(body, lambda asked: Answer(ranges=ranges, sized=sized)) as origin:
        with pytest.raises((DigestError, SourceError)):
            await get(origin, size_bytes=len(BODY))


async def test_wrong_bytes_leave_nothing_behind(get: Callable[..., Any], target: Path) -> None:
    wrong = bytearray(BODY)
    wrong[3 * CHUNK_BYTES + 5] ^= 1
    async with fault_origin(bytes(wrong)) as origin:
        with pytest.raises(DigestError, match=SHA256):
            await get(origin, sha256=SHA256)
    assert not target.exists()
    assert not journal_of(target).exists()


async def test_a_redirect_is_followed_once_and_again_when_it_expires(
    get: Callable[..., Any], target: Path
) -> None:
    issued, uses = 0, 0

    def behave(asked: Asked) -> Answer:
        nonlocal issued, uses
        if asked.path == "/model.gguf":
            issued, uses = issued + 1, 0
            return Answer(302, {"Location": f"/signed/{issued}"})
        uses += 1
        return Answer(status=403) if asked.path != f"/signed/{issued}" or uses > 3 else Answer()

    async with fault_origin(BODY, behave) as origin:
        whole(target, await get(origin, limits=Limits(connections=1)))
        resolved = [asked for asked in origin.asked if asked.path == "/model.gguf"]
        assert 1 < len(resolved) < len(origin.asked) / 2


async def test_an_expired_login_is_renewed(target: Path) -> None:
    def behave(asked: Asked) -> Answer:
        fresh = "Bearer new" in asked.head
        return Answer(status=401) if asked.number > 1 and not fresh else Answer()

    async with fault_origin(BODY, behave) as origin:
        renewed = Description(origin.url, "m", headers={"Authorization": "Bearer new"})

        async def renew() -> Description:
            return renewed

        old = Description(origin.url, "m", headers={"Authorization": "Bearer old"}, renew=renew)
        whole(target, await fetch(old, target, retry=Retry(), reporter=Reporter(REF, None)))


async def test_a_login_stays_with_its_host_on_every_range(target: Path) -> None:
    async with fault_origin(BODY) as there:
        moved = Answer(302, {"Location": there.url})
        async with fault_origin(BODY, lambda asked: moved) as origin:
            login = {"Authorization": "Bearer s3cret"}
            described = Description(origin.url, "m", headers=login)
            limits = Limits(connections=3)
            fetched = await fetch(
                described, target, retry=Retry(), reporter=Reporter(REF, None), limits=limits
            )
            whole(target, fetched)
            assert "s3cret" in origin.asked[0].head
        assert len(there.asked) > 2
        assert not any("s3cret" in asked.head for asked in there.asked)


async def test_a_lane_that_hangs_near_the_end_is_raced(
    get: Callable[..., Any], target: Path
) -> None:
    hung = 0

    def behave(asked: Asked) -> Answer:
        nonlocal hung
        if asked.start >= 4 * CHUNK_BYTES and not hung:
            hung = asked.number
            return Answer(hold_after=2**20)
        return Answer()

    async with fault_origin(BODY, behave) as origin:
        async with asyncio.timeout(30):
            whole(target, await get(origin))
        assert hung


async def test_a_cancelled_fetch_goes_on_where_it_was(
    get: Callable[..., Any], target: Path
) -> None:
    arrived = asyncio.Event()

    def report(progress: Progress) -> None:
        if progress.phase == "download" and progress.done_bytes >= 20 * 2**20:
            arrived.set()

    async with fault_origin(BODY, lambda asked: Answer(hold_after=6 * 2**20)) as origin:
        task = asyncio.ensure_future(get(origin, report=report))
        await arrived.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        origin.behave, origin.sent_bytes = lambda asked: Answer(), 0
        whole(target, await get(origin))
        assert origin.sent_bytes <= len(BODY) - 20 * 2**20


async def test_a_stream_is_laid_around_what_is_there_already(
    get: Callable[..., Any], target: Path
) -> None:
    """Begun over several lanes, then the server has no ranges any more."""
    arrived = asyncio.Event()

    def report(progress: Progress) -> None:
        if progress.done_bytes >= 15 * 2**20:
            arrived.set()

    def behave(asked: Asked) -> Answer:
        return Answer(hold_after=None if asked.start == 2 * CHUNK_BYTES else 2**20 + 77)

    async with fault_origin(BODY, behave) as origin:
        origin.behave = behave
        task = asyncio.ensure_future(get(origin, report=report))
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(arrived.wait(), 3)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        found = read_journal(journal_of(target))
        assert found is not None
        assert any(0 < mark.filled_bytes < CHUNK_BYTES for mark in found[1].values())
        origin.behave = lambda asked: Answer(ranges=False)
        whole(target, await get(origin))


async def test_what_another_wrote_into_the_partial_file_is_fetched_again(
    get: Callable[..., Any], target: Path
) -> None:
    async with fault_origin(BODY) as origin:
        whole(target, await get(origin))
        with target.open("r+b") as file:
            file.seek(2 * CHUNK_BYTES + 7)
            file.write(b"damage")
        origin.sent_bytes = 0
        whole(target, await get(origin))
        assert origin.sent_bytes == CHUNK_BYTES


async def test_a_torn_journal_is_believed_as_far_as_it_goes(
    get: Callable[..., Any], target: Path
) -> None:
    async with fault_origin(BODY) as origin:
        await get(origin)
        journal = journal_of(target)
        journal.write_bytes(journal.read_bytes()[:-20])
        origin.sent_bytes = 0
        whole(target, await get(origin))
        assert 0 < origin.sent_bytes <= CHUNK_BYTES


async def test_an_empty_file_is_a_file(get: Callable[..., Any], target: Path) -> None:
    async with fault_origin(b"", lambda asked: Answer(ranges=False)) as origin:
        whole(target, await get(origin), b"")
        whole(target, await get(origin, size_bytes=0), b"")


async def test_bandwidth_bounds_all_lanes_together(get: Callable[..., Any], target: Path) -> None:
    limits = Limits(bandwidth=Bandwidth(60e6))
    clock = asyncio.get_running_loop().time
    async with fault_origin(BODY) as origin:
        began_s = clock()
        whole(target, await get(origin, limits=limits))
        assert clock() - began_s >= 0.9 * len(BODY) / 60e6


def test_bandwidth_is_paid_for_by_waiting() -> None:
    bucket, now, taken = Bandwidth(1000.0), 0.0, 0
    for count in (50, 500, 10, 700, 100) * 20:
        taken += count
        now += bucket.taken(count, now)
    assert taken / now == pytest.approx(1000, rel=0.02)


def test_many_files_share_the_connections() -> None:
    limits = Limits(connections=16, all_connections=24)
    with limits.file() as one:
        assert one() == 16
        with limits.file() as other:
            assert (one(), other()) == (12, 12)
        assert one() == 16
