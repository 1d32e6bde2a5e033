"""An address that expires while its file is on the way: the source signs it anew."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from aiohttp import web

from pilotlight.core import ModelRef
from pilotlight.errors import SourceError
from pilotlight.store.fetch import Fetched, fetch
from pilotlight.store.limits import Limits
from pilotlight.store.progress import Reporter
from pilotlight.store.retry import Retry
from pilotlight.store.sources.base import Description
from sources.hub_server import serve_app

MODEL = b"GGUF" + b"weights!" * (3 * 2**20)
CUT_BYTES = 9 * 2**20


class Storage:
    """Each signature is good for one request, and each answer breaks off early."""

    def __init__(self) -> None:
        self.used: list[str] = []

    def app(self) -> web.Application:
        app = web.Application()
        app.router.add_get("/tiny.gguf", self._answer)
        return app

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        signature = request.query["signature"]
        if signature in self.used:
            raise web.HTTPForbidden
        self.used.append(signature)
        start, stop, _ = request.http_range.indices(len(MODEL))
        response = web.StreamResponse(status=206, headers={"ETag": '"1"'})
        response.headers["Content-Range"] = f"bytes {start}-{stop - 1}/{len(MODEL)}"
        response.content_length = stop - start
        await response.prepare(request)
        await response.write(MODEL[start : min(stop, start + CUT_BYTES)])
        if stop - start > CUT_BYTES:
            assert request.transport is not None
            request.transport.close()
        return response


def described(origin: str, signature: int, *, renewable: bool) -> Description:
    async def renew() -> Description:
        return described(origin, signature + 1, renewable=renewable)

    return Description(
        url=f"{origin}/tiny.gguf?signature={signature}",
        file_name="tiny.gguf",
        size_bytes=len(MODEL),
        identity="tiny 1",
        renew=renew if renewable else None,
    )


async def bring(description: Description, target: Path) -> Fetched:
    async def sleep(seconds: float) -> None:
        pass

    return await fetch(
        description,
        target,
        retry=Retry(sleep=sleep, attempts=3),
        reporter=Reporter(ModelRef("s3", "//bucket/tiny.gguf"), None),
        limits=Limits(connections=1),
    )


async def test_an_expired_signature_is_renewed_as_often_as_it_takes(tmp_path: Path) -> None:
    storage = Storage()
    async with serve_app(storage.app()) as origin:
        await bring(described(origin, 0, renewable=True), tmp_path / "tiny.partial")
    assert (tmp_path / "tiny.partial").read_bytes() == MODEL
    assert storage.used == [str(number) for number in range(len(storage.used))]
    assert len(storage.used) >= 3


async def test_one_that_no_source_can_renew_is_the_servers_refusal(tmp_path: Path) -> None:
    async with serve_app(Storage().app()) as origin:
        with pytest.raises(SourceError, match="answers 403"):
            await bring(described(origin, 0, renewable=False), tmp_path / "tiny.partial")


async def test_one_refused_from_the_start_is_not_asked_for_again(tmp_path: Path) -> None:
    storage = Storage()
    storage.used.append("0")
    async with serve_app(storage.app()) as origin:
        with pytest.raises(SourceError, match="answers 403"):
            await bring(described(origin, 0, renewable=True), tmp_path / "tiny.partial")
    assert storage.used == ["0"]


def test_one_file_has_one_origin_however_it_is_signed() -> None:
    one, other = (described("http://host", number, renewable=True) for number in (1, 2))
    assert one.url != other.url
    assert one.origin == other.origin
    assert replace(one, sha256="0" * 64).origin == "0" * 64
    assert replace(one, identity=None).origin == one.url
