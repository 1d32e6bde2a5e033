"""An Ollama server's own store of models: listed, described and pulled, before any is loaded.

https://github.com/ollama/ollama/blob/main/docs/api.md
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from typing import Any

import aiohttp
from aiohttp.http_exceptions import LineTooLong

from pilotlight.engines.ollama.shown import Shown
from pilotlight.errors import EngineUnreachableError, PilotlightError, SourceError
from pilotlight.store.progress import Reporter

SHOWN_CHARACTERS = 300


@dataclass(frozen=True, slots=True)
class Listed:
    """One model on the server's disk."""

    name: str
    size_bytes: int
    digest: str | None


def full_name(name: str) -> str:
    """As Ollama names it: without a tag it is the latest."""
    return name if ":" in name.rpartition("/")[2] else f"{name}:latest"


class Library:
    """One server, asked once per call; nothing is kept open."""

    def __init__(self, host: str, timeout_s: float, *, through_proxies: bool) -> None:
        self._host = host
        self._timeout = aiohttp.ClientTimeout(total=None, sock_connect=10, sock_read=timeout_s)
        self._through_proxies = through_proxies

    async def models(self) -> tuple[Listed, ...]:
        answer = await self._json("GET", "/api/tags", None)
        with _understood(self._host):
            return tuple(
                Listed(
                    full_name(str(entry["name"])),
                    int(entry.get("size") or 0),
                    f"sha256:{entry['digest']}" if entry.get("digest") else None,
                )
                for entry in answer.get("models") or ()
                if entry.get("name")
            )

    async def show(self, name: str) -> Shown:
        answer = await self._json("POST", "/api/show", {"model": name})
        with _understood(self._host):
            return Shown.parse(answer)

    async def pull(self, name: str, reporter: Reporter) -> None:
        """Returns when the server has it whole; a pull that is broken off goes on next time."""
        layers: dict[str, tuple[int, int]] = {}
        last = ""
        async with self._asked("POST", "/api/pull", {"model": name}) as response:
            with _understood(self._host):
                async for line in response.content:
                    if not line.strip():
                        continue
                    row = _object(line, self._host)
                    if "error" in row:
                        raise _no_such(name, self._host, str(row["error"]))
                    last = str(row.get("status") or "")
                    _report(row, layers, reporter)
        if last != "success":
            raise EngineUnreachableError(
                f"the Ollama server at {self._host} broke off its pull of {name!r}",
                hint="ask again: it goes on where it was",
            )

    async def _json(self, method: str, path: str, body: Mapping[str, Any] | None) -> Any:
        async with self._asked(method, path, body) as response:
            return _object(await response.read(), self._host)

    @asynccontextmanager
    async def _asked(
        self, method: str, path: str, body: Mapping[str, Any] | None
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        """An answer with status 200. Raises SourceError, EngineUnreachableError."""
        try:
            async with (
                aiohttp.ClientSession(
                    timeout=self._timeout, trust_env=self._through_proxies
                ) as session,
                session.request(
                    method, self._host + path, json=body, allow_redirects=False
                ) as response,
            ):
                if response.status != 200:
                    raise await _refusal(response, self._host, path)
                yield response
        except (aiohttp.ClientError, TimeoutError) as error:
            raise EngineUnreachableError(
                f"the Ollama server at {self._host} is out of reach: "
                f"{str(error) or type(error).__name__}",
                hint="does `ollama serve` run there? See the option host",
            ) from None


def _report(row: Mapping[str, Any], layers: dict[str, tuple[int, int]], reporter: Reporter) -> None:
    """A row tells of one layer; what is reported is all of them that were told of so far."""
    if row.get("digest") and isinstance(row.get("total"), int):
        layers[str(row["digest"])] = (int(row.get("completed") or 0), int(row["total"]))
    done = sum(completed for completed, _ in layers.values())
    total = sum(size for _, size in layers.values())
    status = str(row.get("status") or "")
    if status.startswith("pulling manifest") or not layers:
        reporter.say("resolve", 0, None)
    elif status.startswith(("verifying", "writing", "removing", "success")):
        reporter.say("verify", total, total)
    else:
        reporter.say("download", done, total)


async def _refusal(response: aiohttp.ClientResponse, host: str, path: str) -> PilotlightError:
    body = await response.read()
    try:
        said = str(json.loads(body)["error"])
    except (ValueError, KeyError, TypeError):
        said = body.decode(errors="replace")
    if response.status >= 500 and path != "/api/pull":
        return EngineUnreachableError(
            f"the Ollama server at {host} answers {response.status} to {path}: "
            f"{said[:SHOWN_CHARACTERS]}",
            hint="see its log",
        )
    return SourceError(
        f"the Ollama server at {host} answers {response.status} to {path}: "
        f"{said[:SHOWN_CHARACTERS]}",
        hint="is it an Ollama server, and is the model's name in its ref right?",
    )


def _no_such(name: str, host: str, said: str) -> SourceError:
    return SourceError(
        f"the Ollama server at {host} can't pull {name!r}: {said[:SHOWN_CHARACTERS]}",
        hint="is the model's name in its ref right, and can that server reach its registry?",
    )


@contextmanager
def _understood(host: str) -> Iterator[None]:
    """What its API doesn't say in such words comes from somebody else."""
    try:
        yield
    except (ValueError, TypeError, AttributeError, KeyError, LineTooLong) as error:
        raise SourceError(
            f"what answers at {host} is no Ollama server: {type(error).__name__}: "
            f"{str(error)[:SHOWN_CHARACTERS]}",
            hint="correct the option host",
        ) from None


def _object(data: bytes, host: str) -> Mapping[str, Any]:
    try:
        found = json.loads(data)
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise SourceError(
            f"what answers at {host} is no Ollama server: it says {data[:80]!r}",
            hint="correct the option host",
        )
    return found
