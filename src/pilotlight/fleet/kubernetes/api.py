"""The few calls to the Kubernetes API that a gateway makes, over one HTTP session."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, Mapping
from types import TracebackType
from typing import Any

import aiohttp

from pilotlight.errors import EngineStartError, EngineUnreachableError
from pilotlight.fleet.kubernetes.access import Access

MERGE = "application/merge-patch+json"
ASK_S = 10.0
"""For an answer that is no watch."""

WATCH_S = 60
"""How long one watch lasts; the next goes on where it ended. A silent link is noticed after it."""

LONGEST_LINE = 8 * 2**20

BEGAN: dict[str, Any] = {"type": "BEGAN"}
"""First of every watch's events: the API grants it."""


class RefusedError(Exception):
    """The API's own `Status` for a request that it did not grant."""

    def __init__(self, status: int, reason: str, message: str) -> None:
        super().__init__(f"{status} {reason}: {message}")
        self.status = status
        self.reason = reason
        self.message = message


class Api:
    """Every method raises RefusedError, and EngineUnreachableError when nobody answers."""

    def __init__(self, access: Access) -> None:
        self._access = access
        self._session: aiohttp.ClientSession | None = None

    @property
    def namespace(self) -> str:
        """The one that we ourselves are in."""
        return self._access.namespace

    def _open(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=0, ssl=self._access.tls or True),
                cookie_jar=aiohttp.DummyCookieJar(),
                read_bufsize=LONGEST_LINE,
            )
        return self._session

    async def get(self, path: str, **query: str) -> dict[str, Any]:
        return await self._ask("GET", path, query)

    async def text(self, path: str, **query: str) -> str:
        async with self._request("GET", path, query) as response:
            return await response.text(errors="replace")

    async def patch(self, path: str, change: Mapping[str, Any]) -> dict[str, Any]:
        """A merge patch: None removes. With ``metadata.resourceVersion`` a 409 if it is older."""
        return await self._ask("PATCH", path, {}, change, MERGE)

    async def delete(self, path: str, options: Mapping[str, Any]) -> None:
        await self._ask("DELETE", path, {}, options, "application/json")

    async def watch(self, path: str, version: str, **query: str) -> AsyncGenerator[dict[str, Any]]:
        """`BEGAN`, then events since `version`, until the API ends it, as it does after a while."""
        query |= {
            "watch": "1", "resourceVersion": version, "timeoutSeconds": str(WATCH_S),
            "allowWatchBookmarks": "true",
        }  # fmt: skip
        async with self._request("GET", path, query, timeout_s=WATCH_S + ASK_S) as response:
            yield BEGAN
            async for line in response.content:
                yield json.loads(line)

    async def _ask(
        self,
        method: str,
        path: str,
        query: Mapping[str, str],
        body: Mapping[str, Any] | None = None,
        content_type: str | None = None,
    ) -> dict[str, Any]:
        async with self._request(method, path, query, body, content_type) as response:
            answer: dict[str, Any] = await response.json(content_type=None)
            return answer

    def _request(
        self,
        method: str,
        path: str,
        query: Mapping[str, str],
        body: Mapping[str, Any] | None = None,
        content_type: str | None = None,
        timeout_s: float = ASK_S,
    ) -> _Answer:
        headers = {"Accept": "application/json"}
        if content_type:
            headers["Content-Type"] = content_type
        if token := self._access.token():
            headers["Authorization"] = f"Bearer {token}"
        return _Answer(
            self._open().request(
                method,
                self._access.url + path,
                params=query,
                data=None if body is None else json.dumps(body),
                headers=headers,
                timeout=aiohttp.ClientTimeout(total=timeout_s),
                allow_redirects=False,
            ),
            self._access.url,
        )

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()
            self._session = None


class _Answer:
    """A response for as long as it is read; whatever goes wrong meanwhile is one of two errors."""

    def __init__(self, request: Any, url: str) -> None:
        self._request = request
        self._url = url

    async def __aenter__(self) -> aiohttp.ClientResponse:
        try:
            response: aiohttp.ClientResponse = await self._request.__aenter__()
            if response.status >= 400:
                raise _refused(response.status, await response.read())
        except (aiohttp.ClientError, TimeoutError) as error:
            raise self._unreachable(error) from None
        return response

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._request.__aexit__(kind, error, trace)
        if isinstance(error, aiohttp.ClientError | TimeoutError | ValueError):
            raise self._unreachable(error) from None

    def _unreachable(self, error: BaseException) -> EngineUnreachableError:
        return EngineUnreachableError(
            f"the Kubernetes API at {self._url} is out of reach: "
            f"{str(error) or type(error).__name__}",
            hint="ask again later; does a NetworkPolicy let the gateway out to it?",
        )


def _refused(status: int, body: bytes) -> RefusedError:
    try:
        said = json.loads(body)
        return RefusedError(status, str(said.get("reason", "")), str(said.get("message", "")))
    except (ValueError, AttributeError):
        return RefusedError(status, "", body[:300].decode(errors="replace"))


def in_words(error: RefusedError, deployment: str, namespace: str) -> EngineStartError:
    """What a refusal means for a model whose pods are those of `deployment`."""
    if error.status in (401, 403):
        return EngineStartError(
            f"the Kubernetes API doesn't let the gateway look after Deployment {deployment!r}",
            last_words=error.message,
            hint="add what it names to the Role of the gateway's service account",
        )
    if error.status == 404:
        return EngineStartError(
            f"there is no Deployment {deployment!r} in namespace {namespace!r}",
            last_words=error.message,
            hint="apply it, or correct the options deployment and namespace",
        )
    return EngineStartError(
        f"the Kubernetes API refused to change Deployment {deployment!r}: {error}"
    )
