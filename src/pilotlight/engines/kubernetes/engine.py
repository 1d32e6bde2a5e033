"""A pod as a replica: an endpoint elsewhere, but one that is ours to start, prove and stop."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from pilotlight.core import Capabilities, Footprint, ModelFiles, ModelRef, Operation
from pilotlight.engines.base import EngineProcess, Launch, ModelJob, Pods, Seat
from pilotlight.engines.kubernetes.options import Options, complete
from pilotlight.engines.kubernetes.servers import parameters
from pilotlight.engines.openai import refusals
from pilotlight.engines.openai.heartbeat import Heartbeat
from pilotlight.engines.openai.key import Keys
from pilotlight.engines.openai.options import ENDPOINTS
from pilotlight.engines.presets.engine import CANARIES
from pilotlight.errors import ConfigError, EngineStartError, PilotlightError


class KubernetesEngine:
    """`engines.base.Engine`; which pod, and how many, is the affair of `fleet.kubernetes`."""

    name = "kubernetes"
    build = "kubernetes"

    def __init__(self) -> None:
        self._keys = Keys()
        self._heartbeat = Heartbeat(self._keys.hidden)

    def options(self, given: Mapping[str, Any]) -> Options:
        return complete(given)

    def owns(self, ref: ModelRef) -> bool:
        """Raises ConfigError for bytes of our own: a pod has its model from elsewhere."""
        if ref.scheme != "openai":
            raise ConfigError(
                f"the engine kubernetes can't run {str(ref)!r}: pods have their own models",
                hint="write ref: openai:NAME, with the name that the pods' server knows",
            )
        return True

    def slots(self, options: Options) -> int:
        return options.max_concurrency

    def context(self, files: ModelFiles, options: Options) -> int | None:
        return options.context

    def predict(self, files: ModelFiles, options: Options) -> Footprint:
        return Footprint(0)  # the cluster's memory, which its scheduler accounts for

    def capabilities(self, files: ModelFiles, options: Options) -> Capabilities:
        return Capabilities(
            stream_usage="asked",
            operations=options.operations,
            parameters={each: _fields(options, each) for each in options.operations},
            tools=options.tools,
            vision=options.vision,
            model=files.ref.locator,
        )

    def endpoint(self, operation: Operation) -> str:
        return ENDPOINTS[operation]

    def command(self, seat: Seat, job: ModelJob | None) -> Launch:
        if job is None:
            raise EngineStartError(
                "a pod can't wait without a model", hint="set the model's standby to 0"
            )
        return Launch(argv=(), seat=seat, pods=self.pods(job.options))

    def pods(self, options: Options) -> Pods:
        """Raises EngineMissingError where the variable of their key holds none."""
        key = self._keys.bearer(options.api_key_env) if options.api_key_env else {}
        return Pods(
            options.deployment,
            options.namespace,
            options.port,
            options.path.rstrip("/"),
            {**dict(options.headers), **key},
            options.timeout,
            options.scales,
            options.linger,
        )

    async def load(self, process: EngineProcess, job: ModelJob) -> None:
        """Raises EngineStartError with what keeps the pod from being ready."""
        options: Options = job.options
        await process.receive()  # the fleet's word that the pod is ready
        await self._heartbeat.first(process, options.ready, options.timeout)

    async def unload(self, process: EngineProcess) -> None:
        raise EngineStartError("a pod can't unload its model", hint="stop it instead")

    def canary(self, job: ModelJob) -> tuple[str, bytes | None]:
        options: Options = job.options
        operation = next((each for each in CANARIES if each in options.operations), None)
        if operation is None:
            return options.ready, None
        body = {"model": job.files.ref.locator, **CANARIES[operation]}
        return ENDPOINTS[operation], msgspec.json.encode(body)

    async def progress(self, process: EngineProcess) -> int | None:
        """Of its work nothing is known but the bytes; only whether it is still there."""
        return await self._heartbeat.next(process)

    def error(self, status: int, body: bytes) -> PilotlightError:
        return refusals.translate(status, self._keys.hidden(body))


def _fields(options: Options, operation: Operation) -> frozenset[str]:
    if options.parameters is not None:
        return options.parameters
    return parameters(options.server, operation)
