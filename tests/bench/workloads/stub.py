"""A server of other shapes than Pilotlight's: what a test says it answers to a path."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from aiohttp import web

from pilotlight.bench.target import Target

Answer = Callable[[str, dict[str, Any]], tuple[int, Any]]


@asynccontextmanager
async def served(answer: Answer, key: str | None = None) -> AsyncIterator[Target]:
    async def handle(request: web.Request) -> web.Response:
        if key and request.headers.get("Authorization") != f"Bearer {key}":
            return web.json_response({"error": {"message": "no key"}}, status=401)
        body = await request.json() if request.can_read_body else {}
        status, tree = answer(request.path, body)
        return web.json_response(tree, status=status)

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", handle)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield Target(url=f"http://127.0.0.1:{runner.addresses[0][1]}", model="m", key=key)
    finally:
        await runner.cleanup()
