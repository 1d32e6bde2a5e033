"""hf: refs against a server that speaks the hub's protocol, and the hub's own cache."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from gguf_writer import gguf, large_model
from model_server import Cut, ModelServer, Page, Refuse, sha256

from pilotlight.core import ModelRef
from pilotlight.errors import DigestError, ModelRefError, SourceError
from pilotlight.store.store import Store

MODEL = large_model(2 * 2**20)
COMMIT = "0123456789abcdef0123456789abcdef01234567"
REF = ModelRef.parse("hf:org/repo/q/tiny.gguf")
TOKEN = "hf_s3cret"


@pytest.fixture
def hub(make_store: Callable[..., Store], server: ModelServer) -> Store:
    return make_store(hf_endpoint=server.origin, hf_token=TOKEN)


def linked(location: str, body: bytes = MODEL) -> Page:
    """How the hub answers for a large file: its hash, and where the bytes are."""
    headers = {
        "Location": location,
        "X-Repo-Commit": COMMIT,
        "X-Linked-ETag": f'"{sha256(body)}"',
        "X-Linked-Size": str(len(body)),
    }
    return Page(status=302, headers=headers)


def publish(
    server: ModelServer, storage: ModelServer, revision: str = "main", body: bytes = MODEL
) -> Page:
    """The file on the hub, with its bytes on another host; returns the page of the bytes."""
    page = Page(body, {"ETag": '"storage"'})
    location = storage.add("/bytes", page) + "?signature=abc%2Bd"
    for name in (revision, COMMIT):
        server.add(f"/org/repo/resolve/{name}/q/tiny.gguf", linked(location, body))
    return page


async def test_fetches_verifies_and_pins_the_commit(
    hub: Store, server: ModelServer, elsewhere: ModelServer
) -> None:
    publish(server, elsewhere)
    files = await hub.resolve(REF)
    assert files.path.read_bytes() == MODEL
    assert files.digest == f"sha256:{sha256(MODEL)}"
    snapshot = hub.list()[0].snapshot
    assert (snapshot.revision, snapshot.ref) == (COMMIT, str(REF))
    assert snapshot.source == f"{server.origin}/org/repo/resolve/{COMMIT}/q/tiny.gguf"
    assert hub.present(REF) == files


async def test_the_token_goes_to_the_hub_and_nowhere_else(
    hub: Store, server: ModelServer, elsewhere: ModelServer
) -> None:
    publish(server, elsewhere).faults.append(Cut(2**20))
    await hub.resolve(REF)
    assert {one.headers["Authorization"] for one in server.requests} == {f"Bearer {TOKEN}"}
    assert len(elsewhere.requests) == 2
    assert all("Authorization" not in one.headers for one in elsewhere.requests)


async def test_the_environments_token_is_used(
    make_store: Callable[..., Store],
    server: ModelServer,
    elsewhere: ModelServer,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_other")
    publish(server, elsewhere)
    await make_store(hf_endpoint=server.origin).resolve(REF)
    assert server.requests[0].headers["Authorization"] == "Bearer hf_other"


async def test_a_revision_may_be_named(
    hub: Store, server: ModelServer, elsewhere: ModelServer
) -> None:
    publish(server, elsewhere, "v1.0")
    await hub.resolve(ModelRef.parse("hf:org/repo@v1.0/q/tiny.gguf"))
    assert server.requests[0].path == "/org/repo/resolve/v1.0/q/tiny.gguf"


async def test_a_renamed_repository_is_followed_with_the_token(
    hub: Store, server: ModelServer, elsewhere: ModelServer
) -> None:
    publish(server, elsewhere)
    moved = Page(status=307, headers={"Location": "/org/repo/resolve/main/q/tiny.gguf"})
    server.add("/old/name/resolve/main/q/tiny.gguf", moved)
    server.add(f"/old/name/resolve/{COMMIT}/q/tiny.gguf", moved)
    files = await hub.resolve(ModelRef.parse("hf:old/name/q/tiny.gguf"))
    assert files.path.read_bytes() == MODEL


async def test_a_small_file_has_a_git_hash_that_is_no_checksum(
    hub: Store, server: ModelServer
) -> None:
    headers = {"X-Repo-Commit": COMMIT, "ETag": f'"{"a" * 40}"'}
    for revision in ("main", COMMIT):
        server.add(f"/org/repo/resolve/{revision}/q/tiny.gguf", Page(gguf(), headers))
    assert (await hub.resolve(REF)).digest == f"sha256:{sha256(gguf())}"


async def test_bytes_that_differ_from_the_hubs_hash_are_refused(
    hub: Store, server: ModelServer, elsewhere: ModelServer
) -> None:
    publish(server, elsewhere).body = MODEL[:-1] + b"!"
    with pytest.raises(DigestError):
        await hub.resolve(REF)
    assert hub.present(REF) is None


async def test_a_size_that_differs_from_the_hubs_is_refused(
    hub: Store, server: ModelServer, elsewhere: ModelServer
) -> None:
    publish(server, elsewhere).body = MODEL + b"!"
    with pytest.raises(DigestError, match=f"promised were {len(MODEL)}"):
        await hub.resolve(REF)


@pytest.mark.parametrize(
    ("status", "code", "step"),
    [
        (401, "Access to model org/repo is restricted", "token is wrong"),
        (403, "awaiting a review", "accept the model's terms"),
        (404, "Entry not found", "tree/main"),
        (451, "gone for legal reasons", "try again"),
    ],
)
async def test_a_refusal_repeats_the_hub_and_says_the_next_step(
    hub: Store, server: ModelServer, status: int, code: str, step: str
) -> None:
    page = Page(faults=[Refuse(status, {"X-Error-Message": code})])
    server.add("/org/repo/resolve/main/q/tiny.gguf", page)
    with pytest.raises(SourceError, match=code) as caught:
        await hub.resolve(REF)
    assert step in (caught.value.hint or "")
    assert TOKEN not in str(caught.value)


async def test_without_a_token_the_next_step_is_one(
    make_store: Callable[..., Store], server: ModelServer
) -> None:
    server.add("/org/repo/resolve/main/q/tiny.gguf", Page(faults=[Refuse(401)]))
    with pytest.raises(SourceError) as caught:
        await make_store(hf_endpoint=server.origin).resolve(REF)
    assert "set HF_TOKEN" in (caught.value.hint or "")


async def test_a_busy_hub_is_waited_for(
    hub: Store, server: ModelServer, elsewhere: ModelServer, slept: list[float]
) -> None:
    publish(server, elsewhere)
    page = server.pages["/org/repo/resolve/main/q/tiny.gguf"]
    page.faults += [Refuse(429, {"Retry-After": "9"}), Refuse(502)]
    await hub.resolve(REF)
    assert slept[0] == 9
    assert len(server.asked("HEAD", "/org/repo/resolve/main/q/tiny.gguf")) == 3


@pytest.mark.parametrize("revision", ["", "@pr", f"@{COMMIT}"])
async def test_a_file_in_the_hubs_cache_is_used_in_place(
    hub: Store, server: ModelServer, tmp_path: Path, revision: str
) -> None:
    snapshot = tmp_path / "huggingface/hub/models--org--repo/snapshots" / COMMIT / "q"
    snapshot.mkdir(parents=True)
    blob = tmp_path / "huggingface/hub/models--org--repo/blob"
    blob.write_bytes(MODEL)
    (snapshot / "tiny.gguf").symlink_to(blob)
    refs = tmp_path / "huggingface/hub/models--org--repo/refs"
    refs.mkdir()
    for name in ("main", "pr"):
        (refs / name).write_text(COMMIT)
    files = await hub.resolve(ModelRef.parse(f"hf:org/repo{revision}/q/tiny.gguf"))
    assert files.path == snapshot / "tiny.gguf"
    assert (files.size_bytes, files.digest) == (len(MODEL), None)
    assert server.requests == []


@pytest.mark.parametrize(
    "locator",
    [
        "repo",
        "org/repo@/f.gguf",
        "org/../f.gguf",
        "org/repo/",
        "org/repo@..%2Fx/f.gguf",
    ],
)
async def test_a_malformed_ref_is_said_so(hub: Store, server: ModelServer, locator: str) -> None:
    with pytest.raises(ModelRefError, match="hf:org/repo/path"):
        await hub.resolve(ModelRef("hf", locator))
    assert server.requests == []
