"""An engine of another kind: it reads no file, and says how long it took instead of taking it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pilotlight.engines.base import Launch, ModelJob, Seat


class Answer:
    """One answer, there at once."""

    def __init__(self, status: int, body: bytes) -> None:
        self.status = status
        self._body = body

    async def read(self) -> bytes:
        body, self._body = self._body, b""
        return body

    def close(self) -> None:
        pass


class Client:
    """Each token of an answer takes `token_ms`; status 200, or nothing at all for None."""

    def __init__(self, status: int | None, token_ms: float) -> None:
        self.requests: list[dict[str, Any]] = []
        self._status = status
        self._token_ms = token_ms

    async def open(self, path: str, body: bytes | None = None) -> Answer:
        assert body is not None
        request = json.loads(body)
        self.requests.append(request)
        if self._status is None:
            await asyncio.Event().wait()
        count = request["n_predict"]
        timings = {"predicted_ms": self._token_ms * (count - 1), "predicted_n": max(count, 2)}
        last = json.dumps({"stop": True, "timings": timings})
        return Answer(self._status or 0, f"data: {last}\n\n".encode())


class Process:
    pid = None

    def __init__(self, client: Client) -> None:
        self.client = client
        self.stopped = False

    async def stop(self, grace_s: float = 5.0) -> None:
        self.stopped = True


class Fleet:
    """Remembers what it launched, and the models that were there then."""

    def __init__(self, status: int | None = 200, token_ms: float = 10.0) -> None:
        self.processes: list[Process] = []
        self.jobs: list[ModelJob] = []
        self._status = status
        self._token_ms = token_ms

    def seat(self, replica_id: str) -> Seat:
        return Seat(Path("nowhere"), Path("nowhere/e.sock"), "secret")

    async def launch(self, launch: Launch) -> Process:
        self.processes.append(Process(Client(self._status, self._token_ms)))
        return self.processes[-1]

    async def close(self) -> None:
        pass


class Engine:
    name = "llamacpp"
    build = "fake 1"

    def __init__(self) -> None:
        self.loaded: list[tuple[str, int]] = []

    def options(self, given: Mapping[str, Any]) -> Any:
        return dict(given)

    def command(self, seat: Seat, job: ModelJob | None) -> Launch:
        return Launch(("true",), seat)

    async def load(self, process: Process, job: ModelJob) -> None:
        self.loaded.append((job.files.path.name, job.files.path.stat().st_size))
