"""A closed-loop load client that costs less than what it measures.

    python -m benchmarks.load --port 8080 --concurrency 16 --seconds 5

One connection per client, kept alive; the next request goes out as soon as the
last byte of the answer is in. An answer is kept as it arrives and looked at once,
whole, when it has ended: no parsing by chunk, no task by request.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import re
import sys
import time
from dataclasses import asdict, dataclass, field
from typing import Any, cast

import uvloop

END = b"\r\n0\r\n\r\n"
"""The end of a chunk, then the last chunk: neither headers nor an event end so."""

_TOKENS = re.compile(rb'"completion_tokens":\s*(\d+)')


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """Whom to ask what, how often. Ends after `seconds` or `requests`, whichever is set."""

    port: int = 0
    socket: str | None = None
    key: str | None = None
    model: str = "fake"
    prompt: str = "Tell me a story."
    max_tokens: int = 64
    concurrency: int = 1
    seconds: float | None = None
    requests: int | None = None
    warmup: int = 0
    """Requests made before the clock starts and not counted."""

    ignore_eos: bool = False
    """Every answer has `max_tokens` tokens; for engines that take this field of vLLM's."""

    def request(self) -> bytes:
        body = {
            "model": self.model,
            "messages": [{"role": "user", "content": self.prompt}],
            "max_tokens": self.max_tokens,
            "temperature": 0,
            "stream": True,
            "stream_options": {"include_usage": True},
            **({"ignore_eos": True} if self.ignore_eos else {}),
        }
        payload = json.dumps(body).encode()
        key = f"Authorization: Bearer {self.key}\r\n" if self.key else ""
        head = (
            "POST /v1/chat/completions HTTP/1.1\r\nHost: 127.0.0.1\r\n"
            f"{key}Content-Type: application/json\r\nContent-Length: {len(payload)}\r\n\r\n"
        )
        return head.encode() + payload


@dataclass(slots=True)
class Result:
    """What came back; lists have an entry for each good answer."""

    seconds: float = 0.0
    ttfb_ms: list[float] = field(default_factory=list)
    total_ms: list[float] = field(default_factory=list)
    events: int = 0
    reads: int = 0
    tokens: int = 0
    errors: list[str] = field(default_factory=list)

    @property
    def streams(self) -> int:
        return len(self.total_ms)

    @property
    def streams_per_s(self) -> float:
        return self.streams / self.seconds

    @property
    def tokens_per_s(self) -> float:
        return self.tokens / self.seconds

    @classmethod
    def from_json(cls, text: str) -> Result:
        return cls(**json.loads(text))

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


class Run:
    """Counts requests out and answers in for all connections of one run."""

    def __init__(self, load: Load, count: int | None, seconds: float | None) -> None:
        self._load = load
        self._connecting: set[asyncio.Task[None]] = set()
        self.request = load.request()
        self.result = Result()
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._left = count
        self._seconds = seconds
        self._deadline: float | None = None
        self._open = 0

    def start(self) -> None:
        if self._seconds is not None:
            self._deadline = time.perf_counter() + self._seconds

    def may_send(self) -> bool:
        if self._deadline is not None and time.perf_counter() >= self._deadline:
            return False
        if self._left is not None:
            if self._left == 0:
                return False
            self._left -= 1
        return True

    async def connect(self) -> Client:
        loop = asyncio.get_running_loop()
        if self._load.socket:
            made = await loop.create_unix_connection(lambda: Client(self), self._load.socket)
        else:
            made = await loop.create_connection(lambda: Client(self), "127.0.0.1", self._load.port)
        return made[1]

    def send_again(self, began: float) -> None:
        """On a new connection: llama.cpp's server ends the old one after each stream."""
        task = asyncio.get_running_loop().create_task(self._send_again(began))
        self._connecting.add(task)
        task.add_done_callback(self._connecting.discard)

    async def _send_again(self, began: float) -> None:
        try:
            (await self.connect()).send(began)
        except OSError as error:
            self.result.errors.append(f"nobody answers any more: {error}")
        self.left()  # on behalf of the client that it replaces

    def joined(self) -> None:
        self._open += 1

    def left(self) -> None:
        self._open -= 1
        if self._open == 0 and not self.done.done():
            self.done.set_result(None)


class Client(asyncio.Protocol):
    """One connection: ask, take the answer, ask again."""

    def __init__(self, run: Run) -> None:
        self._run = run
        self._parts: list[bytes] = []
        self._asking = False
        self._answered = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._run.joined()

    def ask(self) -> None:
        if not self._run.may_send():
            self._asking = False
            self._transport.close()
            return
        self.send(time.perf_counter())

    def send(self, began: float) -> None:
        """A request that began at `began`, which is earlier where it is sent again."""
        self._parts = []
        self._asking = True
        self._tail = b""
        self._sent = began
        self._transport.write(self._run.request)

    def data_received(self, data: bytes) -> None:
        if not self._parts:
            self._first = time.perf_counter()
        self._parts.append(data)
        self._tail = (self._tail + data[-len(END) :])[-len(END) :]
        if self._tail == END:
            self._account(time.perf_counter())
            self._answered = True
            self.ask()
        elif len(self._parts) == 1 and not data.startswith(b"HTTP/1.1 200"):
            self._run.result.errors.append(data[:200].decode("latin-1"))
            self._asking = False
            self._transport.close()

    def _account(self, now: float) -> None:
        answer = b"".join(self._parts)
        result = self._run.result
        if b"data: [DONE]" not in answer[-64:]:
            result.errors.append(f"ended without [DONE]: {answer[-200:]!r}")
            return
        result.ttfb_ms.append((self._first - self._sent) * 1000)
        result.total_ms.append((now - self._sent) * 1000)
        result.events += answer.count(b"data: ")
        result.reads += len(self._parts)
        if counted := _TOKENS.search(answer, max(0, len(answer) - 2000)):
            result.tokens += int(counted[1])

    def connection_lost(self, exc: Exception | None) -> None:
        if self._asking and self._answered and not self._parts:
            self._run.send_again(self._sent)
            return
        if self._asking:
            self._run.result.errors.append(f"the connection closed mid-answer: {exc}")
        self._run.left()


async def measure(load: Load) -> Result:
    if load.warmup:
        await _run(load, load.warmup, None)
    return await _run(load, load.requests, load.seconds)


async def _run(load: Load, count: int | None, seconds: float | None) -> Result:
    """Connections are made before the clock starts."""
    run = Run(load, count, seconds)
    clients = [await run.connect() for _ in range(load.concurrency)]
    run.start()
    began = time.perf_counter()
    for client in clients:
        client.ask()
    await run.done
    run.result.seconds = time.perf_counter() - began
    return run.result


def measure_apart(load: Load) -> Result:
    """In a process of its own, so that nothing of the caller is measured. Blocks."""
    import subprocess

    given = {name: value for name, value in asdict(load).items() if value is not None}
    given.pop("port" if load.socket else "socket", None)
    secret = given.pop("key", None)
    ignore_eos = given.pop("ignore_eos")
    argv = [sys.executable, "-m", "benchmarks.load", "--json"]
    for name, value in given.items():
        argv += [f"--{name.replace('_', '-')}", str(value)]
    argv += ["--ignore-eos"] if ignore_eos else []
    env = {**os.environ, KEY_VARIABLE: secret} if secret else dict(os.environ)
    done = subprocess.run(
        argv, env=env, stdout=subprocess.PIPE, check=True, text=True, timeout=LIMIT_S
    )
    return Result.from_json(done.stdout)


LIMIT_S = 1800.0
"""A server that hangs must not hang the benchmark for ever."""

KEY_VARIABLE = "BENCH_API_KEY"


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.load", description=__doc__, argument_default=argparse.SUPPRESS
    )
    where = parser.add_mutually_exclusive_group(required=True)
    where.add_argument("--port", type=int, help="on 127.0.0.1")
    where.add_argument("--socket", help="a Unix socket")
    parser.add_argument("--model")
    parser.add_argument("--prompt")
    parser.add_argument("--max-tokens", type=int)
    parser.add_argument("--concurrency", type=int)
    parser.add_argument("--seconds", type=float)
    parser.add_argument("--requests", type=int)
    parser.add_argument("--warmup", type=int)
    parser.add_argument("--ignore-eos", action="store_true")
    parser.add_argument("--json", action="store_true", default=False, help="for a program")
    given = vars(parser.parse_args())
    as_json = given.pop("json")
    if not given.keys() & {"seconds", "requests"}:
        parser.error("give --seconds or --requests")
    result = uvloop.run(measure(Load(key=os.environ.get(KEY_VARIABLE), **given)))
    print(json.dumps(result.as_json()) if as_json else summary(result))


def summary(result: Result) -> str:
    from benchmarks.spread import quantile

    if not result.streams:
        return f"no answer; {len(result.errors)} errors, first: {result.errors[:1]}"
    return (
        f"{result.streams} streams in {result.seconds:.2f} s = {result.streams_per_s:.1f}/s, "
        f"{result.tokens_per_s:.0f} tokens/s, TTFB p50 {quantile(result.ttfb_ms, 0.5):.3f} ms, "
        f"total p50 {quantile(result.total_ms, 0.5):.3f} ms, "
        f"{result.events / result.streams:.1f} events and "
        f"{result.reads / result.streams:.1f} reads a stream, {len(result.errors)} errors"
    )


if __name__ == "__main__":
    main()
