"""The client of the Runtime API, byte by byte where a strict server would be too polite."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from pilotlight.errors import ConfigError, RuntimeApiError
from pilotlight.instance.lambda_api import RuntimeApi, error_body, error_type

from .runtime_api import RuntimeApiServer

ID = b"Lambda-Runtime-Aws-Request-Id: 7\r\n"


@asynccontextmanager
async def canned(*pieces: bytes) -> AsyncIterator[RuntimeApi]:
    """Answers every request with these bytes, piece by piece, and closes the connection."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        for piece in pieces:
            writer.write(piece)
            await writer.drain()
            await asyncio.sleep(0)
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    host, port = server.sockets[0].getsockname()
    try:
        yield RuntimeApi(f"{host}:{port}")
    finally:
        server.close()


@pytest.mark.parametrize(
    "pieces",
    [
        (b"HTTP/1.1 200 OK\r\n" + ID + b"Content-Length: 5\r\n\r\nevent",),
        (b"HTTP/1.1 200 OK\r\n", ID, b"Content-Length: 5\r\n\r\nev", b"ent"),
        (b"HTTP/1.1 200 OK\r\n" + ID + b"Transfer-Encoding: chunked\r\n\r\n",
         b"2\r\nev\r\n3\r\nent\r\n0\r\n\r\n"),
        (b"HTTP/1.1 200 OK\r\n" + ID + b"\r\nev", b"ent"),
    ],
)  # fmt: skip
async def test_an_invocation_however_it_is_framed(pieces: tuple[bytes, ...]) -> None:
    async with canned(*pieces) as api:
        invocation = await api.next()
    assert (invocation.id, invocation.payload) == ("7", b"event")
    assert invocation.deadline_s is None
    assert invocation.attempt is None


@pytest.mark.parametrize(
    "pieces",
    [
        (),
        (b"HTTP/1.1 200 OK\r\n" + ID,),
        (b"HTTP/1.1 200 OK\r\n" + ID + b"Content-Length: 5\r\n\r\nev",),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nevent",),
        (b"HTTP/1.1 200 OK\r\n" + ID + b"Lambda-Runtime-Deadline-Ms: soon\r\n\r\n",),
        (b"what is HTTP?\r\n\r\n",),
        (b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n",),
    ],
)
async def test_what_is_no_invocation(pieces: tuple[bytes, ...]) -> None:
    async with canned(*pieces) as api:
        with pytest.raises(RuntimeApiError) as caught:
            await api.next()
    assert not caught.value.fatal


async def test_500_means_to_exit() -> None:
    async with canned(b"HTTP/1.1 500 Oh\r\nContent-Length: 0\r\n\r\n") as api:
        with pytest.raises(RuntimeApiError) as caught:
            await api.next()
    assert caught.value.fatal


async def test_nobody_listens() -> None:
    async with RuntimeApiServer() as server:
        address = server.address
    with pytest.raises(RuntimeApiError):
        await RuntimeApi(address).next()


async def test_an_error_is_category_and_reason_without_a_trace() -> None:
    error = ConfigError("key 'x' is wrong", hint="remove it")
    assert error_type(error) == "Pilotlight.ConfigError"
    assert json.loads(error_body(error)) == {
        "errorMessage": "key 'x' is wrong\nhint: remove it",
        "errorType": "Pilotlight.ConfigError",
        "stackTrace": [],
    }


async def test_a_stream_chunk_by_chunk_with_its_trailers() -> None:
    async with RuntimeApiServer() as server:
        api = RuntimeApi(server.address)
        invoked = server.invoke(b"{}")
        stream = await api.stream(await api.next())
        await stream.write(b'{"statusCode": 200, "headers": {}}' + bytes(8))
        await stream.write(b"one")
        await stream.write(b"")
        await invoked.has(b"one")
        assert not invoked.over
        await stream.write(b"two")
        await stream.end(RuntimeError("grüße"))
        await invoked.done()
    assert invoked.chunks == [b"one", b"two"]
    body = json.loads(base64.b64decode(invoked.trailers["lambda-runtime-function-error-body"]))
    assert body["errorMessage"] == "grüße"
    assert server.broken_rules == []


async def test_a_response_after_its_invocation_is_refused() -> None:
    async with RuntimeApiServer() as server:
        api = RuntimeApi(server.address)
        server.invoke(b"{}")
        invocation = await api.next()
        head = b'{"statusCode": 200, "headers": {}, "body": "", "isBase64Encoded": false}'
        await api.respond(invocation, head)
        with pytest.raises(RuntimeApiError, match="400"):
            await api.respond(invocation, head)
    assert len(server.broken_rules) == 1


async def test_an_invocation_can_fail_without_a_response() -> None:
    async with RuntimeApiServer() as server:
        api = RuntimeApi(server.address)
        invoked = server.invoke(b"{}")
        await api.fail(await api.next(), ConfigError("no"))
        await invoked.done()
    assert invoked.error is not None
    assert invoked.error["errorType"] == "Pilotlight.ConfigError"
    assert server.broken_rules == []
