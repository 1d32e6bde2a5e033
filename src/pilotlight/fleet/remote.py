"""An engine that somebody else runs: HTTPS to it, and a process that is none."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from email.utils import parsedate_to_datetime
from typing import Any

import aiohttp

from pilotlight.engines.base import EngineClient, Exchange, Remote, read_whole
from pilotlight.errors import (
    EngineAnswerError,
    EngineError,
    EngineStartError,
    EngineTimeoutError,
    EngineUnreachableError,
)
from pilotlight.fleet.answer_check import Check, check_for

CONNECT_S = 15.0
"""Longest wait for a connection, however patient the engine's own timeout is."""

LONGEST_RETRY_S = 86400.0


class _RemoteExchange:
    """`engines.base.Exchange` over one response."""

    def __init__(
        self, response: aiohttp.ClientResponse, remote: Remote, check: Check | None
    ) -> None:
        self._response = response
        self._remote = remote
        self._check = check
        self.status = response.status
        self.content_type = response.headers.get("content-type", "")
        self.retry_after_s = _retry_after_s(response.headers)

    async def read(self) -> bytes:
        try:
            data = await self._response.content.readany()
        except (aiohttp.ClientError, TimeoutError) as error:
            raise _trouble(error, self._remote, "broke off its answer") from None
        if self._check is not None and data:
            self._check.feed(data)
        elif self._check is not None:
            self._check.end()
        return data

    def close(self) -> None:
        self._response.close()


class RemoteClient:
    """`engines.base.EngineClient` over the network: TLS, proxies and pooling are aiohttp's.

    Answers to a POST are looked at on their way through; see `fleet.answer_check`.
    """

    def __init__(self, remote: Remote, *, through_proxies: bool = True) -> None:
        self._remote = remote
        self._through_proxies = through_proxies and not remote.here
        self._session: aiohttp.ClientSession | None = None
        self._closed = False

    def _open_session(self) -> aiohttp.ClientSession:
        if self._closed:
            raise EngineUnreachableError(f"the remote engine at {self._remote.url} was let go")
        if self._session is None:
            timeout_s = self._remote.timeout_s
            self._session = aiohttp.ClientSession(
                # Compressed streams come in lumps, and the bytes are passed on as they are.
                headers={"Accept-Encoding": "identity", **self._remote.headers},
                timeout=aiohttp.ClientTimeout(
                    total=None, connect=min(timeout_s, CONNECT_S), sock_read=timeout_s
                ),
                connector=aiohttp.TCPConnector(limit=0),
                cookie_jar=aiohttp.DummyCookieJar(),
                trust_env=self._through_proxies,
            )
        return self._session

    async def open(self, path: str, body: bytes | None = None) -> Exchange:
        try:
            response = await self._open_session().request(
                "GET" if body is None else "POST",
                self._remote.url + path,
                data=body,
                headers={"Content-Type": "application/json"} if body is not None else None,
                allow_redirects=False,  # a key must not follow to another host
            )
        except (aiohttp.ClientError, TimeoutError) as error:
            raise _trouble(error, self._remote, "is out of reach") from None
        looks = body is not None and response.status == 200
        try:
            check = check_for(response.headers.get("content-type", "")) if looks else None
        except EngineAnswerError:
            response.close()
            raise
        return _RemoteExchange(response, self._remote, check)

    async def fetch(
        self, path: str, body: bytes | None = None, *, timeout_s: float = 10.0
    ) -> tuple[int, bytes]:
        async with asyncio.timeout(timeout_s):
            exchange = await self.open(path, body)
            return exchange.status, await read_whole(exchange)

    async def close(self) -> None:
        self._closed = True
        if self._session is not None:
            await self._session.close()
            self._session = None


class RemoteProcess:
    """`engines.base.EngineProcess` of which nothing runs here: it ends when it is let go."""

    pid: int | None = None
    port: int | None = None

    def __init__(self, remote: Remote) -> None:
        self.client: EngineClient = RemoteClient(remote)
        self._remote = remote
        self._ended: asyncio.Future[str] = asyncio.get_running_loop().create_future()

    @property
    def alive(self) -> bool:
        return not self._ended.done()

    async def send(self, message: Mapping[str, Any]) -> None:
        raise EngineStartError("a remote engine has no channel")

    async def receive(self) -> dict[str, Any]:
        raise EngineStartError("a remote engine has no channel")

    async def wait(self) -> str:
        return await asyncio.shield(self._ended)

    async def stop(self, grace_s: float = 5.0) -> None:
        if self.alive:
            # First, so that a second order meanwhile finds it ended.
            self._ended.set_result("let go")
            await self._say_farewell(grace_s)
        await self.client.close()

    async def _say_farewell(self, grace_s: float) -> None:
        """Without grace too: what nobody tells to go stays loaded over there."""
        if self._remote.farewell is None:
            return
        path, body = self._remote.farewell
        try:
            await self.client.fetch(path, body, timeout_s=max(grace_s, 1.0))
        except (EngineError, TimeoutError):
            pass  # it is gone, and so is whatever it had loaded

    def last_words(self, lines: int = 5) -> str:
        return ""

    def memory_bytes(self) -> int | None:
        return None

    def peak_memory_bytes(self) -> int | None:
        return None


def _trouble(error: Exception, remote: Remote, what: str) -> EngineError:
    if isinstance(error, TimeoutError) and not isinstance(error, aiohttp.ConnectionTimeoutError):
        return EngineTimeoutError(
            f"the remote engine at {remote.url} gave nothing for {remote.timeout_s:g} s",
            hint="ask again later, or raise the model's option timeout",
        )
    if isinstance(error, aiohttp.ClientResponseError):  # also what aiohttp makes of a bad header
        return EngineAnswerError(
            f"the remote engine at {remote.url} answered with what is no HTTP",
            hint="is that address a model server's?",
        )
    unconnected = (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError)
    return EngineUnreachableError(
        f"the remote engine at {remote.url} {what}: {str(error) or type(error).__name__}",
        hint="ask again later; is its address right, and does it run?",
        sent=not isinstance(error, unconnected),
    )


def _retry_after_s(headers: Mapping[str, str]) -> float | None:
    """Seconds, a date, or OpenAI's own milliseconds; anything else says nothing."""
    try:
        if "retry-after-ms" in headers:
            found = float(headers["retry-after-ms"]) / 1000
        else:
            found = _seconds(headers["retry-after"])
    except (KeyError, ValueError):
        return None
    return found if 0 <= found <= LONGEST_RETRY_S else None


def _seconds(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return max(0.0, parsedate_to_datetime(text).timestamp() - time.time())
