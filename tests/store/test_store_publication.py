"""Killed or cut off from power after any step: what is reported present is right, always."""

from __future__ import annotations

import asyncio
import hashlib
import math
import os
import signal
import sys
import tempfile
import time
from collections.abc import Generator, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from unittest.mock import patch

import pytest
from gguf_writer import gguf
from hypothesis import given, settings
from hypothesis import strategies as st
from model_server import ModelServer
from repository import publish as publish_repository

from pilotlight.config import StoreSettings
from pilotlight.core import ModelRef
from pilotlight.store.blobs import Blobs
from pilotlight.store.collection import Bounds, collect
from pilotlight.store.digest import digest_file
from pilotlight.store.publication import Arrived, publish, settle
from pilotlight.store.shelf import BLOBS, Shelf
from pilotlight.store.snapshot import Snapshot
from pilotlight.store.store import Store

FILES = {"a.gguf": gguf(fill=1), "deep/b.gguf": gguf(fill=2), "c.gguf": gguf(fill=1)}
REF = ModelRef.parse("https://models.invalid/m")
SNAPSHOT = Snapshot(
    ref=str(REF),
    revision=None,
    source="https://models.invalid/m",
    fetched_at="2026-01-01T00:00:00+00:00",
    files=(),
    entry="a.gguf",
    boot=None,
)


@dataclass
class Disk:
    """A store, and which of its blobs a power cut would leave."""

    directory: Path
    boots: int = 0
    synced: set[str] = field(default_factory=set)

    @property
    def blobs(self) -> Blobs:
        return Blobs(self.directory / BLOBS)

    @property
    def shelf(self) -> Shelf:
        return Shelf.of(self.directory, REF)

    def steps(self) -> Generator[str, None, None]:
        """What a process does that has just fetched what isn't here."""
        self.shelf.directory.mkdir(parents=True, exist_ok=True)
        arrived = [self._arrived(name, body) for name, body in FILES.items()]
        yield from publish(self.shelf, self.blobs, arrived, SNAPSHOT)
        yield from self._settle()

    def stopped_after(self, count: int) -> list[str]:
        """The steps of a process that ends after so many; the kernel drops its locks."""
        steps = self.steps()
        names = []
        for _, step in zip(range(count), steps, strict=False):
            names.append(step)
            self.check()
        steps.close()
        return names

    def _settle(self) -> Iterator[str]:
        for step in settle(self.shelf, self.blobs):
            if step.startswith("settle "):
                self.synced.add(hashlib.sha256(FILES[step.removeprefix("settle ")]).hexdigest())
            yield step

    def _arrived(self, name: str, body: bytes) -> Arrived:
        sha256 = hashlib.sha256(body).hexdigest()
        if self.blobs.vouch(sha256, lambda done_bytes: None):
            return Arrived(name, sha256)
        self.synced.discard(sha256)
        partial = self.shelf.partial(name)
        partial.write_bytes(body)
        return Arrived(name, sha256, partial, digest_file(partial, lambda done_bytes: None)[1])

    def cut(self) -> None:
        """The worst power cut: every name and note is there, and no byte that wasn't synced."""
        self.boots += 1
        for sha256 in self.blobs:
            path = self.blobs.path(sha256)
            if sha256 not in self.synced and path.exists():
                found = path.stat()
                path.chmod(0o644)
                path.write_bytes(bytes(found.st_size))
                path.chmod(0o444)
                os.utime(path, ns=(found.st_atime_ns, found.st_mtime_ns))

    def check(self) -> bool:
        """Whether the model is there; what is there must be right."""
        for sha256 in self.blobs:
            if self.blobs.trusted(sha256):
                assert hashlib.sha256(self.blobs.path(sha256).read_bytes()).hexdigest() == sha256
        present = Store(self.directory, StoreSettings()).present(REF)
        if present is not None:
            assert {name: (self.shelf.files / name).read_bytes() for name in FILES} == FILES
        return present is not None


@given(st.lists(st.tuples(st.integers(0, 14), st.booleans()), max_size=4))
@settings(max_examples=150, deadline=None)
def test_any_number_of_crashes_leaves_nothing_wrong(crashes: list[tuple[int, bool]]) -> None:
    with tempfile.TemporaryDirectory() as place:
        disk = Disk(Path(place))
        with patch("pilotlight.store.boot.current", lambda: str(disk.boots)):
            for count, power in crashes:
                disk.stopped_after(count)
                if power:
                    disk.cut()
                disk.check()
            for _ in disk.steps():
                pass
            assert disk.check()
            disk.cut()
            assert disk.check(), "settled is settled"


def test_a_process_may_end_after_any_step(tmp_path: Path) -> None:
    names = list(Disk(tmp_path / "whole").steps())
    assert names[names.index("vouch") + 1].startswith("settle "), "usable before it is synced"
    for stop in range(len(names)):
        disk = Disk(tmp_path / str(stop))
        disk.stopped_after(stop)
        assert disk.check() == (stop > names.index("vouch"))


@pytest.mark.parametrize(
    "step", ["move in model.safetensors", "withdraw", "link", "vouch", "sync names"]
)
async def test_a_killed_process_leaves_what_the_next_one_goes_on_with(
    server: ModelServer, tmp_path: Path, step: str
) -> None:
    weights = b"\x02\0\0\0\0\0\0\0{}"
    publish_repository(server, {"config.json": b"{}", "model.safetensors": weights}, promised=False)
    program = Path(__file__).with_name("crashing_process.py")
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, str(program), str(tmp_path / "store"), server.origin, "hf:org/repo", step)
    )
    assert await process.wait() == -signal.SIGKILL
    store = Store(tmp_path / "store", StoreSettings(hf_endpoint=server.origin))
    ref = ModelRef.parse("hf:org/repo")
    assert (store.present(ref) is not None) == (step in ("vouch", "sync names"))
    files = await store.resolve(ref)
    store.settle()
    assert (files.path / "model.safetensors").read_bytes() == weights
    bounds = Bounds(max_age_s=math.inf, max_bytes=None)
    collect(store.keeping, bounds, time.time() + 2 * 86400)
    assert not [*(tmp_path / "store").rglob("*.partial*")]
    assert store.present(ref) == files
