"""The function: one invocation after the other, each an HTTP request to the gateway.

The gateway is asked in this very process, through ASGI; there is no socket between Lambda's
Runtime API and the engine's.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from pilotlight.errors import (
    DrainingError,
    ForbiddenError,
    FunctionDeadlineError,
    PilotlightError,
    RequestError,
    RuntimeApiError,
)
from pilotlight.gateway.http import Receive, Scope, Send
from pilotlight.gateway.signals import Stop, either
from pilotlight.instance import lambda_events
from pilotlight.instance.lambda_answer import Answer, BufferedAnswer, StreamedAnswer
from pilotlight.instance.lambda_api import Invocation, RuntimeApi
from pilotlight.instance.lambda_environment import Environment
from pilotlight.instance.lambda_events import HttpEvent, Shape
from pilotlight.instance.lambda_exchange import Exchange, Marks
from pilotlight.instance.lambda_last_words import conclude, instead
from pilotlight.router.clock import Clock, sleep, timeout

log = logging.getLogger(__name__)

App = Callable[[Scope, Receive, Send], Awaitable[None]]

FAILED = "pilotlight.error"
"""Where the gateway leaves the error that a request ended in, in the request's scope."""

LONGEST_S = 900.0
"""Lambda's own limit of an invocation, for one whose deadline isn't said."""

LEAVE_S = 0.2
"""How long the gateway may take to let go of a request that was cut off."""

STOP_S = 0.1
"""What is left of an invocation once the environment is shut down. Lambda gives 500 ms in all where
an extension is registered; without one it kills at once, and between invocations alone."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answering:
    """What answers, as far as a function needs to know it."""

    app: App
    keyed: bool
    """It asks for an API key."""

    marked: bool
    """Its answers carry headers that say how they came about."""


class Function:
    """Answers invocations; owns nothing but the one in hand."""

    def __init__(
        self,
        answering: Answering,
        api: RuntimeApi,
        environment: Environment,
        clock: Clock,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self._answering = answering
        self._api = api
        self._environment = environment
        self._clock = clock
        self._wall = wall
        self._number = 0

    async def serve(self, invocation: Invocation, stop: Stop) -> None:
        """Ends with an answer or with a reported error. Raises RuntimeApiError if it is fatal."""
        self._number += 1
        # Where AWS's own libraries look for it.
        os.environ["_X_AMZN_TRACE_ID"] = invocation.trace or ""
        try:
            await self._guarded(invocation, stop)
        except RuntimeApiError as error:
            if error.fatal:
                raise
            log.warning("invocation %s: %s", invocation.id, error.one_line())

    async def _guarded(self, invocation: Invocation, stop: Stop) -> None:
        try:
            await self._serve(invocation, stop)
        except RuntimeApiError:
            raise
        except Exception as error:  # an invocation's edge: the next one is to be served
            log.exception("invocation %s failed inside the runtime", invocation.id)
            await self._api.fail(invocation, error)

    async def _serve(self, invocation: Invocation, stop: Stop) -> None:
        try:
            event = lambda_events.read(invocation.payload)
        except RequestError as error:
            await self._refuse(invocation, Shape(), "", error)
            return
        if self._answering.keyed or event.signed:
            await self._ask(invocation, event, stop)
        else:
            await self._refuse(invocation, event.shape, event.path, _nobody_may_ask())

    async def _refuse(
        self, invocation: Invocation, shape: Shape, path: str, error: RequestError
    ) -> None:
        log.warning("invocation %s: %s", invocation.id, error.one_line())
        await instead(self._answer(invocation, shape), path, error, invocation.id)

    async def _ask(self, invocation: Invocation, event: HttpEvent, stop: Stop) -> None:
        answer = self._answer(invocation, event.shape)
        exchange = Exchange(event.body, answer, self._marks())
        scope = lambda_events.scope(event, self._headers(invocation, event))
        asked = asyncio.ensure_future(self._run(scope, exchange))
        with self._cut_at_deadline(invocation, exchange), self._cut_at_stop(stop, exchange):
            await either(exchange.cut_off, asked)
        if exchange.why is not None:
            await _leave(asked)
        error = exchange.why or _failure(asked, scope, exchange)
        try:
            async with timeout(self._clock, self._left_s(invocation)):
                await conclude(answer, exchange, event.path, error, invocation.id)
        except TimeoutError:
            answer.abort()
            log.warning("invocation %s: Lambda didn't take its answer in time", invocation.id)

    async def _run(self, scope: Scope, exchange: Exchange) -> None:
        await self._answering.app(scope, exchange.receive, exchange.send)

    def _answer(self, invocation: Invocation, shape: Shape) -> Answer:
        streams = self._environment.mode == "stream" and shape.streams
        return (StreamedAnswer if streams else BufferedAnswer)(self._api, invocation, shape)

    def _headers(self, invocation: Invocation, event: HttpEvent) -> Mapping[str, str]:
        """Laid over the client's own."""
        ours = {"x-request-id": event.headers.get("x-request-id", invocation.id)}
        if invocation.trace:
            ours["x-amzn-trace-id"] = invocation.trace
        if not self._answering.keyed:
            # The guard against DNS rebinding needs none: no web page can sign a request.
            ours["host"] = "localhost"
        return ours

    def _marks(self) -> Marks:
        if not self._answering.marked:
            return []
        initialization = self._environment.initialization.encode()
        return [
            (b"x-pilotlight-initialization", initialization),
            (b"x-pilotlight-invocation", str(self._number).encode()),
        ]

    def _left_s(self, invocation: Invocation) -> float:
        if invocation.deadline_s is None:
            return LONGEST_S
        return max(0.0, invocation.deadline_s - self._wall())

    @contextlib.contextmanager
    def _cut_at_deadline(self, invocation: Invocation, exchange: Exchange) -> Iterator[None]:
        error = FunctionDeadlineError(
            "the function's time was over before the answer was whole",
            hint="ask for fewer tokens, or raise the function's timeout",
        )
        after_s = self._left_s(invocation) - self._environment.reserve_s
        timer = self._clock.call_at(self._clock.now() + after_s, lambda: exchange.cut(error))
        try:
            yield
        finally:
            timer.cancel()

    @contextlib.contextmanager
    def _cut_at_stop(self, stop: Stop, exchange: Exchange) -> Iterator[None]:
        async def cut() -> None:
            await stop.asked.wait()
            await sleep(self._clock, STOP_S)
            exchange.cut(DrainingError("this environment is shut down", hint="ask it again"))

        watching = asyncio.ensure_future(cut())
        try:
            yield
        finally:
            watching.cancel()


def _nobody_may_ask() -> ForbiddenError:
    """Without keys only those are answered whose signature AWS has checked."""
    return ForbiddenError(
        "this function has no API key, and AWS didn't check who asks",
        hint="give it keys (`pilotlight keys create`), or its URL the auth type AWS_IAM",
    )


async def _leave(asked: asyncio.Task[None]) -> None:
    """Returns once the gateway is done with it, and so the engine's slot is free."""
    await asyncio.wait((asked,), timeout=LEAVE_S)
    asked.cancel()
    await asyncio.gather(asked, return_exceptions=True)


def _failure(
    asked: asyncio.Task[None], scope: Mapping[str, Any], exchange: Exchange
) -> PilotlightError | None:
    """What is wrong with an answer that the gateway is done with."""
    raised = asked.exception()
    if raised is not None:
        log.error("the gateway failed", exc_info=raised)
    if raised is not None or not exchange.complete:
        return PilotlightError("something went wrong inside Pilotlight", hint="see its log")
    failed: PilotlightError | None = scope.get(FAILED)
    # A refusal is a whole answer, with a status of its own.
    return failed if exchange.status is not None and exchange.status < 400 else None
