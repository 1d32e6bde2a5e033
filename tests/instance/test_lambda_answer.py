"""The forms of an answer, and the limits of what Lambda carries."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from pilotlight.errors import AnswerTooLargeError
from pilotlight.instance.lambda_answer import (
    LAST_WORDS_BYTES,
    BufferedAnswer,
    StreamedAnswer,
    document,
    prelude,
)
from pilotlight.instance.lambda_api import RuntimeApi
from pilotlight.instance.lambda_events import Shape

from .runtime_api import RuntimeApiServer

HEADERS = [
    (b"Content-Type", b"application/json"),
    (b"Content-Length", b"2"),
    (b"Transfer-Encoding", b"chunked"),
    (b"Vary", b"origin"),
    (b"vary", b"accept"),
    (b"set-cookie", b"a=1"),
    (b"set-cookie", b"b=2"),
]


def test_a_prelude_is_json_and_eight_zeros() -> None:
    text, zeros = prelude(200, HEADERS, Shape())[:-8], prelude(200, HEADERS, Shape())[-8:]
    assert zeros == bytes(8)
    assert json.loads(text) == {
        "statusCode": 200,
        "headers": {"content-type": "application/json", "vary": "origin, accept"},
        "cookies": ["a=1", "b=2"],
    }


def test_a_document_holds_text_as_text_and_bytes_as_base64() -> None:
    text = json.loads(document(200, [], "grüß".encode(), Shape()))
    assert (text["body"], text["isBase64Encoded"]) == ("grüß", False)
    raw = json.loads(document(200, [], b"\xff\x00", Shape()))
    assert base64.b64decode(raw["body"]) == b"\xff\x00"
    assert raw["isBase64Encoded"]


def test_the_older_format_has_its_own_headers() -> None:
    lists = json.loads(document(200, HEADERS, b"", Shape(multi_value=True, cookies=False)))
    assert lists["multiValueHeaders"]["vary"] == ["origin", "accept"]
    assert lists["multiValueHeaders"]["set-cookie"] == ["a=1", "b=2"]
    assert "headers" not in lists
    assert "cookies" not in lists
    single = json.loads(document(200, HEADERS, b"", Shape(cookies=False)))
    assert single["headers"]["vary"] == "origin, accept"


async def buffered(size: int, limit: int) -> Any:
    async with RuntimeApiServer() as server:
        api = RuntimeApi(server.address)
        invoked = server.invoke(b"{}")
        answer = BufferedAnswer(api, await api.next(), Shape(), limit)
        await answer.begin(200, [])
        await answer.write(b"x" * size)
        await answer.end()
        await invoked.done()
        return invoked.body


OVERHEAD = len(document(200, [], b"", Shape()))


@pytest.mark.parametrize("below", [1, 0])
async def test_a_whole_answer_up_to_the_limit(below: int) -> None:
    assert len(await buffered(1000 - below, 1000 + OVERHEAD)) == 1000 - below


async def test_a_whole_answer_over_the_limit() -> None:
    with pytest.raises(AnswerTooLargeError):
        await buffered(1001, 1000 + OVERHEAD)
    with pytest.raises(AnswerTooLargeError):
        await buffered(5000, 1000)


@pytest.mark.parametrize("over", [-1, 0, 1])
async def test_a_streamed_answer_at_its_limit(over: int) -> None:
    async with RuntimeApiServer() as server:
        api = RuntimeApi(server.address)
        invoked = server.invoke(b"{}")
        answer = StreamedAnswer(api, await api.next(), Shape(), LAST_WORDS_BYTES + 100)
        await answer.begin(200, [])
        if over > 0:
            with pytest.raises(AnswerTooLargeError) as caught:
                await answer.write(b"x" * (100 + over))
            await answer.write(b"last words")
            await answer.end(caught.value)
            await invoked.done()
            assert invoked.body == b"last words"
            assert invoked.told["errorType"] == "Pilotlight.AnswerTooLargeError"
        else:
            await answer.write(b"x" * (100 + over))
            await answer.end()
            await invoked.done()
            assert len(invoked.body) == 100 + over
            assert invoked.trailers == {}
    assert server.broken_rules == []


@pytest.mark.parametrize(("status", "body"), [(200, b"\n"), (204, b""), (304, b"")])
async def test_a_stream_has_a_body_where_http_has_one(status: int, body: bytes) -> None:
    """https://github.com/aws/aws-lambda-nodejs-runtime-interface-client/issues/95"""
    async with RuntimeApiServer() as server:
        api = RuntimeApi(server.address)
        invoked = server.invoke(b"{}")
        answer = StreamedAnswer(api, await api.next(), Shape())
        await answer.begin(status, [])
        await answer.end()
        await invoked.done()
        assert (invoked.status, invoked.body) == (status, body)
