"""A flipped bit is found, named by its chunk, and mended from the source."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from gguf_writer import gguf, large_model
from model_server import ModelServer, Page, index_json, sha256, wheel

from pilotlight.core import ModelFiles, ModelRef
from pilotlight.store.progress import Reporter
from pilotlight.store.store import Store
from pilotlight.store.verification import Flaw, Verdict

CHUNK = 8 * 2**20
MODEL = large_model(2 * CHUNK + 1000)


@pytest.fixture
def page() -> Page:
    return Page(MODEL, {"ETag": '"one"'})


@pytest.fixture
async def files(store: Store, server: ModelServer, page: Page) -> ModelFiles:
    found = await store.resolve(ModelRef.parse(server.add("/big.gguf", page)))
    store.settle()
    return found


async def verified(store: Store, ref: ModelRef) -> tuple[Verdict, ...]:
    snapshot = store.keeping.find(str(ref)).snapshot()
    assert snapshot is not None
    return await store.verifier().verify(ref, snapshot, Reporter(ref, None))


def flip(path: Path, at: int) -> None:
    """As a disk does it: nobody's clock tells."""
    before = path.stat()
    path.resolve().chmod(0o644)
    with path.open("r+b") as file:
        file.seek(at)
        (byte,) = file.read(1)
        file.seek(at)
        file.write(bytes([byte ^ 1]))
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


async def test_a_whole_model_is_good(store: Store, files: ModelFiles) -> None:
    assert await verified(store, files.ref) == (Verdict("big.gguf"),)


@pytest.mark.parametrize("at", [0, CHUNK - 1, CHUNK, 2 * CHUNK + 5, len(MODEL) - 1])
async def test_only_the_flipped_chunk_is_fetched(
    store: Store, server: ModelServer, files: ModelFiles, at: int
) -> None:
    flip(files.path, at)
    assert store.present(files.ref) == files, "nothing but hashing finds it"
    server.requests.clear()
    (verdict,) = await verified(store, files.ref)
    chunk = at // CHUNK
    end = min(len(MODEL), (chunk + 1) * CHUNK)
    assert verdict == Verdict("big.gguf", (Flaw(chunk, chunk * CHUNK, end),), mended=True)
    ranges = [request.headers["Range"] for request in server.requests]
    assert ranges == [f"bytes={chunk * CHUNK}-{end - 1}"]
    assert files.path.read_bytes() == MODEL
    assert store.present(files.ref) == files


@pytest.mark.parametrize("change", [lambda p: os.truncate(p, CHUNK + 7), lambda p: grow(p)])
async def test_a_cut_or_grown_file_is_mended(
    store: Store, files: ModelFiles, change: Callable[[Path], None]
) -> None:
    change(files.path)
    assert store.present(files.ref) is None
    (verdict,) = await verified(store, files.ref)
    assert verdict.mended
    assert files.path.read_bytes() == MODEL
    assert store.present(files.ref) == files


def grow(path: Path) -> None:
    with path.open("ab") as file:
        file.write(b"more")


@pytest.mark.parametrize("source", ["changed", "gone", "without ranges"])
async def test_what_cant_be_mended_is_no_longer_present(
    store: Store, server: ModelServer, files: ModelFiles, page: Page, source: str
) -> None:
    flip(files.path, CHUNK)
    if source == "changed":
        page.body = bytes(len(MODEL))
    elif source == "gone":
        del server.pages["/big.gguf"]
    else:
        page.ranges = False
    (verdict,) = await verified(store, files.ref)
    assert [flaw.chunk for flaw in verdict.flaws] == [1]
    assert not verdict.good
    assert verdict.reason
    assert store.present(files.ref) is None
    page.body = MODEL
    server.add("/big.gguf", page)
    assert (await store.resolve(files.ref)).path.read_bytes() == MODEL
    assert await verified(store, files.ref) == (Verdict("big.gguf"),)


async def test_a_damaged_record_is_written_anew(store: Store, files: ModelFiles) -> None:
    record = store.keeping.blobs.record_path(sha256(MODEL))
    before = store.list()[0].chunk_hashes(store.list()[0].snapshot.files[0])
    record.write_text("{")
    assert (await verified(store, files.ref))[0].good
    assert store.list()[0].chunk_hashes(store.list()[0].snapshot.files[0]) == before


async def test_a_record_that_agrees_with_wrong_bytes_is_not_believed(
    store: Store, files: ModelFiles
) -> None:
    flip(files.path, CHUNK)
    record = store.keeping.blobs.record_path(sha256(MODEL))
    good, bad = (sha256(body[CHUNK : 2 * CHUNK]) for body in (MODEL, files.path.read_bytes()))
    record.write_text(record.read_text().replace(good, bad))
    (verdict,) = await verified(store, files.ref)
    assert not verdict.good
    assert store.present(files.ref) is None
    assert (await store.resolve(files.ref)).path.read_bytes() == MODEL


async def test_a_touched_file_is_present_again(store: Store, files: ModelFiles) -> None:
    os.utime(files.path)
    assert store.present(files.ref) is None
    assert (await verified(store, files.ref))[0].good
    assert store.present(files.ref) == files


async def test_of_an_archive_no_part_can_be_fetched(
    make_store: Callable[..., Store], server: ModelServer
) -> None:
    name = "tiny_model-1.0-py3-none-any.whl"
    body = wheel({"tiny_model/tiny.gguf": gguf()})
    entry = {"filename": name, "url": f"../../files/{name}", "hashes": {"sha256": sha256(body)}}
    server.add("/simple/tiny-model/", index_json([{**entry, "size": len(body)}]))
    server.add(f"/files/{name}", Page(body))
    store = make_store(index_url=f"{server.origin}/simple/")
    files = await store.resolve(ModelRef.parse("pypi:tiny-model"))
    flip(files.path, 100)
    (verdict,) = await verified(store, files.ref)
    assert "pilotlight pull" in (verdict.reason or "")
    assert (await store.resolve(files.ref)).path.read_bytes() == gguf()
