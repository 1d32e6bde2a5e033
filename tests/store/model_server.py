"""A real HTTP server on loopback that can misbehave on request."""

from __future__ import annotations

import asyncio
import hashlib
import io
import json
import ssl
import zipfile
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from aiohttp import web

_PIECE_BYTES = 256 * 1024


@dataclass(frozen=True)
class Cut:
    """Promise the whole body, send `after_bytes` of it, close the connection."""

    after_bytes: int


@dataclass(frozen=True)
class Refuse:
    status: int
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Hold:
    """Send `after_bytes`, and the rest once `until` is set."""

    after_bytes: int
    until: asyncio.Event


Fault = Cut | Refuse | Hold


@dataclass
class Page:
    """What one path serves; each request takes the next fault, if there is one."""

    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)
    status: int = 200
    ranges: bool = True
    if_range: bool = True
    claims_bytes: int | None = None
    sized: bool = True
    faults: list[Fault] = field(default_factory=list)


@dataclass(frozen=True)
class Request:
    method: str
    path: str
    headers: Mapping[str, str]


class ModelServer:
    def __init__(self, origin: str) -> None:
        self.origin = origin
        self.pages: dict[str, Page] = {}
        self.requests: list[Request] = []

    def add(self, path: str, page: Page) -> str:
        self.pages[path] = page
        return f"{self.origin}{path}"

    def asked(self, method: str, path: str) -> list[Request]:
        return [one for one in self.requests if (one.method, one.path) == (method, path)]

    async def handle(self, request: web.Request) -> web.StreamResponse:
        self.requests.append(Request(request.method, request.path, request.headers))
        page = self.pages.get(request.path)
        if page is None:
            return web.Response(status=404)
        fault = page.faults.pop(0) if page.faults else None
        if isinstance(fault, Refuse):
            return web.Response(status=fault.status, headers=fault.headers)
        return await self._send(request, page, fault)

    async def _send(
        self, request: web.Request, page: Page, fault: Cut | Hold | None
    ) -> web.StreamResponse:
        span = _range(request, page)
        response = web.StreamResponse(status=206 if span else page.status, headers=page.headers)
        body = page.body[span] if span else page.body
        if span:
            first, last = span.start, span.start + len(body) - 1
            response.headers["Content-Range"] = f"bytes {first}-{last}/{len(page.body)}"
        if page.sized:
            response.content_length = page.claims_bytes or len(body)
        await response.prepare(request)
        if request.method == "HEAD":
            return response
        await self._write(request, response, body, fault)
        return response

    async def _write(
        self,
        request: web.Request,
        response: web.StreamResponse,
        body: bytes,
        fault: Cut | Hold | None,
    ) -> None:
        first = len(body) if fault is None else fault.after_bytes
        await _pieces(response, body[:first])
        if isinstance(fault, Cut):
            assert request.transport is not None
            request.transport.close()
            return
        if isinstance(fault, Hold):
            await fault.until.wait()
            await _pieces(response, body[first:])


async def _pieces(response: web.StreamResponse, body: bytes) -> None:
    for start in range(0, len(body), _PIECE_BYTES):
        await response.write(body[start : start + _PIECE_BYTES])


def _range(request: web.Request, page: Page) -> slice | None:
    """What is asked for of the body; None for all of it."""
    given = request.headers.get("Range", "")
    condition = request.headers.get("If-Range") if page.if_range else None
    changed = condition is not None and condition != page.headers.get("ETag")
    if not page.ranges or not given or changed:
        return None
    start, _, last = given.removeprefix("bytes=").partition("-")
    return slice(int(start), int(last) + 1 if last else len(page.body))


@asynccontextmanager
async def serve(tls: ssl.SSLContext | None = None) -> AsyncIterator[ModelServer]:
    server = ModelServer("")
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", server.handle)
    # Clients that are killed or cut must not keep a handler running past the test.
    runner = web.AppRunner(app, handler_cancellation=True, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=tls)
    await site.start()
    host, port = runner.addresses[0][:2]
    server.origin = f"{'https' if tls else 'http'}://{host}:{port}"
    try:
        yield server
    finally:
        await runner.cleanup()


def wheel(members: Mapping[str, bytes]) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, body in members.items():
            archive.writestr(name, body)
    return packed.getvalue()


def index_json(files: list[dict[str, object]]) -> Page:
    body = json.dumps({"meta": {"api-version": "1.1"}, "name": "tiny", "files": files})
    return Page(body.encode(), {"Content-Type": "application/vnd.pypi.simple.v1+json"})


def sha256(body: bytes) -> str:
    return hashlib.sha256(body).hexdigest()
