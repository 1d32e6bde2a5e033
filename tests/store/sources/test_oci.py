"""oci: refs against a real registry, pushed to by a client of the tests' own."""

from __future__ import annotations

import json
import os
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from pilotlight.core import ModelRef
from pilotlight.errors import ModelRefError, SourceError
from pilotlight.store.sources.oci_name import OciName
from pilotlight.store.sources.registry import Sources
from sources.hub_server import serve_app
from sources.oci_registry import (
    OCI_INDEX,
    PROGRAM,
    Registry,
    TokenServer,
    basic_auth,
    basic_header,
    run_registry,
)
from sources.reading import Describe, read

MODEL = b"GGUF" + b"weights!" * 1024
TITLE = "org.opencontainers.image.title"
FILEPATH = "org.cncf.model.filepath"
RAW = "application/vnd.cncf.model.weight.v1.raw"
TAR = "application/vnd.cncf.model.weight.v1.tar"

needs_registry = pytest.mark.skipif(
    PROGRAM is None, reason="docker-registry isn't installed (apt-get install docker-registry)"
)


@pytest.fixture
async def registry(tmp_path: Path) -> AsyncIterator[Registry]:
    async with run_registry(tmp_path) as running:
        yield running


@needs_registry
async def test_named_layers_are_files(registry: Registry, describe: Describe) -> None:
    files = {"config.json": b"{}", "tokenizer.json": b"[]", "model.safetensors": MODEL}
    layers = [
        await registry.layer("org/tiny", body, RAW, {FILEPATH: name})
        for name, body in files.items()
    ]
    layers.append(await registry.layer("org/tiny", b"hello", RAW, {TITLE: "README.md"}))
    digest = await registry.push("org/tiny", "v1", layers)
    for reference in (":v1", f"@{digest}", f":v1@{digest}"):
        listing = await describe(f"oci:{registry.host}/org/tiny{reference}")
        assert listing.revision == digest
        assert listing.entry is None
        assert {file.file_name: await read(file) for file in listing.files} == files
        assert all(file.sha256 for file in listing.files)


@needs_registry
async def test_a_single_gguf_needs_no_name(registry: Registry, describe: Describe) -> None:
    kind = "application/vnd.docker.ai.gguf.v3"
    license_ = await registry.layer("tiny", b"MIT", "application/vnd.docker.ai.license")
    await registry.push("tiny", "latest", [license_, await registry.layer("tiny", MODEL, kind)])
    listing = await describe(f"oci:{registry.host}/tiny")
    assert [file.file_name for file in listing.files] == ["model.gguf"]
    assert listing.entry == "model.gguf"
    assert await read(listing.files[0]) == MODEL


@needs_registry
async def test_unnamed_parts_keep_their_order(registry: Registry, describe: Describe) -> None:
    kind = "application/vnd.docker.ai.gguf.v3"
    parts = [MODEL + b"1", MODEL + b"2"]
    await registry.push("split", "v1", [await registry.layer("split", one, kind) for one in parts])
    listing = await describe(f"oci:{registry.host}/split:v1")
    assert [await read(file) for file in listing.files] == parts
    assert listing.entry == listing.files[0].file_name == "model-00001-of-00002.gguf"


@needs_registry
async def test_an_index_leads_to_the_one_manifest(registry: Registry, describe: Describe) -> None:
    layer = await registry.layer("indexed", MODEL, RAW, {TITLE: "tiny.gguf"})
    digest = await registry.push("indexed", "inner", [layer])
    manifest = {"mediaType": "application/vnd.oci.image.manifest.v1+json", "digest": digest}
    size = len(json.dumps(manifest))
    attestation = {**manifest, "size": size, "platform": {"os": "unknown", "architecture": "x"}}
    document = {
        "schemaVersion": 2, "mediaType": OCI_INDEX,
        "manifests": [{**manifest, "size": size}, attestation],
    }  # fmt: skip
    await registry.push_manifest("indexed", "v1", document, OCI_INDEX)
    listing = await describe(f"oci:{registry.host}/indexed:v1")
    assert (listing.revision, listing.entry) == (digest, "tiny.gguf")


@needs_registry
async def test_archives_are_refused_with_a_way_out(registry: Registry, describe: Describe) -> None:
    layer = await registry.layer("packed", MODEL, TAR, {FILEPATH: "model.tar"})
    await registry.push("packed", "v1", [layer])
    with pytest.raises(SourceError, match="has no layer that is a model's file") as caught:
        await describe(f"oci:{registry.host}/packed:v1")
    assert "not archives" in (caught.value.hint or "")


@needs_registry
async def test_a_name_that_leads_out_is_refused(registry: Registry, describe: Describe) -> None:
    layer = await registry.layer("evil", MODEL, RAW, {TITLE: "../../evil.gguf"})
    await registry.push("evil", "v1", [layer])
    with pytest.raises(SourceError, match="leads out"):
        await describe(f"oci:{registry.host}/evil:v1")


@needs_registry
async def test_what_is_not_there_is_said_so(registry: Registry, describe: Describe) -> None:
    with pytest.raises(SourceError, match="answers 404") as caught:
        await describe(f"oci:{registry.host}/org/none:v1")
    assert f"{registry.host}/org/none:v1" in (caught.value.hint or "")


@needs_registry
async def test_a_registry_that_wants_a_password(tmp_path: Path, describe: Describe) -> None:
    async with run_registry(tmp_path, basic_auth(tmp_path)) as registry:
        registry.headers["Authorization"] = basic_header()
        layer = await registry.layer("tiny", MODEL, RAW, {TITLE: "tiny.gguf"})
        await registry.push("tiny", "v1", [layer])
        ref = f"oci:{registry.host}/tiny:v1"
        with pytest.raises(SourceError, match="answers 401") as caught:
            await describe(ref)
        assert f"docker login {registry.host}" in (caught.value.hint or "")
        log_in(tmp_path, {"auths": {registry.host: {"auth": basic_header().split()[1]}}})
        listing = await describe(ref)
        assert await read(listing.files[0]) == MODEL
        assert basic_header().split()[1] not in repr(listing)


@needs_registry
async def test_a_login_kept_by_a_helper(
    tmp_path: Path, describe: Describe, monkeypatch: pytest.MonkeyPatch
) -> None:
    helper = tmp_path / "docker-credential-tests"
    answer = '{"Username": "reader", "Secret": "s3cret"}'
    helper.write_text(f"#!/bin/sh\nread registry\n[ \"$1\" = get ] && echo '{answer}'\n")
    helper.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    async with run_registry(tmp_path, basic_auth(tmp_path)) as registry:
        registry.headers["Authorization"] = basic_header()
        layer = await registry.layer("tiny", MODEL, RAW, {TITLE: "tiny.gguf"})
        await registry.push("tiny", "v1", [layer])
        log_in(tmp_path, {"credHelpers": {registry.host: "tests"}})
        listing = await describe(f"oci:{registry.host}/tiny:v1")
        assert await read(listing.files[0]) == MODEL
        log_in(tmp_path, {"credHelpers": {registry.host: "absent"}})
        with pytest.raises(SourceError, match="docker-credential-absent"):
            await describe(f"oci:{registry.host}/tiny:v1")


@pytest.mark.parametrize("repository", ["public/tiny", "private/tiny"])
@needs_registry
async def test_a_registry_whose_tokens_come_from_elsewhere(
    tmp_path: Path, describe: Describe, repository: str
) -> None:
    tokens = TokenServer(tmp_path)
    async with (
        serve_app(tokens.app()) as origin,
        run_registry(tmp_path, tokens.auth(origin)) as registry,
    ):
        registry.headers["Authorization"] = f"Bearer {tokens.token(repository, 'pull', 'push')}"
        layer = await registry.layer(repository, MODEL, RAW, {TITLE: "tiny.gguf"})
        await registry.push(repository, "v1", [layer])
        ref = f"oci:{registry.host}/{repository}:v1"
        if repository.startswith("private"):
            with pytest.raises(SourceError, match="answers 401"):
                await describe(ref)
            log_in(tmp_path, {"auths": {registry.host: {"auth": basic_header().split()[1]}}})
        (file,) = (await describe(ref)).files
        assert await read(file) == MODEL
        assert tokens.asked[-1].query["service"] == "tests"
        # A token lasts for minutes, a download for longer.
        assert file.renew is not None
        renewed = await file.renew()
        assert (renewed.url, renewed.sha256) == (file.url, file.sha256)
        assert renewed.headers != file.headers
        assert await read(renewed) == MODEL


@pytest.mark.parametrize(
    ("locator", "origin", "name"),
    [
        ("ghcr.io/org/tiny", "https://ghcr.io", "ghcr.io/org/tiny:latest"),
        ("//ghcr.io/org/tiny:v1", "https://ghcr.io", "ghcr.io/org/tiny:v1"),
        ("docker.io/tiny:v1", "https://registry-1.docker.io", "docker.io/library/tiny:v1"),
        ("docker.io/ai/tiny", "https://registry-1.docker.io", "docker.io/ai/tiny:latest"),
        ("localhost:5000/tiny", "http://localhost:5000", "localhost:5000/tiny:latest"),
        ("host:5000/a/b/c:1", "https://host:5000", "host:5000/a/b/c:1"),
        (
            f"ghcr.io/a/b:1@sha256:{'0' * 64}",
            "https://ghcr.io",
            f"ghcr.io/a/b@sha256:{'0' * 64}",
        ),
    ],
)
def test_names_are_read_as_docker_reads_them(locator: str, origin: str, name: str) -> None:
    found = OciName.parse(ModelRef("oci", locator))
    assert (found.origin, str(found)) == (origin, name)


@pytest.mark.parametrize(
    "locator",
    [
        "tiny", "org/tiny", "ghcr.io/", "ghcr.io/a:", "ghcr.io/a@", "ghcr.io/a@sha256:0",
        "ghcr.io/../a", "ghcr.io/a/../b", "user:pw@ghcr.io/a", "ghcr.io/a?b=c", "ghcr.io//a",
    ],
)  # fmt: skip
def test_a_malformed_ref_is_said_so(sources: Callable[..., Sources], locator: str) -> None:
    ref = ModelRef("oci", locator)
    with pytest.raises(ModelRefError, match="on a registry") as caught:
        sources().get(ref).local(ref)
    assert "pw" not in str(caught.value)


def log_in(directory: Path, config: dict[str, object]) -> None:
    (directory / "docker").mkdir(exist_ok=True)
    (directory / "docker/config.json").write_text(json.dumps(config))
