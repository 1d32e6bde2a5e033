"""`pilotlight serve` as a Lambda function: init, then invocations until Lambda is done with us."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import time
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from dataclasses import replace
from functools import partial
from typing import Any, TypeVar

from pilotlight.config import Settings
from pilotlight.engines.registry import FACTORIES, Factory
from pilotlight.errors import ConfigError, PilotlightError, RuntimeApiError
from pilotlight.fleet.local import LocalFleet
from pilotlight.gateway import assembly, logs
from pilotlight.gateway.assembly import House
from pilotlight.gateway.keys import KeyStore
from pilotlight.gateway.signals import Stop, held
from pilotlight.instance import lambda_environment
from pilotlight.instance.lambda_api import Invocation, RuntimeApi
from pilotlight.instance.lambda_clock import AwakeClock
from pilotlight.instance.lambda_environment import Environment
from pilotlight.instance.lambda_function import Answering, Function
from pilotlight.instance.lambda_init import limit_s, load_models, process_age_s
from pilotlight.machine import survey

log = logging.getLogger(__name__)

T = TypeVar("T")

RETRIES_S = (0.05, 0.1, 0.2, 0.4)
"""Pauses before the Runtime API is asked again; after the last one the environment is given up."""

CLOSE_S = 0.1
"""For each of the house and the engines; what is left of them then dies with this process."""


def run(
    settings: Settings,
    *,
    environ: Mapping[str, str] = os.environ,
    factories: Mapping[str, Factory] = FACTORIES,
) -> int:
    """Serve invocations until SIGTERM; returns the exit code. Blocks, on the main thread.

    An init that fails is reported to Lambda and ends with exit code 1. Raises ConfigError where
    the variables of the Lambda runtime itself are wrong, after that was reported too.
    """
    logs.configure(settings.log_level, settings.log_format)
    try:
        environment = lambda_environment.read(environ)
    except ConfigError as error:
        report(error, environ)
        raise
    with held(), asyncio.Runner() as runner:
        return runner.run(_run(settings, environment, factories))


def report(error: BaseException, environ: Mapping[str, str] = os.environ) -> None:
    """Tell Lambda, where there is one, why init failed before `run`."""
    if address := environ.get(lambda_environment.API):
        asyncio.run(_fail_init(RuntimeApi(address), error))


async def _run(
    settings: Settings, environment: Environment, factories: Mapping[str, Factory]
) -> int:
    stop, clock = Stop(), AwakeClock()
    with stop.listening():
        build = partial(_build, settings, factories, clock)
        return await live(environment, build, clock, stop, age_s=process_age_s)


async def live(
    environment: Environment,
    build: Callable[[contextlib.AsyncExitStack], House],
    clock: AwakeClock,
    stop: Stop,
    wall: Callable[[], float] = time.time,
    age_s: Callable[[], float] = lambda: 0.0,
) -> int:
    """The whole life of an environment, until `stop` is asked; returns the exit code.

    `build` makes the house on `clock` and leaves its end with the stack. `age_s` is how long ago
    Lambda began to count the time of init.
    """
    api = RuntimeApi(environment.api)
    async with contextlib.AsyncExitStack() as closing:
        try:
            house = build(closing)
            await _unless_stopped(stop, _init(house, environment, clock, age_s))
        except Exception as error:  # a process's edge: Lambda is to hear of it
            _log_failed(error)
            await _fail_init(api, error)
            return 1
        marked = house.settings.timing_headers
        answering = Answering(app=house.app, keyed=house.keyed, marked=marked)
        function = Function(answering, api, environment, clock, wall)
        try:
            await _answer_all(function, api, clock, stop)
        except RuntimeApiError as error:
            log.error("%s", error.one_line())
            return 1
    return 0


def _build(
    settings: Settings,
    factories: Mapping[str, Factory],
    clock: AwakeClock,
    closing: contextlib.AsyncExitStack,
) -> House:
    """Raises ConfigError and EngineOptionError."""
    settings.data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    if settings.ledger.rated_w is not None:
        log.warning("ledger.rated_w is not followed here: a share of a machine has no watts")
    if not KeyStore(settings.data_dir / "keys.json").any():
        log.warning("no API key: only callers whose signature AWS checked (AWS_IAM) are answered")
        # Nobody listens on it; but without keys the gateway answers on loopback alone.
        settings = replace(settings, host="127.0.0.1")
    fleet = LocalFleet(settings.data_dir / "logs")
    closing.push_async_callback(_in_time, fleet.close)
    house = assembly.build(settings, survey(), fleet, factories=factories, clock=clock)
    closing.push_async_callback(_in_time, house.close)
    return house


async def _in_time(close: Callable[[], Awaitable[None]]) -> None:
    try:
        async with asyncio.timeout(CLOSE_S):
            await close()
    except TimeoutError:
        log.info("engines are killed: they took over %g s to end", CLOSE_S)


async def _init(
    house: House, environment: Environment, clock: AwakeClock, age_s: Callable[[], float]
) -> None:
    """Raises what a model couldn't be loaded for."""
    began_s = time.monotonic()
    house.begin()
    house.books.begin()
    left_s = limit_s(limited=environment.init_limited, age_s=age_s())
    await load_models(house, clock, limit_s=left_s)
    log.info(
        "function %s, version %s, %s MB: init took %.2f s (%s, answers are %sed)",
        environment.function,
        environment.version,
        environment.memory_mb,
        time.monotonic() - began_s,
        environment.initialization,
        environment.mode,
    )


def _log_failed(error: Exception) -> None:
    if isinstance(error, PilotlightError):
        log.error("init failed: %s", error.one_line())
    else:
        log.error("init failed", exc_info=error)


async def _fail_init(api: RuntimeApi, error: BaseException) -> None:
    try:
        await api.fail_init(error)
    except RuntimeApiError as refused:
        log.warning("%s", refused.one_line())


async def _answer_all(function: Function, api: RuntimeApi, clock: AwakeClock, stop: Stop) -> None:
    """Until SIGTERM. Raises RuntimeApiError where Lambda can't be heard any more."""
    while not stop.asked.is_set():
        clock.pause()
        try:
            invocation = await _unless_stopped(stop, _next(api))
        finally:
            clock.resume()
        if invocation is not None:
            await function.serve(invocation, stop)


async def _next(api: RuntimeApi) -> Invocation:
    for pause_s in (*RETRIES_S, None):
        try:
            return await api.next()
        except RuntimeApiError as error:
            if error.fatal or pause_s is None:
                raise
            log.warning("%s; asked again in %g s", error.one_line(), pause_s)
            await asyncio.sleep(pause_s)
    raise AssertionError("the last try returns or raises")


async def _unless_stopped(stop: Stop, work: Coroutine[Any, Any, T]) -> T | None:
    """What `work` comes to, or None once SIGTERM came; it is cancelled then."""
    doing = asyncio.ensure_future(work)
    stopping = asyncio.ensure_future(stop.asked.wait())
    try:
        await asyncio.wait((doing, stopping), return_when=asyncio.FIRST_COMPLETED)
        return doing.result() if doing.done() else None
    finally:
        for task in (doing, stopping):
            task.cancel()
        await asyncio.gather(doing, stopping, return_exceptions=True)
