"""ollama: refs against a registry that answers as Ollama's does."""

from __future__ import annotations

import hashlib
import json
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field

import pytest
from aiohttp import web

from pilotlight.core import ModelRef
from pilotlight.errors import ModelRefError, SourceError
from pilotlight.store.sources.oci_name import OciName
from pilotlight.store.sources.registry import Sources
from sources.hub_server import serve_app
from sources.reading import Describe, read

MODEL = b"GGUF" + b"weights!" * 1024
EYES = b"GGUF" + b"eyes" * 1024
PREFIX = "application/vnd.ollama.image."
MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
QUERY = "X-Signature=a%2Bb"


@dataclass
class Library:
    """Manifests on one host, and blobs behind a signed redirect on another."""

    host: str = ""
    storage: str = ""
    manifests: dict[str, bytes] = field(default_factory=dict)
    blobs: dict[str, bytes] = field(default_factory=dict)

    def add(self, name: str, layers: dict[str, bytes]) -> None:
        described = []
        for kind, body in layers.items():
            digest = f"sha256:{hashlib.sha256(body).hexdigest()}"
            self.blobs[digest] = body
            described.append({"mediaType": PREFIX + kind, "digest": digest, "size": len(body)})
        document = {"schemaVersion": 2, "mediaType": MANIFEST, "layers": described}
        self.manifests[name] = json.dumps(document).encode()

    def app(self) -> web.Application:
        app = web.Application()
        app.router.add_get("/v2/{name:.+}/manifests/{tag}", self._manifest, allow_head=False)
        app.router.add_get("/v2/{name:.+}/blobs/{digest}", self._blob, allow_head=False)
        return app

    def storage_app(self) -> web.Application:
        app = web.Application()
        app.router.add_get("/{digest}", self._bytes)
        return app

    async def _manifest(self, request: web.Request) -> web.Response:
        body = self.manifests.get(f"{request.match_info['name']}:{request.match_info['tag']}")
        if body is None:
            errors = [{"code": "MANIFEST_UNKNOWN", "message": "manifest unknown"}]
            return web.json_response({"errors": errors}, status=404)
        return web.Response(body=body, content_type="text/plain")

    async def _blob(self, request: web.Request) -> web.Response:
        location = f"{self.storage}/{request.match_info['digest']}?{QUERY}"
        return web.Response(status=307, headers={"Location": location})

    async def _bytes(self, request: web.Request) -> web.Response:
        assert request.query_string == QUERY
        body = self.blobs[request.match_info["digest"]]
        start, stop, _ = request.http_range.indices(len(body))
        headers = {"Content-Range": f"bytes {start}-{stop - 1}/{len(body)}"}
        return web.Response(status=206, body=body[start:stop], headers=headers)


@pytest.fixture
async def library() -> AsyncIterator[Library]:
    library = Library()
    async with serve_app(library.app()) as origin, serve_app(library.storage_app()) as storage:
        library.host, library.storage = origin.removeprefix("http://"), storage
        yield library


async def test_the_model_and_what_belongs_to_it(library: Library, describe: Describe) -> None:
    library.add(
        "library/tiny:latest",
        {"model": MODEL, "projector": EYES, "template": b"{{ .Prompt }}", "params": b'{"a":1}',
         "system": b"Be brief.", "license": b"MIT"},
    )  # fmt: skip
    listing = await describe(f"ollama:{library.host}/library/tiny")
    assert {file.file_name: await read(file) for file in listing.files} == {
        "model.gguf": MODEL, "mmproj.gguf": EYES, "template.txt": b"{{ .Prompt }}",
        "params.json": b'{"a":1}', "system.txt": b"Be brief.",
    }  # fmt: skip
    assert listing.entry == "model.gguf"
    digest = hashlib.sha256(library.manifests["library/tiny:latest"]).hexdigest()
    assert listing.revision == f"sha256:{digest}"


async def test_a_model_that_is_no_gguf_is_left_to_ollama(
    library: Library, describe: Describe
) -> None:
    library.add("library/tiny:mlx", {"tensor; name=a; dtype=BF16": MODEL, "json": b"{}"})
    with pytest.raises(SourceError, match="its layers are json, tensor") as caught:
        await describe(f"ollama:{library.host}/library/tiny:mlx")
    assert caught.value.hint == "serve it with engine: ollama"


async def test_a_model_that_is_not_there(library: Library, describe: Describe) -> None:
    with pytest.raises(SourceError, match="answers 404"):
        await describe(f"ollama:{library.host}/library/none:1b")


@pytest.mark.parametrize(
    ("locator", "name"),
    [
        ("tiny", "registry.ollama.ai/library/tiny:latest"),
        ("tiny:1b", "registry.ollama.ai/library/tiny:1b"),
        ("me/tiny:1b", "registry.ollama.ai/me/tiny:1b"),
        ("hf.co/org/Tiny-GGUF:Q4_K_M", "hf.co/org/Tiny-GGUF:Q4_K_M"),
        ("host:5000/me/tiny", "host:5000/me/tiny:latest"),
    ],
)
def test_names_are_read_as_ollama_reads_them(locator: str, name: str) -> None:
    found = OciName.parse_ollama(ModelRef("ollama", locator))
    assert str(found) == name
    assert found.origin.startswith("https://")


@pytest.mark.parametrize(
    "locator", ["/", "tiny:", ":1b", "a/b/c/d", "../tiny", "me/../tiny", "tiny?x", "u:p@h/me/tiny"]
)
def test_a_malformed_ref_is_said_so(sources: Callable[..., Sources], locator: str) -> None:
    ref = ModelRef("ollama", locator)
    with pytest.raises(ModelRefError, match="names no model of Ollama's library"):
        sources().get(ref).local(ref)
