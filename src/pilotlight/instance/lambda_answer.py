"""The way of an answer to Lambda: streamed chunk by chunk, or whole as one document.

https://docs.aws.amazon.com/lambda/latest/dg/configuration-response-streaming.html
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable
from typing import Any, Protocol

from pilotlight.errors import AnswerTooLargeError
from pilotlight.instance.lambda_api import Invocation, RuntimeApi, Stream
from pilotlight.instance.lambda_events import Shape

MB = 2**20
BUFFERED_BYTES = 6 * MB
"""Of a whole response; https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html"""

STREAMED_BYTES = 200 * MB
"""Of a streamed one, same page."""

LAST_WORDS_BYTES = 64 * 1024
"""Of a stream's limit, for the event that says that it was reached."""

RawHeaders = Iterable[tuple[bytes, bytes]]

_OF_THE_CONNECTION = frozenset(
    {b"connection", b"content-length", b"keep-alive", b"transfer-encoding"}
)
"""Lambda makes the connection to the client, and these are for whoever does."""

_WITHOUT_BODY = frozenset({204, 304})


class Answer(Protocol):
    """`begin`, any number of `write`, then `end`.

    They raise RuntimeApiError when Lambda doesn't take it any more, and AnswerTooLargeError when
    it would not.
    """

    committed: bool
    """Something has left: the status can't change any more."""

    async def begin(self, status: int, headers: RawHeaders) -> None: ...

    async def write(self, data: bytes) -> None: ...

    async def end(self, error: BaseException | None = None) -> None:
        """`error` is what the answer broke off with."""
        ...

    def abort(self) -> None:
        """Leave it as it is; for an answer that nobody takes."""
        ...


class StreamedAnswer:
    """Every byte leaves when it comes.

    A function URL leaves its client waiting after a stream without a body, such as the answer to
    a HEAD: https://github.com/aws/aws-lambda-nodejs-runtime-interface-client/issues/95. So it gets
    one, unless HTTP itself says that there is none.
    """

    def __init__(
        self,
        api: RuntimeApi,
        invocation: Invocation,
        shape: Shape,
        limit_bytes: int = STREAMED_BYTES,
    ) -> None:
        self._api = api
        self._invocation = invocation
        self._shape = shape
        self._room_bytes = limit_bytes - LAST_WORDS_BYTES
        self._limit_bytes = limit_bytes
        self._stream: Stream | None = None
        self._needs_body = False
        self.committed = False

    async def begin(self, status: int, headers: RawHeaders) -> None:
        self._needs_body = status not in _WITHOUT_BODY
        self._stream = await self._api.stream(self._invocation)
        self.committed = True
        await self._stream.write(prelude(status, headers, self._shape))

    async def write(self, data: bytes) -> None:
        assert self._stream is not None
        self._room_bytes -= len(data)
        if self._room_bytes < 0:
            self._room_bytes = LAST_WORDS_BYTES
            raise _too_large("streamed answer", self._limit_bytes)
        self._needs_body = False
        await self._stream.write(data)

    async def end(self, error: BaseException | None = None) -> None:
        assert self._stream is not None
        if self._needs_body:
            await self._stream.write(b"\n")
        await self._stream.end(error)

    def abort(self) -> None:
        if self._stream is not None:
            self._stream.abort()


class BufferedAnswer:
    """Nothing leaves before the end, so that an error may still take the place of all of it."""

    committed = False

    def __init__(
        self,
        api: RuntimeApi,
        invocation: Invocation,
        shape: Shape,
        limit_bytes: int = BUFFERED_BYTES,
    ) -> None:
        self._api = api
        self._invocation = invocation
        self._shape = shape
        self._limit_bytes = limit_bytes
        self._status = 0
        self._headers: list[tuple[bytes, bytes]] = []
        self._parts: list[bytes] = []
        self._size_bytes = 0

    async def begin(self, status: int, headers: RawHeaders) -> None:
        self._status, self._headers = status, list(headers)
        self._parts, self._size_bytes = [], 0

    async def write(self, data: bytes) -> None:
        self._parts.append(data)
        self._size_bytes += len(data)
        if self._size_bytes > self._limit_bytes:
            raise _too_large("answer", self._limit_bytes)

    async def end(self, error: BaseException | None = None) -> None:
        payload = document(self._status, self._headers, b"".join(self._parts), self._shape)
        if len(payload) > self._limit_bytes:
            raise _too_large("answer as JSON", self._limit_bytes)
        await self._api.respond(self._invocation, payload)

    def abort(self) -> None:
        """There is nothing to leave."""


def prelude(status: int, headers: RawHeaders, shape: Shape) -> bytes:
    """What a stream begins with: status and headers as JSON, ended by eight zero bytes."""
    return json.dumps(_head(status, headers, shape)).encode() + bytes(8)


def document(status: int, headers: RawHeaders, body: bytes, shape: Shape) -> bytes:
    """A whole response."""
    text, encoded = _text(body)
    head = _head(status, headers, shape)
    return json.dumps({**head, "body": text, "isBase64Encoded": encoded}).encode()


def _text(body: bytes) -> tuple[str, bool]:
    try:
        return body.decode(), False
    except UnicodeDecodeError:
        return base64.b64encode(body).decode(), True


def _head(status: int, headers: RawHeaders, shape: Shape) -> dict[str, Any]:
    cookies: list[str] = []
    lists: dict[str, list[str]] = {}
    for raw_name, raw_value in headers:
        name, value = raw_name.decode("latin-1").lower(), raw_value.decode("latin-1")
        if raw_name.lower() in _OF_THE_CONNECTION:
            continue
        if name == "set-cookie" and shape.cookies:
            cookies.append(value)
        else:
            lists.setdefault(name, []).append(value)
    if shape.multi_value:
        return {"statusCode": status, "multiValueHeaders": lists}
    joined = {name: ", ".join(values) for name, values in lists.items()}
    head = {"statusCode": status, "headers": joined}
    return {**head, "cookies": cookies} if shape.cookies else head


def _too_large(what: str, limit_bytes: int) -> AnswerTooLargeError:
    return AnswerTooLargeError(
        f"the {what} is larger than the {limit_bytes} bytes that Lambda carries",
        hint="ask for fewer tokens, or for a stream from a function that streams",
    )
