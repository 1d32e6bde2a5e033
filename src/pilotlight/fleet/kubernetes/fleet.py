"""The fleet that is a cluster's pods, beside this machine's own processes."""

from __future__ import annotations

import asyncio
import re
import secrets
import shutil
import socket
from collections.abc import Callable

from pilotlight.engines.base import EngineProcess, Launch, Pods, Seat
from pilotlight.fleet.base import Fleet
from pilotlight.fleet.kubernetes.access import Access
from pilotlight.fleet.kubernetes.api import Api
from pilotlight.fleet.kubernetes.pool import Gateway, PodPool
from pilotlight.fleet.kubernetes.process import PodProcess
from pilotlight.fleet.kubernetes.watch import Clock


class PodFleet:
    """`fleet.base.Fleet`: a launch with `pods` gets one of those, any other a local process."""

    def __init__(
        self,
        local: Fleet,
        access: Access,
        clock: Clock,
        is_shutting_down: Callable[[], bool],
        identity: str | None = None,
    ) -> None:
        self._local = local
        self._api = Api(access)
        self._clock = clock
        self._gateway = Gateway(identity or new_identity(), is_shutting_down)
        self._pools: dict[tuple[str | None, str], PodPool] = {}

    def look_after(self, pods: Pods) -> None:
        """From now on what nobody uses of them is taken away, though none was ever asked for."""
        self._pool(pods).begin()

    def _pool(self, pods: Pods) -> PodPool:
        key = (pods.namespace, pods.deployment)
        if key not in self._pools:
            self._pools[key] = PodPool(self._api, pods, self._gateway, self._clock)
        return self._pools[key]

    def seat(self, replica_id: str) -> Seat:
        return self._local.seat(replica_id)

    async def launch(self, launch: Launch) -> EngineProcess:
        """For pods this returns at once; whether one comes is heard from the process."""
        if launch.pods is None:
            return await self._local.launch(launch)
        shutil.rmtree(launch.seat.directory, ignore_errors=True)
        pool = self._pool(launch.pods)
        process = PodProcess(launch.pods, pool.leave, launch.stage)
        pool.join(process)
        return process

    async def close(self) -> None:
        await asyncio.gather(*(pool.close() for pool in self._pools.values()))
        await self._api.close()
        await self._local.close()


def new_identity() -> str:
    """Of this process, fit for the name of an annotation (63 characters, RFC 1123)."""
    host = re.sub(r"[^a-z0-9-]", "-", socket.gethostname().lower()).strip("-")[:40]
    return f"{host}-{secrets.token_hex(4)}".lstrip("-")
