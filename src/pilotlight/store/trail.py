"""Where one file's address leads: followed once, and again when what it led to has expired."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace

import aiohttp

from pilotlight.errors import SourceError
from pilotlight.store.address import exact_url
from pilotlight.store.body import place
from pilotlight.store.client import Client
from pilotlight.store.retry import TransientError
from pilotlight.store.sources.base import Description


@dataclass(frozen=True, slots=True)
class _Route:
    """The end of all redirects, and what of the file's headers may go there."""

    url: str
    headers: Mapping[str, str]


class Trail:
    """Opens one description's address, for many ranges of it at once."""

    def __init__(self, client: Client, description: Description) -> None:
        self.description = description
        self._client = client
        self._route: _Route | None = None
        self._worked = False
        self._renewing = asyncio.Lock()

    @asynccontextmanager
    async def open(self, headers: Mapping[str, str]) -> AsyncIterator[aiohttp.ClientResponse]:
        """The answer to GET with these headers too. Raises as `Client.open` does."""
        async with AsyncExitStack() as stack:
            response = await self._enter(stack, headers)
            self._worked = True
            yield response

    async def measure(self) -> None:
        """Have the size of a file whose source doesn't say it: nobody shares one without."""
        described = self.description
        if described.sha256 is None or described.size_bytes is not None:
            return
        try:
            async with self.open({"Range": "bytes=0-0"}) as response:
                body = place(response.status, response.headers, response.content_length, (0, 1))
        except (SourceError, TransientError):
            return  # whoever fetches it says so, or overcomes it
        if body is not None and body.total_bytes:
            self.description = replace(self.description, size_bytes=body.total_bytes)

    async def _enter(
        self, stack: AsyncExitStack, headers: Mapping[str, str]
    ) -> aiohttp.ClientResponse:
        route = self._route
        if route is not None:
            try:
                return await self._ask(stack, route.url, route.headers, headers)
            except SourceError:
                # A signed address lasts for a while only; the file's own leads to a fresh one.
                if self._route is route:
                    self._route = None
        described = self.description
        try:
            return await self._enter_anew(stack, described, headers)
        except SourceError:
            if described.renew is None or not self._worked:
                raise
        await self._renew(described)
        return await self._enter_anew(stack, self.description, headers)

    async def _enter_anew(
        self, stack: AsyncExitStack, described: Description, headers: Mapping[str, str]
    ) -> aiohttp.ClientResponse:
        response = await self._ask(stack, described.url, described.headers, headers)
        if response.url != exact_url(described.url):
            sent = response.request_info.headers
            left = {key: value for key, value in described.headers.items() if key in sent}
            self._route = _Route(str(response.url), left)
        return response

    async def _ask(
        self,
        stack: AsyncExitStack,
        url: str,
        own: Mapping[str, str],
        headers: Mapping[str, str],
    ) -> aiohttp.ClientResponse:
        opened = self._client.open("GET", url, {**own, **headers}, hints=self.description.hints)
        return await stack.enter_async_context(opened)

    async def _renew(self, described: Description) -> None:
        """Once, however many lanes were refused."""
        async with self._renewing:
            if self.description is described and described.renew is not None:
                self.description = await described.renew()
