"""Lambda's Runtime API for tests, strict: what Amazon's documents ask of a runtime is held here.

Written from https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html and
https://docs.aws.amazon.com/lambda/latest/dg/runtimes-custom.html, on raw sockets, so that each
chunk and each trailer can be seen as it comes. Whatever breaks a rule is kept in `broken_rules`.
"""

from __future__ import annotations

import asyncio
import base64
import json
import socket
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

ROOT = "/2018-06-01/runtime"
PRELUDE_BYTES = 16 * 1024
BUFFERED_BYTES = 6 * 2**20
HTTP_RESPONSE = "application/vnd.awslambda.http-integration-response"
TRAILERS = ("lambda-runtime-function-error-type", "lambda-runtime-function-error-body")
PATIENCE_S = 20.0


class RuleError(Exception):
    """A request that Lambda would not take; answered with `status`."""

    def __init__(self, status: int, words: str) -> None:
        super().__init__(words)
        self.status = status


@dataclass
class Invoked:
    """One invocation and all that became of it."""

    id: str
    event: bytes
    deadline_ms: int
    trace: str
    streamed: bool | None = None
    """None until a response has begun."""

    head: dict[str, Any] | None = None
    """Status and headers: of the prelude, or of the whole document."""

    chunks: list[bytes] = field(default_factory=list)
    """Of the body, one a chunk of the transfer, without the prelude."""

    trailers: dict[str, str] = field(default_factory=dict)
    error: dict[str, Any] | None = None
    """What was posted to /error."""

    broken: bool = False
    """The connection ended before the response did."""

    over: bool = False
    reading: asyncio.Event = field(default_factory=asyncio.Event)
    """Cleared, nothing more of the response is read."""

    _news: asyncio.Event = field(default_factory=asyncio.Event)

    def __post_init__(self) -> None:
        self.reading.set()

    def tell(self) -> None:
        self._news.set()
        self._news = asyncio.Event()

    async def until(self, what: str, holds: Any) -> Invoked:
        async with asyncio.timeout(PATIENCE_S):
            while not holds():
                if self.over:
                    raise AssertionError(f"over, and never {what}: {self}")
                await self._news.wait()
        return self

    async def begun(self) -> Invoked:
        return await self.until("begun", lambda: self.head is not None)

    async def has(self, text: bytes) -> Invoked:
        """Until `text` has come of the body."""
        return await self.until(f"has {text!r}", lambda: text in self.body)

    async def done(self) -> Invoked:
        async with asyncio.timeout(PATIENCE_S):
            while not self.over:
                await self._news.wait()
        return self

    @property
    def status(self) -> int:
        assert self.head is not None, "no response"
        status: int = self.head["statusCode"]
        return status

    @property
    def headers(self) -> dict[str, str]:
        assert self.head is not None, "no response"
        headers: dict[str, str] = self.head["headers"]
        return headers

    @property
    def body(self) -> bytes:
        return b"".join(self.chunks)

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def told(self) -> dict[str, Any]:
        """The error in the trailers."""
        kind, body = (self.trailers[name] for name in TRAILERS)
        found: dict[str, Any] = json.loads(base64.b64decode(body, validate=True))
        assert found["errorType"] == kind
        return found


class RuntimeApiServer:
    """One execution environment's Runtime API on a free port."""

    def __init__(self, *, attempts: bool = True) -> None:
        self.address = ""
        self.broken_rules: list[str] = []
        self.init_error: dict[str, Any] | None = None
        self.asked = 0
        """Calls of /next so far."""

        self.refuse_next: deque[int] = deque()
        """Statuses that the coming calls of /next are answered with; 0 ends the connection."""

        self.refuse_response: deque[int] = deque()
        self._attempts = attempts
        self._waiting: asyncio.Queue[Invoked] = asyncio.Queue()
        self._current: Invoked | None = None
        self._numbers = 0
        self._server: asyncio.Server | None = None
        self._connections: set[asyncio.Task[None]] = set()
        self._news = asyncio.Event()

    async def __aenter__(self) -> RuntimeApiServer:
        listener = socket.socket()
        # Small, so that a response which nobody reads soon has nowhere to go.
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 16 * 1024)
        listener.bind(("127.0.0.1", 0))
        self._server = await asyncio.start_server(self._accept, sock=listener)
        host, port = self._server.sockets[0].getsockname()
        self.address = f"{host}:{port}"
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server is not None
        self._server.close()
        for connection in self._connections:
            connection.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)

    def invoke(
        self, event: Mapping[str, Any] | bytes, *, deadline_ms: int = 2**53, trace: str = ""
    ) -> Invoked:
        self._numbers += 1
        payload = event if isinstance(event, bytes) else json.dumps(event).encode()
        invoked = Invoked(
            f"00000000-0000-4000-8000-{self._numbers:012d}",
            payload,
            deadline_ms,
            trace or f"Root=1-5bef4de7-{self._numbers:024x};Sampled=1",
        )
        self._waiting.put_nowait(invoked)
        return invoked

    async def until_asked(self, times: int = 1) -> None:
        """Until the runtime has asked for its `times`-th invocation: its init is over."""
        async with asyncio.timeout(PATIENCE_S):
            while self.asked < times:
                await self._news.wait()

    async def until_init_error(self) -> dict[str, Any]:
        async with asyncio.timeout(PATIENCE_S):
            while self.init_error is None:
                await self._news.wait()
        return self.init_error

    def _tell(self) -> None:
        self._news.set()
        self._news = asyncio.Event()

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connection = asyncio.ensure_future(self._connected(reader, writer))
        self._connections.add(connection)
        connection.add_done_callback(self._connections.discard)

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One request a connection."""
        try:
            request = await Request.read(reader)
            await self._answer(request, writer)
            await self._expect_close(reader, request)
        except RuleError as error:
            self.broken_rules.append(str(error))
            _write(writer, error.status, {"errorMessage": str(error), "errorType": "Rule"})
        except (asyncio.IncompleteReadError, ConnectionError):
            pass  # noted where it means something
        finally:
            writer.close()

    async def _expect_close(self, reader: asyncio.StreamReader, request: Request) -> None:
        """ "Close the underlying connection after it has successfully written the response.\""""
        async with asyncio.timeout(PATIENCE_S):
            if rest := await reader.read(1):
                self.broken_rules.append(f"{request.path}: {rest!r} after the end of its request")

    async def _answer(self, request: Request, writer: asyncio.StreamWriter) -> None:
        if request.path == f"{ROOT}/invocation/next":
            await self._next(request, writer)
        elif request.path == f"{ROOT}/init/error":
            self.init_error = await self._init_error(request)
            _write(writer, 202, {"status": "OK"})
            self._tell()
        else:
            status = await self._end(request)
            _write(writer, status, {"status": "OK"})

    async def _next(self, request: Request, writer: asyncio.StreamWriter) -> None:
        request.require(request.method == "GET", "next is asked for with GET")
        if self._current is not None and not self._current.over:
            raise RuleError(403, "the next invocation was asked for before this one was answered")
        self.asked += 1
        self._tell()
        if self.refuse_next:
            status = self.refuse_next.popleft()
            if status == 0:
                raise ConnectionResetError
            _write(writer, status, {"errorMessage": "told to", "errorType": "Test"})
            return
        self._current = invoked = await self._waiting.get()
        headers = {
            "Content-Type": "application/json",
            "Lambda-Runtime-Aws-Request-Id": invoked.id,
            "Lambda-Runtime-Deadline-Ms": str(invoked.deadline_ms),
            "Lambda-Runtime-Invoked-Function-Arn": "arn:aws:lambda:eu-west-1:1:function:f",
            "Lambda-Runtime-Trace-Id": invoked.trace,
        }
        if self._attempts:
            headers["Lambda-Runtime-Invocation-Id"] = f"attempt-of-{invoked.id}"
        _write(writer, 200, invoked.event, headers)

    async def _init_error(self, request: Request) -> dict[str, Any]:
        if self.asked:
            raise RuleError(403, "an init error after the first invocation was asked for")
        return await _error_document(request)

    async def _end(self, request: Request) -> int:
        invoked = self._addressed(request)
        kind = request.path.rpartition("/")[2]
        request.require(request.method == "POST", f"{kind} takes POST")
        if kind == "error":
            if invoked.streamed is not None:
                raise RuleError(403, "an error after a response had begun")
            invoked.error = await _error_document(request)
        elif kind == "response":
            if status := await self._response(request, invoked):
                return status
        else:
            raise RuleError(404, f"no such path: {request.path}")
        invoked.over = True
        invoked.tell()
        return 202

    def _addressed(self, request: Request) -> Invoked:
        invoked = self._current
        id = request.path.removeprefix(f"{ROOT}/invocation/").partition("/")[0]
        if invoked is None or invoked.over or id != invoked.id:
            raise RuleError(400, f"no invocation {id!r} is waiting for an answer")
        attempt = request.headers.get("lambda-runtime-invocation-id")
        if self._attempts and attempt != f"attempt-of-{invoked.id}":
            raise RuleError(400, f"the attempt is said back as {attempt!r}")
        return invoked

    async def _response(self, request: Request, invoked: Invoked) -> int:
        """A status to refuse it with, or 0."""
        mode = request.headers.get("lambda-runtime-function-response-mode")
        if mode is None:
            await self._buffered(request, invoked)
            return self._refusal(invoked)
        request.require(mode == "streaming", f"response mode {mode!r}")
        request.require(request.chunked, "a streamed response without chunked encoding")
        invoked.streamed = True
        try:
            await _stream(request, invoked)
        except (asyncio.IncompleteReadError, ConnectionError):
            invoked.broken = invoked.over = True
            invoked.tell()
            raise
        return self._refusal(invoked)

    def _refusal(self, invoked: Invoked) -> int:
        if not self.refuse_response:
            return 0
        invoked.over = True
        invoked.tell()
        return self.refuse_response.popleft()

    async def _buffered(self, request: Request, invoked: Invoked) -> None:
        payload = await request.body()
        if len(payload) > BUFFERED_BYTES:
            raise RuleError(413, f"a response of {len(payload)} bytes")
        invoked.streamed = False
        document = json.loads(payload)
        body = document.pop("body")
        encoded = document.pop("isBase64Encoded")
        invoked.head = _checked_head(document)
        invoked.chunks.append(base64.b64decode(body) if encoded else body.encode())


async def _stream(request: Request, invoked: Invoked) -> None:
    declared = request.headers.get("trailer", "").lower().replace(" ", "").split(",")
    held = b"" if request.headers.get("content-type") == HTTP_RESPONSE else None
    while True:
        await invoked.reading.wait()
        chunk = await request.chunk()
        if not chunk:
            break
        if held is None or invoked.head is not None:
            invoked.chunks.append(chunk)
        else:
            held = _prelude(held + chunk, invoked)
        invoked.tell()
    request.require(held is None or invoked.head is not None, "a stream without a prelude")
    invoked.trailers = await request.trailers()
    for name in invoked.trailers:
        request.require(name in declared, f"trailer {name!r} was not declared")
        request.require(name in TRAILERS, f"trailer {name!r} means nothing")


def _prelude(held: bytes, invoked: Invoked) -> bytes:
    head, ended, rest = held.partition(bytes(8))
    if len(head) > PRELUDE_BYTES:
        raise RuleError(400, f"a prelude of {len(head)} bytes")
    if ended:
        invoked.head = _checked_head(json.loads(head))
        if rest:
            invoked.chunks.append(rest)
    return held


def _checked_head(head: dict[str, Any]) -> dict[str, Any]:
    unknown = head.keys() - {"statusCode", "headers", "multiValueHeaders", "cookies"}
    texts = [*head.get("headers", {}).values(), *head.get("cookies", ())]
    texts += [value for values in head.get("multiValueHeaders", {}).values() for value in values]
    if unknown or type(head["statusCode"]) is not int or not all(map(_is_text, texts)):
        raise RuleError(400, f"not a response's head: {head}")
    return head


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


async def _error_document(request: Request) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(await request.body())
    request.require(found.keys() == {"errorMessage", "errorType", "stackTrace"}, f"{found}")
    kind = request.headers.get("lambda-runtime-function-error-type")
    request.require(kind == found["errorType"], f"{kind!r} isn't the type of {found}")
    request.require("." in found["errorType"], f"{kind!r} is not category.reason")
    return found


class Request:
    """One request, its body read as it comes."""

    def __init__(
        self, reader: asyncio.StreamReader, method: str, path: str, headers: dict[str, str]
    ) -> None:
        self._reader = reader
        self.method = method
        self.path = path
        self.headers = headers

    @classmethod
    async def read(cls, reader: asyncio.StreamReader) -> Request:
        lines = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        method, path, version = lines[0].split(" ")
        pairs = (line.partition(": ") for line in lines[1:] if line)
        headers = {name.lower(): value for name, _, value in pairs}
        request = cls(reader, method, path, headers)
        request.require(version == "HTTP/1.1" and "host" in headers, "HTTP/1.1 with a Host")
        request.require("user-agent" in headers, "a runtime that says who it is")
        return request

    def require(self, holds: bool, rule: str) -> None:
        if not holds:
            raise RuleError(400, f"{self.method} {self.path}: {rule}")

    @property
    def chunked(self) -> bool:
        both = {"transfer-encoding", "content-length"} <= self.headers.keys()
        self.require(not both, "two lengths")
        return self.headers.get("transfer-encoding") == "chunked"

    async def body(self) -> bytes:
        self.require(not self.chunked, "a whole body in chunks")
        return await self._reader.readexactly(int(self.headers["content-length"]))

    async def chunk(self) -> bytes:
        """The next one; empty for the last."""
        line = await self._reader.readuntil(b"\r\n")
        size = int(line.strip(), 16)
        if size == 0:
            return b""
        data = await self._reader.readexactly(size)
        self.require(await self._reader.readexactly(2) == b"\r\n", "a chunk that doesn't end")
        return data

    async def trailers(self) -> dict[str, str]:
        found: dict[str, str] = {}
        while line := (await self._reader.readuntil(b"\r\n")).decode("latin-1").strip():
            name, _, value = line.partition(": ")
            found[name.lower()] = value
        return found


def _write(
    writer: asyncio.StreamWriter,
    status: int,
    body: bytes | Mapping[str, Any],
    headers: Mapping[str, str] | None = None,
) -> None:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    lines = [f"HTTP/1.1 {status} Test", f"Content-Length: {len(data)}"]
    lines += [f"{name}: {value}" for name, value in (headers or {}).items()]
    writer.write("\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + data)
