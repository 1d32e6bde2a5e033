"""A client of the deployed gateway: a connection for each request, as a stranger's would be."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import aiohttp


@dataclass(slots=True)
class Tally:
    """What became of a loop of requests."""

    answered: int = 0
    failures: list[str] = field(default_factory=list)
    longest_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Client:
    url: str
    key: str
    model: str

    @asynccontextmanager
    async def _post(self, body: dict[str, Any]) -> AsyncIterator[aiohttp.ClientResponse]:
        headers = {"Authorization": f"Bearer {self.key}"}
        timeout = aiohttp.ClientTimeout(total=180.0)
        async with (
            aiohttp.ClientSession(headers=headers, timeout=timeout) as session,
            session.post(f"{self.url}/v1/chat/completions", json=body) as response,
        ):
            yield response

    def _body(self, tokens: int, **more: Any) -> dict[str, Any]:
        messages = [{"role": "user", "content": "Count to a hundred."}]
        return {"model": self.model, "messages": messages, "max_tokens": tokens, **more}

    async def chat(self, tokens: int = 4) -> str:
        """The answer's text. Any status but 200 is an AssertionError with what was said."""
        async with self._post(self._body(tokens)) as response:
            answer = await response.json()
            assert response.status == 200, f"{response.status}: {answer}"
            return str(answer["choices"][0]["message"]["content"])

    async def stream(self, tokens: int, begun: asyncio.Event) -> list[dict[str, Any]]:
        """Every event of an answer of exactly so many tokens; `begun` is set at the first one."""
        events: list[dict[str, Any]] = []
        async with self._post(self._body(tokens, stream=True, ignore_eos=True)) as response:
            assert response.status == 200, await response.text()
            async for line in response.content:
                text = line.decode().strip().removeprefix("data: ")
                if text.startswith("{"):
                    events.append(json.loads(text))
                    begun.set()
        return events

    async def get(self, path: str) -> Any:
        async with (
            aiohttp.ClientSession(headers={"Authorization": f"Bearer {self.key}"}) as session,
            session.get(f"{self.url}{path}") as response,
        ):
            assert response.status == 200, await response.text()
            return await response.json()

    async def _again_and_again(self, tally: Tally, over: asyncio.Event) -> None:
        while not over.is_set():
            begun_s = time.monotonic()
            try:
                await self.chat()
                tally.answered += 1
            except (AssertionError, aiohttp.ClientError, TimeoutError) as error:
                tally.failures.append(f"{type(error).__name__}: {error}")
            tally.longest_s = max(tally.longest_s, time.monotonic() - begun_s)

    @asynccontextmanager
    async def traffic(self, clients: int) -> AsyncIterator[Tally]:
        """Requests without a pause while the block runs; those under way at its end finish."""
        tally, over = Tally(), asyncio.Event()
        running = [
            asyncio.ensure_future(self._again_and_again(tally, over)) for _ in range(clients)
        ]
        try:
            yield tally
        finally:
            over.set()
            await asyncio.gather(*running)


async def until(true: Callable[[], Any], within_s: float, every_s: float = 0.2) -> float:
    """Seconds until `true` said so; it asks a real cluster, so it is asked now and then."""
    begun_s = time.monotonic()
    while not await asyncio.to_thread(true):
        assert time.monotonic() - begun_s < within_s, f"not within {within_s} s"
        await asyncio.sleep(every_s)
    return time.monotonic() - begun_s
