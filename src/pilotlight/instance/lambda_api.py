"""Lambda's Runtime API, version 2018-06-01: where invocations come from and answers go to.

https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html
https://docs.aws.amazon.com/lambda/latest/dg/runtimes-custom.html

Of an invocation's headers those for mobile clients (Client-Context, Cognito-Identity) are left
unread: what asks a model is an HTTP request, which never has them.
"""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass
from urllib.parse import quote

from pilotlight import __version__
from pilotlight.errors import RuntimeApiError
from pilotlight.instance.lambda_connection import Call, Reply

ROOT = "/2018-06-01/runtime"
ERROR_TYPE = "Lambda-Runtime-Function-Error-Type"
ERROR_BODY = "Lambda-Runtime-Function-Error-Body"
ATTEMPT = "Lambda-Runtime-Invocation-Id"

HTTP_RESPONSE = "application/vnd.awslambda.http-integration-response"
"""A stream that begins with a status and headers; see `lambda_answer.prelude`."""

_AGENT = ("User-Agent", f"pilotlight/{__version__}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Invocation:
    """One event and what Lambda says about it."""

    id: str
    payload: bytes
    deadline_s: float | None = None
    """When it will have been ended, in seconds of the epoch; None where Lambda doesn't say."""

    trace: str | None = None
    """X-Ray's tracing header."""

    attempt: str | None = None
    """Names this try of the invocation, and is said back, so that an answer that comes after its
    invocation was ended isn't taken for the next one's."""


class RuntimeApi:
    """Speaks to one address. Every method raises RuntimeApiError for what Lambda refuses."""

    def __init__(self, address: str) -> None:
        self._address = address

    async def next(self) -> Invocation:
        """Waits for as long as it takes; from the call on the environment may be frozen."""
        reply = await self._ask("GET", "/invocation/next")
        if reply.status != 200:
            raise _refusal("an invocation was asked for", reply)
        return _invocation(reply)

    async def respond(self, invocation: Invocation, payload: bytes) -> None:
        """The whole response at once."""
        path = _path(invocation, "response")
        headers = [("Content-Type", "application/json"), *_echo(invocation)]
        _accepted(path, await self._ask("POST", path, headers, payload))

    async def stream(self, invocation: Invocation) -> Stream:
        """Begin a response whose bytes are still to come."""
        path = _path(invocation, "response")
        headers = [
            ("Content-Type", HTTP_RESPONSE),
            ("Lambda-Runtime-Function-Response-Mode", "streaming"),
            ("Trailer", f"{ERROR_TYPE}, {ERROR_BODY}"),
            *_echo(invocation),
        ]
        return Stream(path, await self._open("POST", path, headers, None))

    async def fail(self, invocation: Invocation, error: BaseException) -> None:
        """It has no response; possible only before one has begun."""
        path = _path(invocation, "error")
        await self._report(path, error, _echo(invocation))

    async def fail_init(self, error: BaseException) -> None:
        """This environment can't be used. Exit after it."""
        await self._report("/init/error", error)

    async def _report(
        self, path: str, error: BaseException, headers: tuple[tuple[str, str], ...] = ()
    ) -> None:
        kind = ((ERROR_TYPE, error_type(error)), ("Content-Type", "application/json"))
        _accepted(path, await self._ask("POST", path, [*kind, *headers], error_body(error)))

    async def _ask(
        self,
        method: str,
        path: str,
        headers: list[tuple[str, str]] | None = None,
        body: bytes = b"",
    ) -> Reply:
        call = await self._open(method, path, headers or [], body)
        try:
            return await call.reply()
        except OSError as error:
            raise _unreachable(path, error) from None
        finally:
            call.close()

    async def _open(
        self, method: str, path: str, headers: list[tuple[str, str]], body: bytes | None
    ) -> Call:
        try:
            return await Call.open(self._address, method, ROOT + path, [_AGENT, *headers], body)
        except OSError as error:
            raise _unreachable(path, error) from None


class Stream:
    """A response under way."""

    def __init__(self, path: str, call: Call) -> None:
        self._path = path
        self._call = call

    async def write(self, data: bytes) -> None:
        """Returns once Lambda has room for more: it slows large answers down."""
        try:
            await self._call.chunk(data)
        except OSError as error:
            raise _unreachable(self._path, error) from None

    async def end(self, error: BaseException | None = None) -> None:
        """With `error` Lambda counts the invocation as failed, though its bytes were delivered."""
        trailers = () if error is None else ((ERROR_TYPE, error_type(error)), _encoded(error))
        try:
            await self._call.end(trailers)
            _accepted(self._path, await self._call.reply())
        except OSError as broken:
            raise _unreachable(self._path, broken) from None
        finally:
            self._call.close()

    def abort(self) -> None:
        """The response stays without its end."""
        self._call.close()


def error_type(error: BaseException) -> str:
    """In the form that Lambda recommends, category.reason."""
    return f"Pilotlight.{type(error).__name__}"


def error_body(error: BaseException) -> bytes:
    """Without a stack trace: it is shown to callers, and the log has it."""
    return json.dumps(
        {"errorMessage": str(error), "errorType": error_type(error), "stackTrace": []}
    ).encode()


def _encoded(error: BaseException) -> tuple[str, str]:
    return ERROR_BODY, base64.b64encode(error_body(error)).decode()


def _path(invocation: Invocation, end: str) -> str:
    return f"/invocation/{quote(invocation.id, safe='')}/{end}"


def _echo(invocation: Invocation) -> tuple[tuple[str, str], ...]:
    return ((ATTEMPT, invocation.attempt),) if invocation.attempt else ()


def _invocation(reply: Reply) -> Invocation:
    headers = reply.headers
    try:
        id = headers["lambda-runtime-aws-request-id"]
        deadline_ms = headers.get("lambda-runtime-deadline-ms")
        deadline_s = None if deadline_ms is None else int(deadline_ms) / 1000
    except (KeyError, ValueError) as error:
        raise RuntimeApiError(f"an invocation's header is missing or wrong: {error}") from None
    return Invocation(
        id=id,
        payload=reply.body,
        deadline_s=deadline_s,
        trace=headers.get("lambda-runtime-trace-id"),
        attempt=headers.get(ATTEMPT.lower()),
    )


def _accepted(path: str, reply: Reply) -> None:
    if not 200 <= reply.status < 300:
        raise _refusal(path, reply)


def _refusal(what: str, reply: Reply) -> RuntimeApiError:
    """500 is Lambda's word for: exit promptly."""
    said = reply.body[:300].decode("utf-8", "replace")
    return RuntimeApiError(
        f"Lambda's Runtime API answered {reply.status} to {what}: {said}",
        fatal=reply.status == 500,
    )


def _unreachable(path: str, error: OSError) -> RuntimeApiError:
    return RuntimeApiError(f"Lambda's Runtime API can't be reached for {path}: {error}")
