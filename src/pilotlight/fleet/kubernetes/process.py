"""A pod in use by this gateway, as `engines.base.EngineProcess`: it ends when its pod does."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from pilotlight.engines.base import EngineClient, Pods, Remote
from pilotlight.errors import EngineStartError, PilotlightError
from pilotlight.fleet.kubernetes import trouble
from pilotlight.fleet.kubernetes.client import PodClient
from pilotlight.fleet.kubernetes.pod import Pod

READY = {"state": "ready"}


class PodProcess:
    """Its pool gives it a pod and tells it every change of that; it tells its replica.

    Until its pod was ready once it may be given another. It also `Leaves`.
    """

    pid: int | None = None
    port: int | None = None

    def __init__(
        self,
        pods: Pods,
        leave: Callable[[PodProcess], Awaitable[None]],
        stage: Callable[[str], None] | None = None,
    ) -> None:
        loop = asyncio.get_running_loop()
        self.pod: Pod | None = None
        self._pods = pods
        self._leave = leave
        self._stage = stage
        self._step: str | None = None
        self._client: PodClient | None = None
        self._failure: PilotlightError | None = None
        self._news = asyncio.Event()
        self._ended: asyncio.Future[str] = loop.create_future()
        self._told: asyncio.Future[str] = loop.create_future()
        self._closing: asyncio.Task[None] | None = None

    # What its pool tells

    def bind(self, pod: Pod) -> None:
        self.pod = pod
        self.saw(pod)

    def waits(self) -> None:
        """There is no pod for it yet."""
        self._enter("pod_created")

    def fail(self, error: PilotlightError) -> None:
        """Its start can't succeed; nothing is said of one that is ready already."""
        self._failure = error
        self._news.set()

    def saw(self, pod: Pod | None) -> None:
        """The pod as it is now; None once it is gone."""
        if self.is_ready:
            self._guard(pod)
        elif pod is None or not pod.living:
            self.pod = None  # the pool finds another
        else:
            self.pod = pod
            self._advance(pod)

    def _advance(self, pod: Pod) -> None:
        step = trouble.next_step(pod)
        if step is not None:
            self._enter(step)
        elif pod.address is not None:
            self._became_ready(pod)

    def _enter(self, step: str) -> None:
        """A phase of its start begins."""
        if step != self._step:
            self._step = step
            if self._stage is not None:
                self._stage(step)

    def _became_ready(self, pod: Pod) -> None:
        host = f"[{pod.address}]" if ":" in str(pod.address) else pod.address
        url = f"http://{host}:{self._pods.port}{self._pods.path}"
        remote = Remote(url, self._pods.headers, self._pods.timeout_s)
        self._client = PodClient(remote, pod.name)
        if self._step is not None:
            self._enter("load")  # what is left is the engine's own part
        self._news.set()

    def _guard(self, pod: Pod | None) -> None:
        """Of a pod in use: told to go, it may finish; anything else is its end."""
        before = self.pod
        assert before is not None
        if pod is None:
            self._end("its pod is gone")
        elif pod.restarts > before.restarts or pod.phase in ("Failed", "Succeeded"):
            how = pod.ended[-1].reason if pod.ended else pod.why or pod.phase
            self._end(f"its container ended: {how}")
        elif pod.lost:
            self._end(f"its node {pod.node} is lost")
        elif pod.terminating and not self._told.done():
            self._told.set_result(f"pod {pod.name} was told to go")

    def _end(self, how: str) -> None:
        if self.alive:
            self._ended.set_result(how)
            if self._client is not None:
                # Whoever reads from a pod that is gone would wait for its time-out.
                self._closing = asyncio.ensure_future(self._client.close())
        self._news.set()

    @property
    def is_settled(self) -> bool:
        """Its start is over, well or badly."""
        return self.is_ready or self._failure is not None

    # What its replica asks

    @property
    def is_ready(self) -> bool:
        return self._client is not None

    @property
    def client(self) -> EngineClient:
        assert self._client is not None, "nobody talks to a pod before it is ready"
        return self._client

    @property
    def alive(self) -> bool:
        return not self._ended.done()

    async def send(self, message: Mapping[str, Any]) -> None:
        raise EngineStartError("a pod has no channel down")

    async def receive(self) -> dict[str, Any]:
        """That its pod is ready. Raises what keeps it from ever being so."""
        while not self.is_ready:
            if self._failure is not None:
                raise self._failure
            if not self.alive:
                raise EngineStartError(f"the pod was given up ({self._ended.result()})")
            self._news.clear()
            await self._news.wait()
        return dict(READY)

    async def wait(self) -> str:
        return await asyncio.shield(self._ended)

    async def leaving(self) -> str:
        return await asyncio.shield(self._told)

    async def stop(self, grace_s: float = 5.0) -> None:
        """Returns once the scale is lower, or the pod left to whoever uses it too."""
        if self.alive:
            self._end("let go")
            await self._leave(self)
        if self._closing is not None:
            await self._closing

    def last_words(self, lines: int = 5) -> str:
        if self.is_ready and self.pod is not None:
            return f"see `kubectl logs --previous {self.pod.name}`"
        return trouble.progress(self.pod)

    def memory_bytes(self) -> int | None:
        return None

    def peak_memory_bytes(self) -> int | None:
        return None
