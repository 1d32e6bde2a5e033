"""A fetch that is killed a hundred times: what it loses, and what it ever lets others see.

    python -m benchmarks.kills [--kills N]

Each process resolves the same model through the store and is killed (SIGKILL) after a random
part of what is left has been sent, or while it publishes. After every kill each claim of the
journal is compared with the model's bytes, and the model must be absent or whole.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import hashlib
import os
import random
import re
import signal
import sys
import tempfile
import time
from asyncio.subprocess import PIPE, Process
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.report import Figure, Goal, Report
from benchmarks.spread import spread
from pilotlight.config import StoreSettings
from pilotlight.core import ModelRef
from pilotlight.store.chunks import CHUNK_BYTES
from pilotlight.store.journal import Mark, journal_of, read_journal
from pilotlight.store.store import Store

CONNECTIONS = StoreSettings().connections
MODEL_BYTES = 20 * CHUNK_BYTES + 4321
_BLOCK_BYTES = 128 * 1024
_RANGE = re.compile(rb"(?i)\r\nrange: bytes=(\d+)-(\d*)")

_RESOLVE = """
import asyncio, sys
from pathlib import Path
from pilotlight.config import StoreSettings
from pilotlight.core import ModelRef
from pilotlight.store.store import Store
store = Store(Path(sys.argv[1]), StoreSettings())
asyncio.run(store.resolve(ModelRef.parse(sys.argv[2])))
"""


@dataclass
class Origin:
    """Counts what it sends, and kills its client at a given count."""

    body: bytes
    sent_bytes: int = 0
    kill_at: int | None = None
    kill_delay_s: float = 0.0
    victim: Process | None = None
    asked: list[tuple[int, int]] = field(default_factory=list)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                await self._answer(await reader.readuntil(b"\r\n\r\n"), writer)
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()

    async def _answer(self, head: bytes, writer: asyncio.StreamWriter) -> None:
        match = _RANGE.search(head)
        size = len(self.body)
        start = int(match[1]) if match else 0
        end = min(int(match[2]) + 1, size) if match and match[2] else size
        self.asked.append((start, end))
        writer.write(
            f"HTTP/1.1 206 Partial Content\r\nContent-Length: {end - start}\r\n"
            f'ETag: "one"\r\nContent-Range: bytes {start}-{end - 1}/{size}\r\n\r\n'.encode()
        )
        for at in range(start, end, _BLOCK_BYTES):
            block = self.body[at : min(end, at + _BLOCK_BYTES)]
            writer.write(block)
            await writer.drain()
            self.sent_bytes += len(block)
            self._kill()

    def _kill(self) -> None:
        due = self.kill_at is not None and self.sent_bytes >= self.kill_at
        if due and self.victim is not None:
            self.kill_at = None
            asyncio.get_running_loop().call_later(self.kill_delay_s, _kill, self.victim)


def _kill(victim: Process) -> None:
    if victim.returncode is None:
        # Not Process.kill: that reaps a process which has just ended, before asyncio does.
        with contextlib.suppress(ProcessLookupError):
            os.kill(victim.pid, signal.SIGKILL)


@dataclass
class Trial:
    """One model in one store, fetched and killed over and over."""

    origin: Origin
    directory: Path
    ref: ModelRef
    lost_bytes: list[int] = field(default_factory=list)
    repeated_bytes: int = 0
    unverified: int = 0
    completed: int = 0

    async def kill_once(self, draw: random.Random) -> None:
        before = self._marks()
        there = sum(mark.filled_bytes for mark in before.values())
        left = len(self.origin.body) - there
        self.origin.sent_bytes, self.origin.asked = 0, []
        # Soon after the last byte it verifies and publishes, or is done before the kill.
        self.origin.kill_at = draw.choice((left, draw.randint(0, left // 3)))
        self.origin.kill_delay_s = draw.random() * 0.2 if self.origin.kill_at == left else 0.0
        if not await self._run():
            self.completed += 1
            self._empty()
            return
        after = self._marks()
        got = sum(mark.filled_bytes for mark in after.values()) - there
        if self._whole():
            got = left
        self.lost_bytes.append(max(0, self.origin.sent_bytes - got))
        self.repeated_bytes += self._again(before)

    async def _run(self) -> bool:
        """Whether it was killed."""
        argv = [sys.executable, "-c", _RESOLVE, str(self.directory), str(self.ref)]
        self.origin.victim = await asyncio.create_subprocess_exec(*argv, stdout=PIPE)
        await self.origin.victim.communicate()
        code = self.origin.victim.returncode
        if code not in (0, -9):
            raise RuntimeError(f"the fetch failed with {code}")
        if code == 0 and not self._whole():
            self.unverified += 1
        return code != 0

    def _whole(self) -> bool:
        files = Store(self.directory, StoreSettings()).present(self.ref)
        if files is None:
            return False
        if files.path.read_bytes() != self.origin.body:
            self.unverified += 1
        return True

    def _marks(self) -> dict[int, Mark]:
        """What the partial file's journal vouches for, each claim checked."""
        partial = next(self.directory.rglob("*.partial"), None)
        found = None if partial is None else read_journal(journal_of(partial))
        if partial is None or found is None:
            return {}
        content = partial.read_bytes()
        for index, mark in found[1].items():
            span = slice(index * CHUNK_BYTES, index * CHUNK_BYTES + mark.filled_bytes)
            true = hashlib.sha256(self.origin.body[span]).digest() == mark.sha256
            if not true or content[span] != self.origin.body[span]:
                self.unverified += 1
        return found[1]

    def _again(self, before: dict[int, Mark]) -> int:
        """Bytes asked for that an earlier process had noted already."""
        total = 0
        for start, end in self.origin.asked:
            for index, mark in before.items():
                first = index * CHUNK_BYTES
                total += max(0, min(end, first + mark.filled_bytes) - max(start, first))
        return total

    def _empty(self) -> None:
        """A new model for the next kills: the store forgets this one."""
        for path in sorted(self.directory.rglob("*"), reverse=True):
            path.rmdir() if path.is_dir() and not path.is_symlink() else path.unlink()


async def run(kills: int) -> Report:
    draw = random.Random(0)
    origin = Origin(b"GGUF" + draw.randbytes(MODEL_BYTES - 4))
    server = await asyncio.start_server(origin.serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    sha256 = hashlib.sha256(origin.body).hexdigest()
    ref = ModelRef.parse(f"http://127.0.0.1:{port}/model.gguf#sha256={sha256}")
    began = time.perf_counter()
    with tempfile.TemporaryDirectory() as name:
        trial = Trial(origin, Path(name) / "store", ref)
        trial.directory.mkdir()
        while len(trial.lost_bytes) < kills:
            await trial.kill_once(draw)
    server.close()
    lost = [each / CHUNK_BYTES for each in trial.lost_bytes]
    figures = (
        Figure("unverified bytes seen", "times", trial.unverified, Goal(0)),
        Figure("asked for again what was noted", "bytes", trial.repeated_bytes, Goal(0)),
        Figure("most lost by one kill", "chunks", max(lost), Goal(CONNECTIONS)),
        Figure("lost by a kill", "chunks", spread(lost)),
        Figure("models completed between the kills", "", trial.completed),
    )
    raw = {"lost_bytes": trial.lost_bytes, "seconds": time.perf_counter() - began}
    return Report("kills", figures, raw)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.kills", description=__doc__)
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--output", type=Path, help="JSON; else benchmarks/results/kills.json")
    given = parser.parse_args()
    return asyncio.run(run(given.kills)).publish(given.output)


if __name__ == "__main__":
    raise SystemExit(main())
