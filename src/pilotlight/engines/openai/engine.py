"""An endpoint elsewhere as an engine: nothing is started, and a GET has to prove it works."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pilotlight.core import Capabilities, Footprint, ModelFiles, ModelRef, Operation
from pilotlight.engines.base import EngineProcess, Launch, ModelJob, Remote, Seat
from pilotlight.engines.openai import refusals
from pilotlight.engines.openai.heartbeat import Heartbeat
from pilotlight.engines.openai.key import Keys
from pilotlight.engines.openai.options import ENDPOINTS, Options, complete
from pilotlight.engines.openai.request_fields import PARAMETERS
from pilotlight.errors import (
    ConfigError,
    EngineStartError,
    PilotlightError,
)


class OpenAIEngine:
    """`engines.base.Engine`; no token is ever spent to find out whether it is there."""

    name = "openai"
    build = "openai v1"

    def __init__(self) -> None:
        self._keys = Keys()
        self._heartbeat = Heartbeat(self._keys.hidden)

    def options(self, given: Mapping[str, Any]) -> Options:
        return complete(given)

    def owns(self, ref: ModelRef) -> bool:
        """Raises ConfigError for bytes of our own: nobody there could run them."""
        if ref.scheme != "openai":
            raise ConfigError(
                f"the engine openai can't run {str(ref)!r}: it runs elsewhere, with its own models",
                hint="write ref: openai:NAME, with the name that the endpoint knows",
            )
        return True

    def slots(self, options: Options) -> int:
        return options.max_concurrency

    def context(self, files: ModelFiles, options: Options) -> int | None:
        return options.context

    def predict(self, files: ModelFiles, options: Options) -> Footprint:
        return Footprint(0)  # it takes somebody else's

    def capabilities(self, files: ModelFiles, options: Options) -> Capabilities:
        return Capabilities(
            stream_usage="asked",
            operations=options.operations,
            parameters={
                operation: PARAMETERS[operation]
                if options.parameters is None
                else options.parameters
                for operation in options.operations
            },
            tools=options.tools,
            vision=options.vision,
            model=files.ref.locator,
            price=options.price,
        )

    def endpoint(self, operation: Operation) -> str:
        return ENDPOINTS[operation]

    def command(self, seat: Seat, job: ModelJob | None) -> Launch:
        if job is None:
            raise EngineStartError(
                "a remote engine can't wait without a model", hint="set the model's standby to 0"
            )
        options: Options = job.options
        remote = Remote(options.base_url, self._headers(options), options.timeout)
        return Launch(argv=(), seat=seat, remote=remote)

    async def load(self, process: EngineProcess, job: ModelJob) -> None:
        """Asks for what costs nothing. Raises EngineStartError, EngineUnreachableError."""
        options: Options = job.options
        await self._heartbeat.first(process, options.ready, options.timeout)

    async def unload(self, process: EngineProcess) -> None:
        raise EngineStartError(
            "a remote engine can't unload its model", hint="let go of it instead"
        )

    def canary(self, job: ModelJob) -> tuple[str, None]:
        options: Options = job.options
        return options.ready, None

    async def progress(self, process: EngineProcess) -> int | None:
        """Of its work nothing is known but the bytes; only whether it is still there."""
        return await self._heartbeat.next(process)

    def error(self, status: int, body: bytes) -> PilotlightError:
        return refusals.translate(status, self._keys.hidden(body))

    def _headers(self, options: Options) -> Mapping[str, str]:
        headers = dict(options.headers)
        if options.organization:
            headers["OpenAI-Organization"] = options.organization
        if options.project:
            headers["OpenAI-Project"] = options.project
        if options.api_key_env:
            headers |= self._keys.bearer(options.api_key_env)
        return headers
