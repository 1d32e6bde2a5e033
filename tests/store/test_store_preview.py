"""A directory's headers are told while its weights are still on their way."""

from __future__ import annotations

import asyncio
import json
import struct
from collections.abc import Callable
from pathlib import Path

import pytest
from model_server import Hold, ModelServer
from repository import publish

from pilotlight.core import ModelRef
from pilotlight.errors import DigestError
from pilotlight.store.checkpoint import Checkpoint, read_checkpoint
from pilotlight.store.preview import Preview
from pilotlight.store.sources.base import Description
from pilotlight.store.store import Store

REF = ModelRef.parse("hf:org/repo")
CONFIG = json.dumps({"architectures": ["LlamaForCausalLM"], "num_hidden_layers": 2}).encode()
TEMPLATE = json.dumps({"chat_template": "{{ messages }}"}).encode()
CHUNK_BYTES = 8 * 2**20


def weights(*names: str, size_bytes: int = 0) -> bytes:
    """Tensors of `size_bytes` each; their header comes first."""
    found, at = {}, 0
    for name in names:
        offsets = [at, at + size_bytes]
        found[name] = {"dtype": "U8", "shape": [size_bytes], "data_offsets": offsets}
        at += size_bytes
    header = json.dumps(found).encode()
    return struct.pack("<Q", len(header)) + header + bytes(at)


LARGE = weights("a", size_bytes=3 * CHUNK_BYTES)


class Watched:
    """Who is told; keeps what a reader of headers found there at that very moment."""

    def __init__(self) -> None:
        self.told: list[tuple[Path, int, Checkpoint]] = []
        self.once = asyncio.Event()

    def __call__(self, path: Path, verified_bytes: int) -> None:
        self.told.append((path, verified_bytes, read_checkpoint(path)))
        self.once.set()


@pytest.fixture
def hub(make_store: Callable[..., Store], server: ModelServer) -> Store:
    return make_store(hf_endpoint=server.origin)


@pytest.mark.parametrize("promised", [True, False], ids=["hashed", "unhashed"])
async def test_all_but_the_weights_is_there_before_them(
    promised: bool, hub: Store, server: ModelServer
) -> None:
    files = {
        "config.json": CONFIG,
        "model.safetensors": LARGE,
        "tokenizer.json": bytes(100),
        "tokenizer_config.json": TEMPLATE,
    }
    rest = asyncio.Event()
    pages = publish(server, files, promised=promised)
    first = Hold(CHUNK_BYTES + 2**20, rest)
    pages["model.safetensors"].faults.extend([first, *[Hold(0, rest)] * 20])
    watched = Watched()
    resolving = asyncio.create_task(hub.resolve(REF, watch=watched))
    async with asyncio.timeout(10):
        await watched.once.wait()
    [(path, size_bytes, found)] = watched.told
    assert not resolving.done()
    assert hub.present(REF) is None
    assert size_bytes == sum(map(len, files.values()))
    assert {each.name for each in path.iterdir()} == set(files)
    assert found.weights_bytes == 3 * CHUNK_BYTES
    assert found.chat_template == "{{ messages }}"
    rest.set()
    whole = await resolving
    assert (whole.path / "model.safetensors").read_bytes() == LARGE
    assert len(watched.told) == 1
    assert not path.exists(), "nothing of it is left behind"


async def test_every_shard_has_to_show_its_header(hub: Store, server: ModelServer) -> None:
    """The first four hold the line; what comes after them in order is small and comes first."""
    names = [f"model-0000{part}-of-00005.safetensors" for part in range(1, 6)]
    index = {"weight_map": {f"t{number}": name for number, name in enumerate(names)}}
    files = {
        "config.json": CONFIG,
        **{name: weights(f"t{number}", size_bytes=64) for number, name in enumerate(names)},
        "model.safetensors.index.json": json.dumps(index).encode(),
        "tokenizer_config.json": TEMPLATE,
    }
    rest = asyncio.Event()
    pages = publish(server, files)
    pages[names[-1]].faults.append(Hold(0, rest))
    watched = Watched()
    resolving = asyncio.create_task(hub.resolve(REF, watch=watched))
    async with asyncio.timeout(10):
        while len(server.requests) < len(files) + 1:
            await asyncio.sleep(0)
    assert watched.told == []
    order = [request.path.rpartition("/")[2] for request in server.requests[1:]]
    assert set(files) - set(names) < set(order[:4]), "as many come at once"
    rest.set()
    await resolving
    [(_, _, found)] = watched.told
    assert found.weights_bytes == 5 * 64


async def test_what_is_here_already_counts(hub: Store, server: ModelServer) -> None:
    files = {"config.json": CONFIG, "model.safetensors": LARGE}
    publish(server, files)
    await hub.resolve(REF)
    again = {**files, "tokenizer_config.json": TEMPLATE}
    publish(server, again)
    other = ModelRef.parse("hf:org/repo@main")
    watched = Watched()
    await hub.resolve(other, watch=watched)
    [(_, size_bytes, found)] = watched.told
    assert size_bytes == sum(map(len, again.values()))
    assert found.chat_template == "{{ messages }}"


async def test_a_file_system_without_links_fetches_all_the_same(
    hub: Store, server: ModelServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*paths: object) -> None:
        raise PermissionError("no links here")

    monkeypatch.setattr("os.link", refuse)
    publish(server, {"config.json": CONFIG, "model.safetensors": LARGE})
    watched = Watched()
    files = await hub.resolve(REF, watch=watched)
    assert watched.told == []
    assert read_checkpoint(files.path).weights_bytes == 3 * CHUNK_BYTES


async def test_a_fetch_that_fails_keeps_no_bytes_by_it(hub: Store, server: ModelServer) -> None:
    """What was given up and is still linked would take its room on the disk twice."""
    pages = publish(server, {"config.json": CONFIG, "model.safetensors": LARGE})
    pages["model.safetensors"].body = LARGE[:-1] + b"?"
    watched = Watched()
    with pytest.raises(DigestError):
        await hub.resolve(REF, watch=watched)
    [(path, _, _)] = watched.told
    assert not path.exists()


def test_what_is_begun_anew_counts_when_it_is_there_again(tmp_path: Path) -> None:
    def file(name: str, content: bytes) -> tuple[Description, Path]:
        (tmp_path / name).write_bytes(content)
        found = Description(f"http://origin/{name}", name, size_bytes=len(content))
        return found, tmp_path / name

    config, shard = file("config.json", CONFIG), file("model.safetensors", LARGE)
    watched = Watched()
    preview = Preview(tmp_path / "preview", [config[0], shard[0]], watched)
    preview.take(*shard, CHUNK_BYTES)
    preview.take(*shard, 0)
    preview.take(*config, len(CONFIG))
    assert watched.told == []
    preview.take(*shard, 8)
    assert watched.told == [], "the header isn't there"
    preview.take(*shard, CHUNK_BYTES)
    preview.take(*shard, 2 * CHUNK_BYTES)
    assert len(watched.told) == 1
