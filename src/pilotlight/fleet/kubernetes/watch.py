"""A Deployment's pods as the API tells of them: listed once, then followed."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from contextlib import aclosing
from typing import Any, Protocol

from pilotlight.errors import EngineUnreachableError, PilotlightError
from pilotlight.fleet.kubernetes import pod as documents
from pilotlight.fleet.kubernetes.api import BEGAN, Api, RefusedError
from pilotlight.fleet.kubernetes.pod import Pod
from pilotlight.fleet.kubernetes.scale import Scale

log = logging.getLogger(__name__)

LONGEST_PAUSE_S = 30.0


class Clock(Protocol):
    """As `router.clock.Clock`."""

    def now(self) -> float: ...

    def call_at(self, when_s: float, callback: Callable[[], None]) -> Any: ...


class Watch:
    """`pods` by uid; `changed` is called after every change of it or of `error`."""

    def __init__(
        self, api: Api, namespace: str, scale: Scale, clock: Clock, changed: Callable[[], None]
    ) -> None:
        self.pods: dict[str, Pod] = {}
        self.is_current = False
        """They were listed and are followed, or were a moment ago."""

        self.error: PilotlightError | RefusedError | None = None
        """Why they can't be listed."""

        self._api = api
        self._path = f"/api/v1/namespaces/{namespace}/pods"
        self._scale = scale
        self._clock = clock
        self._changed = changed
        self._hurry = asyncio.Event()
        self._failures = 0
        self._task: asyncio.Task[None] | None = None

    def begin(self) -> None:
        self._task = asyncio.get_running_loop().create_task(self._run())

    async def close(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    def hurry(self) -> None:
        """Somebody waits: try again now, and only then say what is wrong."""
        self.error = None
        self._hurry.set()

    def note(self, pod: Pod) -> Pod:
        """What the API answered to a change of ours, which it will also tell us."""
        if pod.uid in self.pods:
            self.pods[pod.uid] = pod
        return pod

    def forget(self, uid: str) -> None:
        self.pods.pop(uid, None)

    async def _run(self) -> None:
        while True:
            try:
                selector = await self._scale.selector()
                version = await self._list(selector)
                while True:
                    version = await self._watch(version, selector)
            except (PilotlightError, RefusedError) as error:
                # Also a 410: it remembers no events from that long ago. All is listed anew.
                await self._failed(error)
            except Exception as error:  # a task's edge: without it no pod would be seen again
                log.exception("%s", self._path)
                await self._failed(
                    EngineUnreachableError(f"can't read what the API says: {error!r}")
                )

    async def _failed(self, error: PilotlightError | RefusedError) -> None:
        """A watch that broke off is no news before the next try has failed too."""
        self._failures += 1
        if self._failures > 1:
            self.error, self.is_current = error, False
            self._changed()
            await self._pause(min(2.0 ** (self._failures - 2), LONGEST_PAUSE_S))

    async def _pause(self, duration_s: float) -> None:
        self._hurry.clear()
        timer = self._clock.call_at(self._clock.now() + duration_s, self._hurry.set)
        try:
            await self._hurry.wait()
        finally:
            timer.cancel()

    async def _list(self, selector: str) -> str:
        listing = await self._api.get(self._path, labelSelector=selector)
        found = map(documents.read, listing["items"])
        self.pods = {pod.uid: pod for pod in found}
        self._changed()
        return str(listing["metadata"]["resourceVersion"])

    async def _watch(self, version: str, selector: str) -> str:
        """One watch to its end; returns where the next one goes on."""
        watching = self._api.watch(self._path, version, labelSelector=selector)
        async with aclosing(watching) as events:
            async for event in events:
                if event is BEGAN:
                    self._began()
                else:
                    self._apply(event)
                    version = event["object"]["metadata"]["resourceVersion"]
        return version

    def _began(self) -> None:
        self._failures = 0
        if not self.is_current:
            self.is_current, self.error = True, None
            self._changed()

    def _apply(self, event: Mapping[str, Any]) -> None:
        if event["type"] == "ERROR":
            status = event["object"]
            raise RefusedError(
                status.get("code", 500), status.get("reason", ""), status.get("message", "")
            )
        if event["type"] == "BOOKMARK":
            return
        pod = documents.read(event["object"])
        if event["type"] == "DELETED":
            self.pods.pop(pod.uid, None)
        else:
            self.pods[pod.uid] = pod
        self._changed()
