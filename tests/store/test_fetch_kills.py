"""kill -9 of a real fetching process, at random moments."""

from __future__ import annotations

import asyncio
import hashlib
import random
import sys
from asyncio.subprocess import PIPE
from pathlib import Path

from fault_origin import Asked, FaultOrigin, fault_origin

from pilotlight.store.chunks import CHUNK_BYTES
from pilotlight.store.journal import Mark, journal_of, read_journal

BODY = random.Random(6).randbytes(9 * CHUNK_BYTES + 777)
SHA256 = hashlib.sha256(BODY).hexdigest()
PROGRAM = Path(__file__).with_name("fetch_process.py")
CONNECTIONS = 4
KILLS = 10


async def fetching(origin: FaultOrigin, target: Path, kill_after: int | None) -> str | None:
    """Fetch in a process, killed once the origin has sent so much; what it printed."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, str(PROGRAM), origin.url, str(target), SHA256, str(CONNECTIONS), stdout=PIPE
    )

    def kill(sent_bytes: int) -> None:
        if kill_after is not None and sent_bytes >= kill_after:
            origin.on_sent = lambda sent_bytes: None
            process.kill()

    origin.sent_bytes, origin.on_sent = 0, kill
    output, _ = await process.communicate()
    return output.decode().strip() if process.returncode == 0 else None


def marks(target: Path) -> dict[int, Mark]:
    """What the journal claims; every claim is true of the file and of the model."""
    found = read_journal(journal_of(target))
    claimed = {} if found is None else found[1]
    content = target.read_bytes() if claimed else b""
    for index, mark in claimed.items():
        span = slice(index * CHUNK_BYTES, index * CHUNK_BYTES + mark.filled_bytes)
        assert content[span] == BODY[span], "unverified bytes are vouched for"
        assert hashlib.sha256(BODY[span]).digest() == mark.sha256
    return claimed


def again_bytes(asked: list[Asked], before: dict[int, Mark]) -> int:
    """How much was asked for that was there already."""
    total = 0
    for one in asked:
        for index, mark in before.items():
            start = index * CHUNK_BYTES
            end = min(one.end or len(BODY), start + mark.filled_bytes)
            total += max(0, end - max(one.start, start))
    return total


async def test_a_killed_fetch_loses_and_repeats_next_to_nothing(tmp_path: Path) -> None:
    draw = random.Random(7)
    target = tmp_path / "model.gguf.partial"
    wasted_bytes = 0
    async with fault_origin(BODY) as origin:
        for _ in range(KILLS):
            before, asked_before = marks(target), len(origin.asked)
            left = len(BODY) - sum(mark.filled_bytes for mark in before.values())
            printed = await fetching(origin, target, draw.randint(0, max(1, left // 3)))
            assert again_bytes(origin.asked[asked_before:], before) == 0
            got = left - len(BODY) + sum(mark.filled_bytes for mark in marks(target).values())
            wasted_bytes = max(wasted_bytes, origin.sent_bytes - got)
            if printed is not None:
                break
        assert await fetching(origin, target, None) == SHA256
    assert target.read_bytes() == BODY
    assert wasted_bytes <= CONNECTIONS * CHUNK_BYTES
