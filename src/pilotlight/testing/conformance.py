"""What every engine must do, as checks to run against an engine and a fleet of any kind.

    @pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
    async def test_conformance(check, subject):
        await check(subject)

Each check starts its own process and ends it. `SOCKET_CHECKS` are for fleets
whose processes listen on a real Unix socket.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import msgspec

from pilotlight.core import Capabilities, ModelFiles, Operation
from pilotlight.engines.base import Engine, EngineProcess, Exchange, Launch, ModelJob, Seat
from pilotlight.errors import (
    ContextTooLongError,
    EngineCrashedError,
    EngineOptionError,
    EngineStartError,
    RequestError,
)
from pilotlight.fleet.base import Fleet

MODEL = "conformance"
_numbers = itertools.count(1)


@dataclass(frozen=True, slots=True)
class Subject:
    """An engine, where it runs, and a small chat model to run it with."""

    engine: Engine
    fleet: Fleet
    files: ModelFiles
    given: Mapping[str, Any]
    """Options for the model; they must allow an answer of `long_tokens` tokens."""

    kill: Callable[[EngineProcess], None]
    """Ends the process as `kill -9` would."""

    broken: ModelJob | None = None
    """A job that can't load, where the engine has such a thing."""

    long_tokens: int = 400
    timeout_s: float = 60.0

    @property
    def job(self) -> ModelJob:
        return ModelJob(MODEL, self.files, self.engine.options(self.given))

    @property
    def capabilities(self) -> Capabilities:
        return self.engine.capabilities(self.files, self.job.options)

    def chat(self, text: str = "Tell me a story.", **fields: Any) -> tuple[str, bytes]:
        name = self.capabilities.model or MODEL
        body = {"model": name, "messages": [{"role": "user", "content": text}], **fields}
        return self.engine.endpoint(Operation.CHAT), msgspec.json.encode(body)

    def seat(self) -> Seat:
        return self.fleet.seat(f"conformance-{next(_numbers)}")


Check = Callable[[Subject], Awaitable[None]]


@asynccontextmanager
async def launched(subject: Subject, launch: Launch) -> AsyncIterator[EngineProcess]:
    async with asyncio.timeout(subject.timeout_s):
        process = await subject.fleet.launch(launch)
        try:
            yield process
        finally:
            await process.stop(grace_s=1.0)


@asynccontextmanager
async def loaded(subject: Subject) -> AsyncIterator[EngineProcess]:
    launch = subject.engine.command(subject.seat(), subject.job)
    async with launched(subject, launch) as process:
        await subject.engine.load(process, subject.job)
        yield process


async def _json(
    process: EngineProcess, request: tuple[str, bytes | None], expected: int = 200
) -> Any:
    status, body = await process.client.fetch(*request, timeout_s=60.0)
    assert status == expected, f"{request[0]} answered {status}: {body[:300]!r}"
    return msgspec.json.decode(body)


async def _events(exchange: Exchange) -> list[bytes]:
    received = b""
    while chunk := await exchange.read():
        received += chunk
    return [event for event in received.split(b"\n\n") if event]


def _raises(error: type[Exception], call: Callable[[], Any]) -> Exception:
    try:
        call()
    except error as raised:
        return raised
    raise AssertionError(f"{error.__name__} was not raised")


async def _araises(error: type[Exception], call: Awaitable[Any]) -> Exception:
    try:
        await call
    except error as raised:
        return raised
    raise AssertionError(f"{error.__name__} was not raised")


async def unknown_option_is_refused_by_name(subject: Subject) -> None:
    given = {**subject.given, "contxt": 1}
    error = _raises(EngineOptionError, lambda: subject.engine.options(given))
    assert "contxt" in str(error)
    assert "context" in str(error), "a near miss deserves a suggestion"


async def wrong_value_is_refused_by_name(subject: Subject) -> None:
    given = {**subject.given, "context": "a lot"}
    error = _raises(EngineOptionError, lambda: subject.engine.options(given))
    assert "context" in str(error)
    assert "'a lot'" in str(error)


async def declarations_agree(subject: Subject) -> None:
    engine, options = subject.engine, subject.job.options
    assert engine.slots(options) >= 1
    assert engine.predict(subject.files, options).ram_bytes > 0
    assert (engine.context(subject.files, options) or 1) >= 1
    assert subject.capabilities.operations
    for operation in subject.capabilities.operations:
        assert engine.endpoint(operation).startswith("/")


async def secret_is_not_on_the_command_line(subject: Subject) -> None:
    launch = subject.engine.command(subject.seat(), subject.job)
    assert not any(launch.seat.secret in word for word in launch.argv)
    assert launch.seat.secret not in repr(launch)


async def canary_answers_after_a_load(subject: Subject) -> None:
    async with loaded(subject) as process:
        await _json(process, subject.engine.canary(subject.job))


async def chat_counts_its_tokens(subject: Subject) -> None:
    async with loaded(subject) as process:
        answer = await _json(process, subject.chat(max_tokens=5))
        assert answer["choices"][0]["message"]["role"] == "assistant"
        assert answer["usage"]["completion_tokens"] == 5
        assert answer["usage"]["prompt_tokens"] > 0


async def stream_ends_with_usage_and_done(subject: Subject) -> None:
    async with loaded(subject) as process:
        usage = {"include_usage": True}
        request = subject.chat(max_tokens=5, stream=True, stream_options=usage)
        exchange = await process.client.open(*request)
        assert exchange.status == 200
        assert exchange.content_type.startswith("text/event-stream")
        *_, last, done = await _events(exchange)
        assert done == b"data: [DONE]"
        counted = msgspec.json.decode(last.removeprefix(b"data: "))["usage"]
        assert counted["completion_tokens"] == 5


async def closing_an_answer_frees_its_slot(subject: Subject) -> None:
    """Every slot is taken by a long answer that nobody wants: short ones must not wait for it."""
    async with loaded(subject) as process:
        clock = asyncio.get_running_loop().time
        long = subject.chat(max_tokens=subject.long_tokens, stream=True)
        began = clock()
        await _events(await process.client.open(*long))
        whole_s = clock() - began
        slots = subject.engine.slots(subject.job.options)
        exchanges = [await process.client.open(*long) for _ in range(slots)]
        for exchange in exchanges:
            await exchange.read()
            exchange.close()
        began = clock()
        short = [_json(process, subject.chat(max_tokens=1)) for _ in range(slots)]
        await asyncio.gather(*short)
        waited_s = clock() - began
        assert waited_s < whole_s / 2, f"waited {waited_s:.2f} s; a long answer takes {whole_s:.2f}"


async def progress_grows_with_work(subject: Subject) -> None:
    async with loaded(subject) as process:
        before = await subject.engine.progress(process)
        await _json(process, subject.chat(max_tokens=8))
        after = await subject.engine.progress(process)
        assert before is not None
        assert after is not None
        assert after > before


async def context_overflow_has_its_own_error(subject: Subject) -> None:
    context = subject.engine.context(subject.files, subject.job.options)
    assert context is not None
    async with loaded(subject) as process:
        path, body = subject.chat("flame " * (context + 10))
        status, answer = await process.client.fetch(path, body)
        error = subject.engine.error(status, answer)
        assert isinstance(error, ContextTooLongError), repr(error)
        assert str(context) in error.message


async def bad_request_is_the_clients_error(subject: Subject) -> None:
    async with loaded(subject) as process:
        path, _ = subject.chat()
        status, answer = await process.client.fetch(path, b'{"messages": 7}')
        assert 400 <= status < 500
        assert isinstance(subject.engine.error(status, answer), RequestError)


async def text_survives_tokenize_and_detokenize(subject: Subject) -> None:
    if Operation.TOKENIZE not in subject.capabilities.operations:
        return
    text = "A pilot light is a small flame."
    async with loaded(subject) as process:
        tokenize = subject.engine.endpoint(Operation.TOKENIZE)
        asked = msgspec.json.encode({"content": text})
        tokens = (await _json(process, (tokenize, asked)))["tokens"]
        assert len(tokens) > 1
        detokenize = subject.engine.endpoint(Operation.DETOKENIZE)
        asked = msgspec.json.encode({"tokens": tokens})
        assert (await _json(process, (detokenize, asked)))["content"].strip() == text


async def a_killed_process_breaks_its_answers(subject: Subject) -> None:
    async with loaded(subject) as process:
        request = subject.chat(max_tokens=subject.long_tokens, stream=True)
        exchange = await process.client.open(*request)
        await exchange.read()
        subject.kill(process)
        await _araises(EngineCrashedError, _events(exchange))
        assert "SIGKILL" in await process.wait()
        assert not process.alive
        await _araises(EngineCrashedError, process.client.open(*request))
        assert await subject.engine.progress(process) is None


async def stop_leaves_nothing(subject: Subject) -> None:
    async with loaded(subject) as process:
        await process.stop(grace_s=5.0)
        assert not process.alive
        await process.wait()
        await _araises(EngineCrashedError, process.client.open(*subject.chat(max_tokens=1)))


async def a_sleeper_wakes(subject: Subject) -> None:
    if not subject.capabilities.sleep:
        return
    async with loaded(subject) as process:
        awake_bytes = process.memory_bytes()
        await subject.engine.unload(process)
        assert process.alive
        asleep_bytes = process.memory_bytes()
        assert awake_bytes is not None
        assert asleep_bytes is not None
        assert asleep_bytes < awake_bytes, "sleeping freed no memory"
        await _araises(EngineCrashedError, process.client.open(*subject.chat(max_tokens=1)))
        await subject.engine.load(process, subject.job)
        await _json(process, subject.engine.canary(subject.job))


async def a_standby_takes_a_job(subject: Subject) -> None:
    if not subject.capabilities.standby:
        return
    launch = subject.engine.command(subject.seat(), None)
    async with launched(subject, launch) as process:
        await subject.engine.load(process, subject.job)
        await _json(process, subject.engine.canary(subject.job))


async def a_failed_load_has_last_words(subject: Subject) -> None:
    if subject.broken is None:
        return
    launch = subject.engine.command(subject.seat(), subject.broken)
    async with launched(subject, launch) as process:
        error = await _araises(EngineStartError, subject.engine.load(process, subject.broken))
        assert isinstance(error, EngineStartError)
        assert error.last_words


async def the_socket_asks_for_the_secret(subject: Subject) -> None:
    launch = subject.engine.command(subject.seat(), subject.job)
    async with launched(subject, launch) as process:
        await subject.engine.load(process, subject.job)
        path, body = subject.chat(max_tokens=1)
        reader, writer = await asyncio.open_unix_connection(str(launch.seat.socket))
        head = f"POST {path} HTTP/1.1\r\nHost: engine\r\nContent-Length: {len(body)}\r\n\r\n"
        writer.write(head.encode() + body)
        status_line = await reader.readline()
        writer.close()
        await writer.wait_closed()
        assert b" 401 " in status_line, status_line


CHECKS: tuple[Check, ...] = (
    unknown_option_is_refused_by_name,
    wrong_value_is_refused_by_name,
    declarations_agree,
    secret_is_not_on_the_command_line,
    canary_answers_after_a_load,
    chat_counts_its_tokens,
    stream_ends_with_usage_and_done,
    closing_an_answer_frees_its_slot,
    progress_grows_with_work,
    context_overflow_has_its_own_error,
    bad_request_is_the_clients_error,
    text_survives_tokenize_and_detokenize,
    a_killed_process_breaks_its_answers,
    stop_leaves_nothing,
    a_sleeper_wakes,
    a_standby_takes_a_job,
    a_failed_load_has_last_words,
)

SOCKET_CHECKS: tuple[Check, ...] = (the_socket_asks_for_the_secret,)
