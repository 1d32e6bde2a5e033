"""Removing, pinning, holding and collecting, in a real store."""

from __future__ import annotations

import math
import os
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from gguf_writer import gguf, large_model
from model_server import Cut, ModelServer, Page, Refuse, sha256

from pilotlight.core import ModelFiles, ModelRef
from pilotlight.errors import SourceError, StoreError, UnknownModelError
from pilotlight.store.collection import Bounds, Collected, collect
from pilotlight.store.store import Store

DAY_S = 86400.0
Add = Callable[..., Awaitable[ModelFiles]]


@pytest.fixture
def add(store: Store, server: ModelServer) -> Add:
    async def fetch(name: str, body: bytes, *, used_s: float | None = None) -> ModelFiles:
        ref = ModelRef.parse(server.add(f"/{name}.gguf", Page(body)))
        files = await store.resolve(ref)
        store.settle()
        if used_s is not None:
            os.utime(files.path.parents[1] / "used", (used_s, used_s))
        return files

    return fetch


def gc(
    store: Store, *, age_s: float = math.inf, size: int | None = None, **more: bool
) -> Collected:
    bounds = Bounds(max_age_s=age_s, max_bytes=size)
    return collect(store.keeping, bounds, time.time(), **more)


def blobs(store: Store) -> set[str]:
    return set(store.keeping.blobs)


async def test_a_removed_model_takes_its_bytes_along(store: Store, add: Add) -> None:
    files = await add("a", gguf())
    shelf = store.keeping.find(str(files.ref))
    assert store.keeping.remove(shelf) == len(gguf())
    assert store.present(files.ref) is None
    assert (store.list(), blobs(store)) == ((), set())
    assert not shelf.directory.exists()
    with pytest.raises(UnknownModelError, match=r"a\.gguf"):
        store.keeping.find(str(files.ref))


async def test_bytes_that_another_model_has_stay(store: Store, add: Add) -> None:
    one, other = await add("a", gguf()), await add("b", gguf())
    assert store.keeping.remove(store.keeping.find(str(one.ref))) == 0
    assert other.path.read_bytes() == gguf()
    assert store.keeping.remove(store.keeping.find(str(other.ref))) == len(gguf())


async def test_a_pinned_model_stays_until_it_is_unpinned_or_forced(store: Store, add: Add) -> None:
    files = await add("a", gguf(), used_s=0.0)
    shelf = store.keeping.find(str(files.ref))
    store.keeping.pin(shelf)
    with pytest.raises(StoreError, match="is pinned"):
        store.keeping.remove(shelf)
    assert gc(store, age_s=0.0, size=0).models == ()
    store.keeping.unpin(shelf)
    store.keeping.remove(shelf)
    assert store.present(files.ref) is None


async def test_a_loaded_model_stays_until_its_server_lets_go(store: Store, add: Add) -> None:
    files = await add("a", gguf(), used_s=0.0)
    shelf = store.keeping.find(str(files.ref))
    with store.hold(files), store.hold(files):
        os.utime(shelf.used, (0.0, 0.0))
        with pytest.raises(StoreError, match="is loaded by a running server"):
            store.keeping.remove(shelf)
        found = gc(store, age_s=0.0, size=0)
        assert (found.models, found.over_bytes) == ((), len(gguf()))
    os.utime(shelf.used, (0.0, 0.0))
    assert [one.ref for one in gc(store, age_s=1.0).models] == [str(files.ref)]


async def test_a_model_may_be_forced_away_from_under_a_server(store: Store, add: Add) -> None:
    files = await add("a", gguf())
    with store.hold(files), files.path.open("rb") as opened:
        store.keeping.remove(store.keeping.find(str(files.ref)), force=True)
        assert opened.read() == gguf()
    with pytest.raises(StoreError, match="fetch it again"):
        store.hold(files)


async def test_files_of_the_users_own_need_no_hold(store: Store, tmp_path: Path) -> None:
    path = tmp_path / "mine.gguf"
    path.write_bytes(gguf())
    with store.hold(await store.resolve(ModelRef("file", str(path)))):
        assert not store.keeping.directory.exists()


async def test_collecting_by_age_and_by_size(store: Store, add: Add) -> None:
    now = time.time()
    size = len(gguf())
    for days, name in enumerate("abcd"):
        await add(name, gguf(fill=ord(name)), used_s=now - days * DAY_S)
    would = gc(store, age_s=2.5 * DAY_S, size=2 * size, dry_run=True)
    assert len(store.list()) == 4
    found = gc(store, age_s=2.5 * DAY_S, size=2 * size)
    assert found == would
    assert [one.ref[-6:] for one in found.models] == ["d.gguf", "c.gguf"]
    assert (found.freed_bytes, found.kept_bytes, found.over_bytes) == (2 * size, 2 * size, 0)
    assert [one.snapshot.ref[-6:] for one in store.list()] == ["a.gguf", "b.gguf"]
    assert len(blobs(store)) == 2


async def test_using_a_model_makes_it_young(store: Store, add: Add) -> None:
    files = await add("a", gguf(), used_s=0.0)
    await store.resolve(files.ref)
    assert gc(store, age_s=DAY_S).models == ()


async def test_what_fetches_left_behind_goes_after_a_day(
    store: Store, server: ModelServer, slept: list[float]
) -> None:
    model = large_model(3 * 2**20)
    page = Page(model, {"ETag": '"one"'}, faults=[Cut(2**20), *[Refuse(403)] * 40])
    ref = ModelRef.parse(server.add("/part.gguf", page))
    with pytest.raises(SourceError):
        await store.resolve(ref)
    partials = [*store.directory.rglob("*.partial")]
    assert partials
    assert gc(store).leftover_bytes == 0
    bounds = Bounds(max_age_s=math.inf, max_bytes=None)
    later = time.time() + 2 * DAY_S
    would = collect(store.keeping, bounds, later, dry_run=True)
    assert partials == [*store.directory.rglob("*.partial")]
    assert collect(store.keeping, bounds, later) == would
    assert would.leftover_bytes > 2**19
    assert [*(store.directory / "models").iterdir()] == []


async def test_a_blob_of_no_model_goes_after_a_day(store: Store, add: Add) -> None:
    files = await add("a", gguf())
    orphan = gguf(fill=9)
    path = store.keeping.blobs.path(sha256(orphan))
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(orphan)
    bounds = Bounds(max_age_s=math.inf, max_bytes=None)
    collect(store.keeping, bounds, time.time())
    assert path.exists()
    collect(store.keeping, bounds, time.time() + 2 * DAY_S)
    assert not path.exists()
    assert store.present(files.ref) == files


async def test_a_snapshot_of_a_later_version_keeps_every_blob(store: Store, add: Add) -> None:
    one, other = await add("a", gguf()), await add("b", gguf(fill=1))
    store.keeping.find(str(one.ref)).snapshot_path.write_text('{"format": 99}')
    bounds = Bounds(max_age_s=0.0, max_bytes=None)
    collect(store.keeping, bounds, time.time() + 2 * DAY_S)
    assert store.present(other.ref) is None
    assert blobs(store) == {sha256(gguf()), sha256(gguf(fill=1))}


async def test_an_earlier_versions_directory_is_left_alone_and_named(
    store: Store, add: Add
) -> None:
    await add("a", gguf())
    old = store.directory / "pypi-tiny-0123456789abcdef"
    old.mkdir()
    (old / "manifest.json").write_text("{}")
    found = gc(store, age_s=0.0, size=0)
    assert found.foreign == (old,)
    assert old.exists()
    assert store.list() == ()
