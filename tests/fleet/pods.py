"""What the tests of pods share: a fleet on a cluster of the tests' own, and pods that answer."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from aiohttp import web

from pilotlight.engines.base import Launch, Pods, Seat
from pilotlight.fleet.kubernetes import Access, PodFleet
from pilotlight.fleet.kubernetes.process import PodProcess
from pilotlight.testing import FakeFleet, VirtualClock

from .cluster import DEPLOYMENT, NAMESPACE, TOKEN, Cluster

PODS = Pods(DEPLOYMENT, NAMESPACE, 8080, "/v1", {"Authorization": "Bearer pods-key"}, linger_s=300)
PATIENCE_S = 10.0


async def until(true: Callable[[], Any]) -> Any:
    """What `true` says, as soon as that is something; time on the wire is real."""
    async with asyncio.timeout(PATIENCE_S):
        while not (found := true()):
            await asyncio.sleep(0)
    return found


async def quiet(cluster: Cluster) -> None:
    """Until nobody asks the cluster anything any more, as far as time stands still."""
    before = -1
    while before != len(cluster.asked):
        before = len(cluster.asked)
        for _ in range(200):
            await asyncio.sleep(0)


@dataclass(slots=True)
class Gateway:
    """One gateway's fleet."""

    fleet: PodFleet
    clock: VirtualClock
    leaving: bool = False
    stages: list[str] = field(default_factory=list)
    """Of the last launch."""

    async def launch(self, **changes: Any) -> PodProcess:
        stages: list[str] = []
        self.stages = stages
        seat = Seat(Path("/nonexistent"), Path("/nonexistent/s"), "secret")
        launch = Launch((), seat, pods=replace(PODS, **changes), stage=stages.append)
        process = await self.fleet.launch(launch)
        assert isinstance(process, PodProcess)
        return process

    async def ready(self, **changes: Any) -> PodProcess:
        process = await self.launch(**changes)
        assert await process.receive() == {"state": "ready"}
        return process


@asynccontextmanager
async def gateway(
    cluster: Cluster, clock: VirtualClock | None = None, name: str = "gw-1"
) -> AsyncIterator[Gateway]:
    clock = clock or VirtualClock()
    access = Access(cluster.url, NAMESPACE, token=lambda: TOKEN)
    made = Gateway(None, clock)  # type: ignore[arg-type]
    made.fleet = PodFleet(FakeFleet(), access, clock, lambda: made.leaving, name)
    try:
        yield made
    finally:
        await made.fleet.close()


class EnginePods:
    """Servers that answer for a cluster's pods: one port, an address of its own each."""

    def __init__(self) -> None:
        self.port = 0
        self.asked: list[tuple[str, str]] = []
        """Address and path of every request, in order."""

        self.hold: asyncio.Event | None = None
        """Streams wait for it, after their first chunk."""

        self.silent = False
        """They wait before their headers too."""

        self.streams = 0
        """How many were asked for."""

        self._runners: dict[str, web.AppRunner] = {}
        self._lock = asyncio.Lock()

    async def start(self, address: str) -> None:
        app = web.Application()
        app.router.add_get("/v1/models", self._models)
        app.router.add_post("/v1/chat/completions", self._chat)
        runner = web.AppRunner(app, handler_cancellation=True, shutdown_timeout=0.1)
        await runner.setup()
        site = web.TCPSite(runner, address, self.port)
        await site.start()
        self.port = site._server.sockets[0].getsockname()[1]  # type: ignore[union-attr]
        self._runners[address] = runner

    async def kill(self, address: str) -> None:
        await self._runners.pop(address).cleanup()

    async def stop(self) -> None:
        for address in list(self._runners):
            await self.kill(address)

    def _note(self, request: web.Request) -> None:
        assert request.headers["Authorization"] == "Bearer pods-key"
        assert request.transport is not None
        address = request.transport.get_extra_info("sockname")[0]
        self.asked.append((address, request.path))

    async def _models(self, request: web.Request) -> web.Response:
        self._note(request)
        return web.json_response({"object": "list", "data": [{"id": "smol", "object": "model"}]})

    async def _chat(self, request: web.Request) -> web.StreamResponse:
        self._note(request)
        asked = await request.json()
        assert asked["model"] == "smol"
        if not asked.get("stream"):
            return web.json_response(_answer())
        self.streams += 1
        if self.silent and self.hold is not None:
            await self.hold.wait()
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        await response.write(_event({"role": "assistant", "content": "one"}))
        if self.hold is not None:
            await self.hold.wait()
        await response.write(_event({"content": " two"}) + _event({}, "stop"))
        await response.write(b"data: [DONE]\n\n")
        return response


def _answer() -> dict[str, Any]:
    message = {"role": "assistant", "content": "one two"}
    return {
        "id": "c1", "object": "chat.completion", "created": 1, "model": "smol",
        "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3},
    }  # fmt: skip


def _event(delta: dict[str, Any], finish: str | None = None) -> bytes:
    chunk = {
        "id": "c1", "object": "chat.completion.chunk", "created": 1, "model": "smol",
        "choices": [{"index": 0, "delta": delta, "finish_reason": finish}],
    }  # fmt: skip
    return b"data: " + json.dumps(chunk).encode() + b"\n\n"
