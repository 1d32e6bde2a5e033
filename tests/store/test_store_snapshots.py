"""Models in several files, equal files kept once, stores that are shared or can't be written."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import struct
import subprocess
import sys
from asyncio.subprocess import PIPE, STDOUT
from collections.abc import Callable
from pathlib import Path

import pytest
from gguf_writer import gguf, large_model
from model_server import Hold, ModelServer, Page, sha256
from repository import COMMIT, publish

from pilotlight.core import ModelRef
from pilotlight.errors import DigestError, DiskFullError, SourceError, StoreError
from pilotlight.store.formats import refuse_parts, refuse_pickles
from pilotlight.store.progress import Progress
from pilotlight.store.sources.base import Description, Listing
from pilotlight.store.store import Store

HEADER = b'{"w":{"dtype":"F32","shape":[8],"data_offsets":[0,32]}}'
WEIGHTS = struct.pack("<Q", len(HEADER)) + HEADER + bytes(32)
FILES = {
    "config.json": b'{"architectures": ["LlamaForCausalLM"]}',
    "model.safetensors": WEIGHTS,
    "tokenizer.json": b"{}",
}
REPOSITORY = ModelRef.parse("hf:org/repo")
PARTS = {f"q/big-Q4_K_M-0000{n}-of-00003.gguf": gguf(fill=n) for n in (1, 2, 3)}
SPLIT = ModelRef.parse("hf:org/repo:q4_k_m")


@pytest.fixture
def hub(make_store: Callable[..., Store], server: ModelServer) -> Store:
    return make_store(hf_endpoint=server.origin)


def combined(files: dict[str, bytes]) -> str:
    lines = sorted(f"{sha256(body)}  {name}\n" for name, body in files.items())
    return f"sha256:{sha256(''.join(lines).encode())}"


def blobs(directory: Path) -> list[str]:
    return sorted(path.name for path in directory.glob("blobs/*/*") if not path.suffix)


@pytest.mark.parametrize("promised", [True, False])
async def test_a_repository_becomes_a_directory(
    hub: Store, server: ModelServer, promised: bool
) -> None:
    publish(server, FILES, promised=promised)
    files = await hub.resolve(REPOSITORY)
    assert {path.name: path.read_bytes() for path in files.path.iterdir()} == FILES
    assert files.size_bytes == sum(map(len, FILES.values()))
    assert files.digest == combined(FILES)
    assert hub.present(REPOSITORY) == files
    snapshot = hub.list()[0].snapshot
    assert (snapshot.revision, snapshot.entry) == (COMMIT, None)


async def test_a_split_model_is_given_by_its_first_part(hub: Store, server: ModelServer) -> None:
    publish(server, PARTS)
    files = await hub.resolve(SPLIT)
    assert files.path.name == "big-Q4_K_M-00001-of-00003.gguf"
    assert [path.read_bytes() for path in sorted(files.path.parent.iterdir())] == [*PARTS.values()]


async def test_links_are_relative_and_the_store_can_move(
    hub: Store, server: ModelServer, make_store: Callable[..., Store], tmp_path: Path
) -> None:
    publish(server, FILES)
    await hub.resolve(REPOSITORY)
    hub.settle()
    (tmp_path / "store").rename(tmp_path / "elsewhere")
    moved = make_store(directory=tmp_path / "elsewhere", offline=True)
    files = await moved.resolve(REPOSITORY)
    assert files.path.is_relative_to(tmp_path / "elsewhere")
    assert (files.path / "model.safetensors").read_bytes() == WEIGHTS


async def test_a_store_in_an_image_is_believed(
    hub: Store, server: ModelServer, make_store: Callable[..., Store], tmp_path: Path
) -> None:
    """Layers are archives, and these keep links but only the seconds of a time."""
    publish(server, FILES)
    await hub.resolve(REPOSITORY)
    hub.settle()
    (tmp_path / "image").mkdir()
    pack = ("tar", "--format=ustar", "-cf", str(tmp_path / "layer.tar"), "-C")
    subprocess.run((*pack, str(tmp_path / "store"), "."), check=True)
    unpack = ("tar", "-xf", str(tmp_path / "layer.tar"), "-C", str(tmp_path / "image"))
    subprocess.run(unpack, check=True)
    baked = make_store(directory=tmp_path / "own", shared=(str(tmp_path / "image"),), offline=True)
    assert (await baked.resolve(REPOSITORY)).digest == combined(FILES)


async def test_equal_files_are_kept_once_and_fetched_once(
    hub: Store, server: ModelServer, tmp_path: Path
) -> None:
    model = gguf(fill=5)
    publish(server, {"a-Q4_0.gguf": model, "b-Q8_0.gguf": model})
    for quantization in ("Q4_0", "Q8_0"):
        await hub.resolve(ModelRef.parse(f"hf:org/repo:{quantization}"))
    assert blobs(tmp_path / "store") == [sha256(model)]
    assert not server.asked("GET", f"/org/repo/resolve/{COMMIT}/b-Q8_0.gguf")


async def test_files_arrive_side_by_side_and_are_summed_up(hub: Store, server: ModelServer) -> None:
    """All of them are asked for before any has ended, or this waits forever."""
    gate = asyncio.Event()
    pages = publish(server, PARTS)
    seen: list[Progress] = []
    for page in pages.values():
        page.faults.append(Hold(64, gate))
    fetching = asyncio.ensure_future(hub.resolve(SPLIT, report=seen.append))
    paths = [f"/org/repo/resolve/{COMMIT}/{name}" for name in PARTS]
    while not all(server.asked("GET", path) for path in paths):
        await asyncio.sleep(0.01)
    gate.set()
    await fetching
    total = sum(map(len, PARTS.values()))
    last = [progress for progress in seen if progress.files][-1]
    assert (last.done_bytes, last.total_bytes) == (total, total)
    assert [file.done_bytes for file in last.files] == [len(body) for body in PARTS.values()]


async def test_a_stopped_fetch_keeps_the_files_that_were_whole(
    hub: Store, server: ModelServer
) -> None:
    pages = publish(server, PARTS)
    first, second, third = PARTS
    pages[second].faults.append(Hold(64, asyncio.Event()))
    two_whole = asyncio.Event()

    def report(progress: Progress) -> None:
        whole = [file.name for file in progress.files if file.done_bytes == file.total_bytes]
        if len(whole) == 2:
            two_whole.set()

    fetching = asyncio.ensure_future(hub.resolve(SPLIT, report=report))
    await two_whole.wait()
    fetching.cancel()
    with pytest.raises(asyncio.CancelledError):
        await fetching
    assert hub.present(SPLIT) is None
    server.requests.clear()
    await hub.resolve(SPLIT)
    paths = {name: f"/org/repo/resolve/{COMMIT}/{name}" for name in PARTS}
    assert [bool(server.asked("GET", paths[name])) for name in (first, second, third)] == [
        False, True, False,
    ]  # fmt: skip


async def test_one_wrong_file_of_several_spoils_the_model(
    hub: Store, server: ModelServer, tmp_path: Path
) -> None:
    pages = publish(server, FILES)
    pages["model.safetensors"].body = WEIGHTS[:-1] + b"!"
    with pytest.raises(DigestError):
        await hub.resolve(REPOSITORY)
    assert hub.present(REPOSITORY) is None
    assert sha256(pages["model.safetensors"].body) not in blobs(tmp_path / "store")


@pytest.mark.parametrize("promised", [True, False])
async def test_one_digest_pins_all_files(hub: Store, server: ModelServer, promised: bool) -> None:
    publish(server, FILES, promised=promised)
    with pytest.raises(DigestError, match=combined(FILES)):
        await hub.resolve(REPOSITORY, digest=f"sha256:{'0' * 64}")
    assert hub.present(REPOSITORY) is None
    files = await hub.resolve(REPOSITORY, digest=combined(FILES))
    assert files.digest == combined(FILES)
    with pytest.raises(DigestError):
        await hub.resolve(REPOSITORY, digest=f"sha256:{'0' * 64}")


async def test_the_disk_is_asked_for_all_files_together(hub: Store, server: ModelServer) -> None:
    publish(server, PARTS)
    answer = json.loads(server.pages["/api/models/org/repo/revision/main"].body)
    for sibling in answer["siblings"]:
        sibling["size"] = sibling["lfs"]["size"] = 10**17
    server.pages["/api/models/org/repo/revision/main"].body = json.dumps(answer).encode()
    with pytest.raises(DiskFullError, match=rf"fetching 3 files needs {3 * 10**17} bytes"):
        await hub.resolve(SPLIT)
    assert len(server.requests) == 1


async def test_pickled_weights_come_only_when_they_are_named(
    store: Store, server: ModelServer
) -> None:
    url = server.add("/pytorch_model.bin", Page(b"pickled"))
    assert (await store.resolve(ModelRef.parse(url))).path.read_bytes() == b"pickled"


async def test_a_file_without_a_models_beginning_is_refused(
    hub: Store, server: ModelServer
) -> None:
    publish(server, {**FILES, "model.safetensors": b"<!DOCTYPE html>" * 9}, promised=False)
    with pytest.raises(StoreError, match=r"'model\.safetensors' is no safetensors file"):
        await hub.resolve(REPOSITORY)


async def test_a_shared_store_is_looked_at_first_and_not_written(
    hub: Store, server: ModelServer, make_store: Callable[..., Store], tmp_path: Path
) -> None:
    publish(server, FILES)
    await hub.resolve(REPOSITORY)
    hub.settle()
    before = tree(tmp_path / "store")
    own = make_store(directory=tmp_path / "own", shared=(str(tmp_path / "store"),), offline=True)
    files = await own.resolve(REPOSITORY, digest=combined(FILES))
    assert files.path.is_relative_to(tmp_path / "store")
    assert [one.snapshot.ref for one in own.list()] == ["hf:org/repo"]
    assert tree(tmp_path / "store") == before
    assert not (tmp_path / "own").exists()


def tree(directory: Path) -> dict[str, tuple[int, int]]:
    return {str(path): (path.lstat().st_ino, path.lstat().st_size) for path in directory.rglob("*")}


def _can_remount() -> bool:
    command = ("unshare", "--mount", "true")
    found = shutil.which("unshare")
    return found is not None and subprocess.run(command, capture_output=True).returncode == 0


@pytest.mark.skipif(not _can_remount(), reason="needs the right to mount")
async def test_a_read_only_mount_serves_and_refuses_to_fetch_by_name(
    store: Store, server: ModelServer, tmp_path: Path
) -> None:
    here, absent = (server.add(f"/{name}.gguf", Page(gguf())) for name in ("here", "absent"))
    files = await store.resolve(ModelRef.parse(here))
    store.settle()
    code, said = await read_only(tmp_path / "store", here)
    assert (code, said.splitlines()[-1]) == (0, f"path {files.path}")
    code, said = await read_only(tmp_path / "store", absent)
    assert code == 1
    assert f"can't fetch {absent!r}" in said
    assert "Read-only file system" in said


async def read_only(directory: Path, ref: str) -> tuple[int | None, str]:
    """A process that resolves `ref` in a mount namespace of its own, so that root can't write."""
    script = f'''mount --bind "{directory}" "{directory}" &&
        mount -o remount,bind,ro "{directory}" && exec "$0" "$@"'''
    program = Path(__file__).with_name("fetching_process.py")
    process = await asyncio.create_subprocess_exec(
        *("unshare", "--mount", "sh", "-c", script),
        *(sys.executable, str(program), str(directory), ref),
        stdout=PIPE,
        stderr=STDOUT,
    )
    said, _ = await process.communicate()
    return process.returncode, said.decode()


@pytest.mark.parametrize("damage", ["touched", "removed", "emptied"])
async def test_files_that_changed_are_hashed_and_only_then_fetched(
    hub: Store, server: ModelServer, damage: str
) -> None:
    publish(server, FILES)
    files = await hub.resolve(REPOSITORY)
    hub.settle()
    blob = (files.path / "model.safetensors").resolve()
    if damage == "touched":
        os.utime(blob)
    elif damage == "removed":
        blob.unlink()
    else:
        os.truncate(blob, 0)
    assert hub.present(REPOSITORY) is None
    server.requests.clear()
    again = await hub.resolve(REPOSITORY)
    assert (again.path / "model.safetensors").read_bytes() == WEIGHTS
    assert bool(server.requests) == (damage != "touched")
    asked = {request.path.rpartition("/")[2] for request in server.requests}
    assert "config.json" not in asked


async def test_a_large_model_has_a_hash_for_each_chunk(store: Store, server: ModelServer) -> None:
    model = large_model(20 * 2**20)
    await store.resolve(ModelRef.parse(server.add("/big.gguf", Page(model))))
    (stored,) = store.list()
    size = 8 * 2**20
    chunks = [sha256(model[at : at + size]) for at in range(0, len(model), size)]
    assert list(stored.chunk_hashes(stored.snapshot.files[0])) == chunks


@pytest.mark.parametrize("ending", ["bin", "pt", "pth", "ckpt", "pkl", "PT"])
def test_pickles_that_a_source_lets_through_are_refused(ending: str) -> None:
    files = tuple(
        Description(f"https://host.invalid/{name}", name)
        for name in ("config.json", f"weights/model.{ending}")
    )
    refs = ("hf:org/repo", "https://host.invalid/model.safetensors", "s3:bucket/")
    for ref in map(ModelRef.parse, refs):
        with pytest.raises(SourceError, match=rf"pickled weights, 'weights/model\.{ending}'"):
            refuse_pickles(ref, Listing(files))
    refuse_pickles(ModelRef("hf", f"org/repo/weights/model.{ending}"), Listing(files[1:]))


def test_a_part_without_the_others_is_refused() -> None:
    names = ["q/m-00001-of-00002.gguf", "q/m-00002-of-00002.gguf"]
    files = tuple(Description(f"https://host.invalid/{name}", name) for name in names)
    refuse_parts(Listing(files, entry=names[0]))
    with pytest.raises(SourceError, match="one of 2 parts"):
        refuse_parts(Listing(files[:1], entry=names[0]))
