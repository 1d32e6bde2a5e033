"""The fake store: files at once, or after a fetch that a test holds."""

from __future__ import annotations

import asyncio

import pytest

from pilotlight.core import ModelRef
from pilotlight.errors import DigestError, SourceError
from pilotlight.store.progress import Progress
from pilotlight.testing import FakeStore

REF = ModelRef.parse("fake:pilot")


async def test_present_without_a_fetch() -> None:
    store = FakeStore()
    assert store.present(REF) == await store.resolve(REF)
    assert store.fetched == []


async def test_a_fetch_can_be_held_and_reports() -> None:
    store, seen = FakeStore(absent=frozenset({"pilot"})), list[Progress]()
    store.hold_back("pilot")
    assert store.present(REF) is None
    fetch = asyncio.create_task(store.resolve(REF, report=seen.append))
    await store.reached("pilot")
    assert [progress.done_bytes for progress in seen] == [0]
    store.release("pilot")
    assert (await fetch) == store.present(REF)
    assert store.fetched == ["pilot"]


async def test_a_fetch_can_fail_and_be_tried_again() -> None:
    store = FakeStore(absent=frozenset({"pilot"}))
    store.fail = "the source is down"
    with pytest.raises(SourceError, match="the source is down"):
        await store.resolve(REF)
    store.fail = None
    await store.resolve(REF)


async def test_other_refs_and_digests_are_refused() -> None:
    with pytest.raises(SourceError):
        await FakeStore().resolve(ModelRef.parse("pypi:x"))
    with pytest.raises(DigestError):
        await FakeStore().resolve(REF, digest="sha256:00")
