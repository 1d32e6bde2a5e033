"""A hub that speaks the documented protocol, with its large files' bytes on a second host.

https://huggingface.co/docs/hub/api: repositories with commits, resolve with ETags and
redirects, gating and refusals with the hub's own error codes. `test_hub_client.py` runs
the hub's official client against it.
"""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from aiohttp import web

LARGE_BYTES = 4096
SIGNATURE = "Signature=abc%2Bd~e&Expires=1"


@dataclass
class Repository:
    files: Mapping[str, bytes]
    gated: bool = False
    revisions: dict[str, str] = field(default_factory=dict)
    """Commits by branch or tag; `main` is always there."""

    def __post_init__(self) -> None:
        content = repr(sorted(self.files.items())).encode()
        self.revisions.setdefault("main", hashlib.sha1(content).hexdigest())

    @property
    def commit(self) -> str:
        return self.revisions["main"]

    def find(self, revision: str) -> str | None:
        commits = {*self.revisions.values()}
        return self.revisions.get(revision, revision if revision in commits else None)


@dataclass(frozen=True)
class Asked:
    method: str
    path: str
    headers: Mapping[str, str]


@dataclass
class HubServer:
    """`token` is the one that may read gated repositories; `other_token` may log in only."""

    token: str = "hf_reader"
    other_token: str = "hf_stranger"
    origin: str = ""
    storage_origin: str = ""
    repositories: dict[str, Repository] = field(default_factory=dict)
    requests: list[Asked] = field(default_factory=list)
    storage_requests: list[Asked] = field(default_factory=list)

    def app(self) -> web.Application:
        app = web.Application()
        app.router.add_get("/api/models/{org}/{name}", self._info)
        app.router.add_get("/api/models/{org}/{name}/revision/{revision}", self._info)
        app.router.add_get("/api/models/{org}/{name}/tree/{revision}", self._tree)
        app.router.add_get("/{org}/{name}/resolve/{revision}/{path:.+}", self._resolve)
        app.middlewares.append(_noting(self.requests))
        return app

    def storage_app(self) -> web.Application:
        app = web.Application()
        app.router.add_get("/lfs/{sha256}", self._bytes)
        app.middlewares.append(_noting(self.storage_requests))
        return app

    async def _info(self, request: web.Request) -> web.Response:
        repository, commit = self._find(request)
        sized = "blobs" in request.query
        siblings = [_sibling(path, body, sized) for path, body in sorted(repository.files.items())]
        name = f"{request.match_info['org']}/{request.match_info['name']}"
        return web.json_response(
            {
                "_id": "6501", "id": name, "modelId": name, "private": False, "tags": [],
                "disabled": False, "downloads": 0, "likes": 0, "siblings": siblings,
                "gated": "manual" if repository.gated else False, "sha": commit,
                "createdAt": "2026-01-01T00:00:00.000Z",
                "lastModified": "2026-01-01T00:00:00.000Z",
            }
        )  # fmt: skip

    async def _tree(self, request: web.Request) -> web.Response:
        repository, _ = self._find(request)
        return web.json_response(
            [_entry(path, body) for path, body in sorted(repository.files.items())]
        )

    async def _resolve(self, request: web.Request) -> web.StreamResponse:
        repository, commit = self._find(request)
        given = request.headers.get("Authorization", "").removeprefix("Bearer ")
        if repository.gated and given != self.token:
            _refuse(403 if given else 401, "GatedRepo", "Access to this model is restricted.")
        body = repository.files.get(request.match_info["path"])
        if body is None:
            _refuse(404, "EntryNotFound", "Entry not found")
        headers = {"X-Repo-Commit": commit, "Accept-Ranges": "bytes"}
        if len(body) < LARGE_BYTES:
            return _part(request, body, {**headers, "ETag": f'"{_git_hash(body)}"'})
        digest = hashlib.sha256(body).hexdigest()
        headers["Location"] = f"{self.storage_origin}/lfs/{digest}?{SIGNATURE}"
        headers["X-Linked-Etag"] = f'"{digest}"'
        headers["X-Linked-Size"] = str(len(body))
        headers["ETag"] = f'"{digest}"'
        return web.Response(status=302, headers=headers)

    async def _bytes(self, request: web.Request) -> web.StreamResponse:
        if request.query_string != SIGNATURE:
            raise web.HTTPForbidden
        every = (body for one in self.repositories.values() for body in one.files.values())
        for body in every:
            if hashlib.sha256(body).hexdigest() == request.match_info["sha256"]:
                return _part(request, body, {"ETag": '"storage"', "Accept-Ranges": "bytes"})
        raise web.HTTPNotFound

    def _find(self, request: web.Request) -> tuple[Repository, str]:
        given = request.headers.get("Authorization", "").removeprefix("Bearer ")
        if given not in ("", self.token, self.other_token):
            _refuse(401, "", "Invalid credentials in Authorization header")
        name = f"{request.match_info['org']}/{request.match_info['name']}"
        repository = self.repositories.get(name)
        if repository is None:
            _refuse(404 if given else 401, "RepoNotFound", "Repository not found")
        commit = repository.find(request.match_info.get("revision", "main"))
        if commit is None:
            _refuse(404, "RevisionNotFound", "Invalid rev id")
        return repository, commit


def _noting(requests: list[Asked]):  # type: ignore[no-untyped-def]
    @web.middleware
    async def note(request: web.Request, handler):  # type: ignore[no-untyped-def]
        requests.append(Asked(request.method, request.raw_path, request.headers))
        return await handler(request)

    return note


def _refuse(status: int, code: str, message: str):  # type: ignore[no-untyped-def]
    headers = {"X-Error-Code": code, "X-Error-Message": message}
    kinds = {401: web.HTTPUnauthorized, 403: web.HTTPForbidden, 404: web.HTTPNotFound}
    raise kinds[status](headers=headers)


def _sibling(path: str, body: bytes, sized: bool) -> dict[str, object]:
    found: dict[str, object] = {"rfilename": path}
    if sized:
        found |= {"size": len(body), "blobId": _git_hash(body)}
    if sized and len(body) >= LARGE_BYTES:
        digest = hashlib.sha256(body).hexdigest()
        found["lfs"] = {"sha256": digest, "size": len(body), "pointerSize": 135}
    return found


def _entry(path: str, body: bytes) -> dict[str, object]:
    found: dict[str, object] = {
        "type": "file", "path": path, "size": len(body), "oid": _git_hash(body),
    }  # fmt: skip
    if len(body) >= LARGE_BYTES:
        digest = hashlib.sha256(body).hexdigest()
        found["lfs"] = {"oid": digest, "size": len(body), "pointerSize": 135}
    return found


def _git_hash(body: bytes) -> str:
    return hashlib.sha1(b"blob %d\0" % len(body) + body).hexdigest()


def _part(request: web.Request, body: bytes, headers: Mapping[str, str]) -> web.Response:
    """The range that was asked for, or all of it; of a HEAD aiohttp sends no body."""
    wanted = request.http_range
    if wanted.start is None and wanted.stop is None:
        return web.Response(body=body, headers=headers)
    start, stop, _ = wanted.indices(len(body))
    headers = {**headers, "Content-Range": f"bytes {start}-{stop - 1}/{len(body)}"}
    return web.Response(status=206, body=body[start:stop], headers=headers)


@asynccontextmanager
async def serve_hub() -> AsyncIterator[HubServer]:
    hub = HubServer()
    async with serve_app(hub.app()) as origin, serve_app(hub.storage_app()) as storage_origin:
        hub.origin, hub.storage_origin = origin, storage_origin
        yield hub


@asynccontextmanager
async def serve_app(app: web.Application) -> AsyncIterator[str]:
    """`app` on loopback; its origin."""
    runner = web.AppRunner(app, handler_cancellation=True, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    host, port = runner.addresses[0][:2]
    try:
        yield f"http://{host}:{port}"
    finally:
        await runner.cleanup()
