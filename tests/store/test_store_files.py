"""file: refs, the list of what is stored, and schemes that nothing fetches yet."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from gguf_writer import gguf
from model_server import ModelServer, Page, sha256

from pilotlight.core import ModelFiles, ModelRef
from pilotlight.errors import DigestError, SourceError, StoreError
from pilotlight.store.progress import Progress
from pilotlight.store.store import Store


@pytest.fixture
def model(tmp_path: Path) -> Path:
    path = tmp_path / "mine.gguf"
    path.write_bytes(gguf())
    return path


async def test_a_file_is_used_where_it_is(store: Store, model: Path, tmp_path: Path) -> None:
    ref = ModelRef.parse(str(model))
    expected = ModelFiles(ref, model, len(gguf()), None)
    assert store.present(ref) == await store.resolve(ref) == expected
    assert not (tmp_path / "store").exists()


async def test_home_and_relative_paths_become_absolute(
    store: Store, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(model.parent))
    monkeypatch.chdir(model.parent)
    for text in ("file:~/mine.gguf", "file:mine.gguf", "./mine.gguf"):
        files = await store.resolve(ModelRef.parse(text))
        assert files.path.is_absolute()
        assert files.path.samefile(model)


async def test_a_pinned_file_is_hashed_once_while_it_is_unchanged(
    store: Store, model: Path
) -> None:
    ref, pin = ModelRef("file", str(model)), f"sha256:{sha256(gguf())}"
    seen: list[Progress] = []
    files = await store.resolve(ref, digest=pin, report=seen.append)
    assert files.digest == pin
    assert seen[-1] == Progress(ref, "verify", len(gguf()), len(gguf()))
    seen.clear()
    assert await store.resolve(ref, digest=pin, report=seen.append) == files
    assert seen == []
    model.write_bytes(gguf(fill=1))
    os.utime(model, ns=(1, 1))
    with pytest.raises(DigestError, match=sha256(gguf(fill=1))):
        await store.resolve(ref, digest=pin)


async def test_a_remembered_hash_is_of_that_file_only(
    store: Store, model: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The same relative ref is another file from another directory."""
    ref = ModelRef.parse("./mine.gguf")
    monkeypatch.chdir(model.parent)
    await store.resolve(ref, digest=f"sha256:{sha256(gguf())}")
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    assert store.present(ref) is None
    (elsewhere / "mine.gguf").write_bytes(gguf(fill=3))
    found = store.present(ref)
    assert found is not None
    assert (found.path, found.digest) == (elsewhere / "mine.gguf", None)


async def test_a_missing_file_is_named(store: Store) -> None:
    ref = ModelRef.parse("/no/such/model.gguf")
    assert store.present(ref) is None
    with pytest.raises(SourceError, match=r"no file '/no/such/model\.gguf'"):
        await store.resolve(ref)


async def test_a_directory_lists_its_models(store: Store, model: Path) -> None:
    with pytest.raises(SourceError, match="is a directory") as caught:
        await store.resolve(ModelRef("file", str(model.parent)))
    assert "mine.gguf" in (caught.value.hint or "")


async def test_files_work_offline(make_store: Callable[..., Store], model: Path) -> None:
    files = await make_store(offline=True).resolve(ModelRef("file", str(model)))
    assert files.path == model


async def test_lists_what_is_stored(store: Store, server: ModelServer) -> None:
    assert store.list() == ()
    urls = [server.add(f"/{name}.gguf", Page(gguf(fill=ord(name)))) for name in "ba"]
    for url in urls:
        await store.resolve(ModelRef.parse(url))
    stored = store.list()
    assert [one.snapshot.ref for one in stored] == sorted(urls)
    assert all(one.path.is_file() for one in stored)
    stored[0].path.unlink()
    assert [one.snapshot.ref for one in store.list()] == [urls[0]]


@pytest.mark.parametrize("snapshot", [b"", b"{}", b'{"format": 99}', b"\xff"])
async def test_a_snapshot_nobody_can_read_is_as_good_as_none(
    store: Store, server: ModelServer, snapshot: bytes
) -> None:
    ref = ModelRef.parse(server.add("/tiny.gguf", Page(gguf())))
    files = await store.resolve(ref)
    store.settle()
    (files.path.parents[1] / "snapshot.json").write_bytes(snapshot)
    assert store.present(ref) is None
    assert store.list() == ()
    assert await store.resolve(ref) == files


async def test_a_directory_that_cant_be_made_is_named(
    make_store: Callable[..., Store], server: ModelServer, tmp_path: Path
) -> None:
    (tmp_path / "store").write_text("a file where the directory should be")
    ref = ModelRef.parse(server.add("/tiny.gguf", Page(gguf())))
    with pytest.raises(StoreError, match=r"can't fetch 'http.*tiny\.gguf'.*can't be written"):
        await make_store().resolve(ref)


async def test_a_ref_that_is_an_engines_own_affair_names_the_engine(store: Store) -> None:
    with pytest.raises(SourceError, match="nothing to fetch") as caught:
        await store.resolve(ModelRef("python", "mine.py:Mine"))
    assert caught.value.hint == "write engine: python beside the ref"
