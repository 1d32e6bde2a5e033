"""The fake engine's process, in memory and under a test's full control.

Points to `hold`, `release` and await with `reached`, in order of a life:
``parked``, ``load``, ``load:K`` (step K of the load), ``ready``, ``request``
(each request, before anything of its answer), ``token:K`` (before the K-th token
of an answer), ``unload``, ``stop``.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Coroutine, Iterable, Mapping
from typing import Any, TypeVar

from pilotlight.engines.base import Launch, read_whole
from pilotlight.errors import EngineCrashedError, EngineStartError
from pilotlight.testing.exchange import FakeExchange
from pilotlight.testing.gates import Gates
from pilotlight.testing.options import FakeOptions
from pilotlight.testing.service import Service, Sleep

PARKED_BYTES = 8 * 2**20
"""Memory of a process without a model."""

_T = TypeVar("_T")


class FakeClient:
    """`engines.base.EngineClient` straight into a FakeProcess."""

    def __init__(self, process: FakeProcess) -> None:
        self._process = process

    async def open(self, path: str, body: bytes | None = None) -> FakeExchange:
        exchange = self._process.ask(path, body)
        try:
            await exchange.headers_came
        except asyncio.CancelledError:
            exchange.close()
            raise
        return exchange

    async def fetch(
        self, path: str, body: bytes | None = None, *, timeout_s: float = 10.0
    ) -> tuple[int, bytes]:
        return await within(timeout_s, self._fetch(path, body), self._process.sleep)

    async def _fetch(self, path: str, body: bytes | None) -> tuple[int, bytes]:
        exchange = await self.open(path, body)
        return exchange.status, await read_whole(exchange)

    async def close(self) -> None:
        for exchange in self._process.exchanges:
            exchange.close()


class FakeProcess:
    """`engines.base.EngineProcess` without an operating system. Needs a running event loop."""

    pid: int | None = None
    port: int | None = None

    def __init__(self, launch: Launch, *, sleep: Sleep, held: Iterable[str] = ()) -> None:
        self.launch = launch
        self.client = FakeClient(self)
        self.exchanges: list[FakeExchange] = []
        """Every request it got, open or not, in order."""

        self.fail_load: str | None = None
        """Words with which its next loads fail, whatever the model's options say."""

        self.sleep = sleep
        self._gates = Gates(held)
        self._log: list[str] = []
        self._service: Service | None = None
        self._sleeps = True
        self._loaded_bytes = 0
        self._peak_bytes = PARKED_BYTES
        self._messages: asyncio.Queue[dict[str, Any] | None] = asyncio.Queue()
        self._ended: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self._tasks: set[asyncio.Task[None]] = set()
        self._start(self._park())

    def hold(self, point: str) -> None:
        self._gates.hold(point)

    def release(self, point: str) -> None:
        """Raises ValueError for a point that isn't held: a test's mistake."""
        self._gates.release(point)

    async def reached(self, point: str, times: int = 1) -> None:
        await self._gates.reached(point, times)

    def kill(self, how: str = "signal SIGKILL") -> None:
        """As `kill -9` from outside: every answer breaks off, nothing is said."""
        self._end(how)

    @property
    def busy_slots(self) -> int:
        return self._service.slots.busy if self._service else 0

    @property
    def open_exchanges(self) -> list[FakeExchange]:
        return [exchange for exchange in self.exchanges if exchange.outcome is None]

    @property
    def alive(self) -> bool:
        return not self._ended.done()

    async def send(self, message: Mapping[str, Any]) -> None:
        if not self.alive:
            raise self._start_error()
        orders = {"load": self._load, "unload": self._unload}
        self._start(orders[message["op"]](message))

    async def receive(self) -> dict[str, Any]:
        message = await self._messages.get()
        if message is None:
            self._messages.put_nowait(None)  # the end is for every reader
            raise self._start_error()
        return message

    async def wait(self) -> str:
        return await asyncio.shield(self._ended)

    async def stop(self, grace_s: float = 5.0) -> None:
        try:
            await within(grace_s, self._gates.enter("stop"), self.sleep)
        except TimeoutError:
            self._end("signal SIGKILL")
        self._end("signal SIGTERM")

    def last_words(self, lines: int = 5) -> str:
        return " | ".join(self._log[-lines:])

    def memory_bytes(self) -> int | None:
        return PARKED_BYTES + self._loaded_bytes if self.alive else None

    def peak_memory_bytes(self) -> int | None:
        return self._peak_bytes if self.alive else None

    def ask(self, path: str, body: bytes | None) -> FakeExchange:
        """One request; raises EngineCrashedError when nobody listens."""
        service = self._service
        if service is None or not self.alive:
            raise EngineCrashedError("nobody listens on the engine's socket: no model is loaded")
        exchange = FakeExchange(path, body)
        self.exchanges.append(exchange)
        exchange.attend(self._start(self._answer(service, exchange)))
        return exchange

    async def _answer(self, service: Service, exchange: FakeExchange) -> None:
        await self._gates.enter("request")
        answer = service.answer(exchange.path, exchange.body)

        async def write(data: bytes) -> None:
            exchange.begin(answer.status, answer.content_type)
            exchange.feed(data)

        await service.perform(answer, write)
        exchange.finish()

    async def _park(self) -> None:
        await self._gates.enter("parked")
        self._messages.put_nowait({"event": "parked"})

    async def _load(self, message: Mapping[str, Any]) -> None:
        params = message["params"]
        options = FakeOptions.parse(params["options"])
        await self._gates.enter("load")
        for step in range(1, options.load_steps + 1):
            await self._gates.enter(f"load:{step}")
            await self.sleep(options.load_delay_ms / 1000)
        if failure := self.fail_load or options.fail_load:
            self._log.append(failure)
            self._messages.put_nowait({"event": "failed", "error": failure})
            return
        self._serve(params["model"], options, params.get("adapters", ()))
        await self._gates.enter("ready")
        self._messages.put_nowait({"event": "ready"})

    def _serve(self, model: str, options: FakeOptions, adapters: Iterable[str]) -> None:
        taken = options.measured_ram_bytes
        self._loaded_bytes = options.ram_bytes if taken is None else taken
        self._peak_bytes = max(self._peak_bytes, PARKED_BYTES + self._loaded_bytes)
        self._sleeps = options.sleep
        self._service = Service(
            model,
            options,
            sleep=self.sleep,
            crash=self._crash,
            gate=self._gates.enter,
            adapters=adapters,
        )
        self._log.append(f"loaded {model}")

    async def _unload(self, message: Mapping[str, Any]) -> None:
        await self._gates.enter("unload")
        if not self._sleeps:
            self._messages.put_nowait({"event": "failed", "error": "this model does not sleep"})
            return
        self._service = None
        self._loaded_bytes = 0
        self._break_exchanges()
        self._messages.put_nowait({"event": "parked"})

    def _crash(self, words: str) -> None:
        self._log.append(words)
        self._end("exit code 1")

    def _end(self, how: str) -> None:
        if self._ended.done():
            return
        self._ended.set_result(how)
        self._messages.put_nowait(None)
        self._service = None
        self._break_exchanges()
        for task in self._tasks:
            task.cancel()

    def _break_exchanges(self) -> None:
        for exchange in self.exchanges:
            exchange.break_off()

    def _start_error(self) -> EngineStartError:
        how = self._ended.result()
        return EngineStartError(f"the engine ended ({how})", last_words=self.last_words())

    def _start(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task


async def within(limit_s: float, work: Awaitable[_T], sleep: Sleep) -> _T:
    """`work` or TimeoutError, on the clock that `sleep` goes by."""
    task = asyncio.ensure_future(work)
    timer = asyncio.ensure_future(sleep(limit_s))
    try:
        await asyncio.wait({task, timer}, return_when=asyncio.FIRST_COMPLETED)
        if not task.done():
            raise TimeoutError
        return task.result()
    finally:
        timer.cancel()
        task.cancel()
