"""HTTP for sources and downloads: redirects by hand, so that no secret leaves its host."""

from __future__ import annotations

import email.utils
import ssl
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from types import TracebackType
from typing import Self

import aiohttp
from yarl import URL

from pilotlight import __version__
from pilotlight.errors import SourceError
from pilotlight.store.address import exact_url, redacted
from pilotlight.store.network import Network
from pilotlight.store.retry import TransientError

_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_MAX_REDIRECTS = 10
_TRANSIENT = frozenset({408, 425, 429, 500, 502, 503, 504})
_BUSY = frozenset({429, 503})
_TIMEOUT = aiohttp.ClientTimeout(total=None, sock_connect=30, sock_read=60)
_MAX_ANSWER_BYTES = 64 * 2**20

_HINTS: Mapping[int, str] = {
    401: "the server wants a login; put user:password@ before the host",
    403: "the login has no right to this file, or a signed URL has expired",
    404: "check the spelling",
    407: "give the proxy's login in HTTPS_PROXY",
    429: "the server limits how often you may ask; wait, or ask with a login",
}


@dataclass(frozen=True, slots=True)
class Answer:
    """One small whole response; `url` is where it came from after redirects."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    url: str


class Client:
    """One HTTP session; an async context manager."""

    def __init__(self, network: Network) -> None:
        self._network = network
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(ssl=self._trust()),
            headers={"User-Agent": f"pilotlight/{__version__}", "Accept-Encoding": "identity"},
            timeout=_TIMEOUT,
            trust_env=True,
            auto_decompress=False,
        )
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._session is not None:
            await self._session.close()

    def _trust(self) -> ssl.SSLContext | bool:
        """True is the system's own authorities, which aiohttp has loaded already."""
        return self._network.ssl_context() if self._network.authorities else True

    async def ask(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str],
        *,
        hints: Mapping[int, str] | None = None,
        until: str | None = None,
        allowed: frozenset[int] = frozenset(),
    ) -> Answer:
        """One small whole answer. Raises as `open` does, and for an answer that is too large."""
        async with self.open(
            method, url, headers, hints=hints, until=until, allowed=allowed
        ) as response:
            body = bytearray()
            async for block in response.content.iter_any():
                body += block
                if len(body) > _MAX_ANSWER_BYTES:
                    raise SourceError(f"{redacted(url)!r} answers over {_MAX_ANSWER_BYTES} bytes")
            return Answer(response.status, response.headers, bytes(body), str(response.url))

    @asynccontextmanager
    async def open(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str],
        *,
        hints: Mapping[int, str] | None = None,
        until: str | None = None,
        allowed: frozenset[int] = frozenset(),
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        """The response to one request, after redirects; one with header `until` ends them.

        416 is handed back, for only whoever asked for a range knows what it means, and so
        are the `allowed` refusals, such as a 401 that says where to log in.

        Raises:
            SourceError: the server refuses; `hints` give the next step by status.
            TransientError: the network failed, then or while reading, or the server is busy.
        """
        try:
            response = await self._follow(method, exact_url(url), dict(headers), until)
            try:
                if response.status not in allowed:
                    _refuse(response, url, hints or {})
                yield response
            finally:
                response.close()  # a body left half read can't be followed by another request
        except (aiohttp.ClientSSLError, aiohttp.InvalidURL, aiohttp.NonHttpUrlClientError) as error:
            raise _unusable(url, error) from error
        except (aiohttp.ClientError, ConnectionError, TimeoutError) as error:
            raise _unreachable(url, error) from error

    async def _follow(
        self, method: str, url: URL, headers: dict[str, str], until: str | None
    ) -> aiohttp.ClientResponse:
        assert self._session is not None, "use `async with`"
        for _ in range(_MAX_REDIRECTS):
            response = await self._session.request(
                method, url, headers=headers, allow_redirects=False, proxy=self._network.proxy
            )
            location = response.headers.get("Location")
            if response.status not in _REDIRECTS or not location:
                return response
            if until is not None and until in response.headers:
                return response
            response.close()
            target = url.join(exact_url(location))
            headers = _headers_for(target, url, headers)
            url = target
        raise SourceError(f"{redacted(str(url))!r} redirects over {_MAX_REDIRECTS} times")


def _headers_for(target: URL, origin: URL, headers: dict[str, str]) -> dict[str, str]:
    """What of `headers` may follow a redirect; a login never goes to another origin."""
    if origin.scheme == "https" and target.scheme != "https":
        raise SourceError(
            f"{redacted(str(origin))!r} redirects to {redacted(str(target))!r}, without TLS",
            hint="name an address that stays on https",
        )
    if target.origin() == origin.origin():
        return headers
    return {key: value for key, value in headers.items() if key.lower() != "authorization"}


def _refuse(response: aiohttp.ClientResponse, url: str, hints: Mapping[int, str]) -> None:
    status = response.status
    if status < 400 or status == 416:
        return
    said = response.headers.get("X-Error-Message") or response.reason or "no reason given"
    error = SourceError(
        f"{redacted(url)!r} answers {status}: {said}",
        hint=hints.get(status) or _HINTS.get(status) or "the server is failing; try again later",
    )
    if status in _TRANSIENT:
        wait_s = retry_after_s(response.headers.get("Retry-After"), time.time())
        raise TransientError(error, retry_after_s=wait_s, busy=status in _BUSY)
    raise error


def retry_after_s(value: str | None, now_s: float) -> float | None:
    """Retry-After, seconds or a date, as seconds from `now_s` (Unix time)."""
    if not value:
        return None
    if value.strip().isdecimal():
        return float(value)
    try:
        return max(0.0, email.utils.parsedate_to_datetime(value).timestamp() - now_s)
    except ValueError:
        return None


def _unusable(url: str, error: Exception) -> SourceError:
    if isinstance(error, aiohttp.ClientSSLError):
        return SourceError(
            f"{redacted(url)!r} can't be trusted: {error}",
            hint="set SSL_CERT_FILE to your organisation's certificate authorities (PEM)",
        )
    return SourceError(f"{redacted(url)!r} is no usable address", hint="check its spelling")


def _unreachable(url: str, error: Exception) -> TransientError:
    what = str(error) or type(error).__name__
    return TransientError(
        SourceError(
            f"{redacted(url)!r} can't be reached or broke off: {what}",
            hint="check the network and HTTPS_PROXY; what was fetched is kept and continued",
        )
    )
