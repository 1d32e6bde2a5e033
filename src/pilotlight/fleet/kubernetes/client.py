"""HTTP to one pod: as to any engine elsewhere, but its end is a crash that we mend ourselves."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import NoReturn

from pilotlight.engines.base import Exchange, Remote
from pilotlight.errors import EngineCrashedError, EngineTimeoutError, EngineUnreachableError
from pilotlight.fleet.remote import RemoteClient


class _PodExchange:
    """`engines.base.Exchange`."""

    def __init__(
        self, exchange: Exchange, pod: str, closed: Callable[[_PodExchange], None]
    ) -> None:
        self._exchange = exchange
        self._pod = pod
        self._closed = closed
        self.status = exchange.status
        self.content_type = exchange.content_type
        self.retry_after_s = exchange.retry_after_s

    async def read(self) -> bytes:
        try:
            return await self._exchange.read()
        except EngineUnreachableError as error:
            _raise(error, self._pod)

    def close(self) -> None:
        self._closed(self)
        self._exchange.close()


class PodClient(RemoteClient):
    """Straight to the pod's address: no proxy knows it.

    `close` ends what is under way, with an error for whoever waits for it: a pod whose node
    is lost never says that it is gone, and aiohttp's own close leaves such readers waiting.
    """

    def __init__(self, remote: Remote, pod: str) -> None:
        super().__init__(remote, through_proxies=False)
        self._pod = pod
        self._opening: set[asyncio.Task[Exchange]] = set()
        self._answering: set[_PodExchange] = set()

    async def open(self, path: str, body: bytes | None = None) -> Exchange:
        opening = asyncio.ensure_future(super().open(path, body))
        self._opening.add(opening)
        try:
            exchange = _PodExchange(await opening, self._pod, self._answering.discard)
        except EngineUnreachableError as error:
            _raise(error, self._pod)
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if task is not None and task.cancelling():
                raise  # whoever asked has left
            raise _crash(self._pod, "it is gone") from None
        finally:
            self._opening.discard(opening)
        self._answering.add(exchange)
        return exchange

    async def close(self) -> None:
        for opening in self._opening:
            opening.cancel()
        for exchange in list(self._answering):
            exchange.close()
        await super().close()


def _raise(error: EngineUnreachableError, pod: str) -> NoReturn:
    """A pod that is silent may be slow; one that hung up is gone, or will be back by itself."""
    if isinstance(error, EngineTimeoutError):
        raise error
    raise _crash(pod, error.message) from None


def _crash(pod: str, how: str) -> EngineCrashedError:
    return EngineCrashedError(f"pod {pod}: {how}", hint=f"see `kubectl logs --previous {pod}`")
