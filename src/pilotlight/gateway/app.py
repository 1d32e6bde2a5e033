"""The gateway's edge: every request is identified, checked, routed, answered and logged here."""

from __future__ import annotations

import asyncio
import logging
import re
import secrets
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

from pilotlight.core import Operation, Surface
from pilotlight.errors import (
    DrainingError,
    HeadersTooLargeError,
    MethodNotAllowedError,
    PilotlightError,
    UnknownRouteError,
)
from pilotlight.gateway.access import Access
from pilotlight.gateway.http import ClientGone, Message, Receive, Request, Scope, Send
from pilotlight.gateway.keys import Key
from pilotlight.gateway.logs import word
from pilotlight.gateway.metrics import Metrics
from pilotlight.gateway.wire.errors import event, render

log = logging.getLogger("pilotlight.access")
faults = logging.getLogger(__name__)

Handler = Callable[[Request, Key | None], Awaitable[None]]

_REQUEST_ID = re.compile(r"[A-Za-z0-9._:-]{1,128}")
CLIENT_GONE_STATUS = 499
"""What the log shows for a client that left, as nginx does; nobody receives it."""

HEAD_BYTES = 65536
"""Address and headers together; no client of these APIs comes near it."""

PATH_SHOWN = 200


@dataclass(frozen=True, slots=True)
class Route:
    """One path and method."""

    handler: Handler
    surface: Surface = Surface.OPENAI
    operation: Operation | None = None
    """What an engine is asked for; None where none is."""

    public: bool = False
    """Answers without a key: health and readiness, which say nothing else."""

    admin: bool = False
    quiet: bool = False
    """Asked many times a second by machines: logged only where it is refused."""


Routes = Mapping[str, Mapping[str, Route]]
"""Path → method → route. A path that ends in ``*`` takes whatever follows."""


class Gateway:
    """The ASGI application."""

    def __init__(self, routes: Routes, access: Access, metrics: Metrics) -> None:
        self._routes = {path: r for path, r in routes.items() if not path.endswith("*")}
        self._prefixes = [(p[:-1], r) for p, r in routes.items() if p.endswith("*")]
        self._access = access
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            raise AssertionError(f"the gateway speaks HTTP, not {scope['type']}")
        request = Request(scope, receive, send, "")
        request.id = _request_id(request.headers.get("x-request-id"))
        request.surface = _surface_of(request.path)
        if "origin" in request.headers:
            request = self._with_cors(request, scope, receive, send)
        try:
            await self._answer(request)
        except ClientGone:
            request.status = CLIENT_GONE_STATUS
        finally:
            # For whoever carries the answer on: a stream that ended in an error is whole to ASGI.
            scope["pilotlight.error"] = request.error
            self._count(request)
            self._log(request)

    async def _answer(self, request: Request) -> None:
        try:
            await self._route(request)
        except PilotlightError as error:
            await self._refuse(request, error)
        except ClientGone:
            raise
        except asyncio.CancelledError:
            # Only the end of the server cancels a request, and this task ends with it: raised
            # further, it would be a traceback in the log and no word to the client.
            await self._refuse(request, DrainingError("the server stopped", hint="ask it again"))
        except Exception:
            faults.exception("request %s failed inside the gateway", request.id)
            await self._refuse(request, _internal(request.id))

    async def _route(self, request: Request) -> None:
        _check_head(request)
        if request.method == "OPTIONS" and "origin" in request.headers:
            await self._preflight(request)
            return
        route = self._find(request)
        request.surface, request.operation = route.surface, route.operation
        request.quiet = route.quiet
        await route.handler(request, self._identify(request, route))

    def _identify(self, request: Request, route: Route) -> Key | None:
        """Who asks. Raises UnauthorizedError and ForbiddenError where the route is not theirs."""
        if route.public:
            request.trusted = self._access.admits(request)
            return None
        key = self._access.check(request)
        request.trusted = True
        request.key_id = key.id if key else None
        if route.admin:
            self._access.check_admin(key)
        return key

    def _find(self, request: Request) -> Route:
        methods = self._routes.get(request.path) or next(
            (r for prefix, r in self._prefixes if request.path.startswith(prefix)), None
        )
        if methods is None:
            raise UnknownRouteError(
                f"there is no {request.path!r} here", hint="docs/api.md lists every path"
            )
        route = methods.get("GET" if request.method == "HEAD" else request.method)
        if route is None:
            raise MethodNotAllowedError(
                f"{request.path!r} doesn't take {request.method}",
                hint=f"use {' or '.join(methods)}",
            )
        return route

    async def _refuse(self, request: Request, error: PilotlightError) -> None:
        """The error is the answer, or the last event of the stream that has begun."""
        request.error = error
        if request.status is None:
            rendered = render(request.surface, error, request.id)
            await request.answer(rendered.status, rendered.body, headers=rendered.headers)
        elif request.streaming:
            self._metrics.broken.labels(request.model).inc()
            operation = request.operation or Operation.CHAT
            await request.send(event(request.surface, operation, error, request.id), more=False)

    def _with_cors(self, request: Request, scope: Scope, receive: Receive, send: Send) -> Request:
        """Browsers show an answer to a page only with its origin's name on it."""
        origin = request.headers["origin"].encode("latin-1", "replace")
        allowed = self._access.allows_origin(request.headers["origin"])

        async def named(message: Message) -> None:
            if allowed and message["type"] == "http.response.start":
                extra = [(b"access-control-allow-origin", origin), (b"vary", b"origin")]
                message = {**message, "headers": [*message["headers"], *extra]}
            await send(message)

        return Request(scope, receive, named, request.id)

    async def _preflight(self, request: Request) -> None:
        allowed = [
            ("access-control-allow-methods", "GET, POST, OPTIONS"),
            (
                "access-control-allow-headers",
                request.headers.get("access-control-request-headers", "authorization"),
            ),
            ("access-control-max-age", "600"),
        ]
        known = self._access.allows_origin(request.headers["origin"])
        await request.answer(204, b"", headers=allowed if known else ())

    def _count(self, request: Request) -> None:
        """Every request to an engine's route, also one refused before its model was known."""
        if request.operation is None:
            return
        gone = request.status == CLIENT_GONE_STATUS
        status = "cancelled" if gone else str(request.status)
        self._metrics.requests.labels(request.model, request.operation.value, status).inc()

    def _log(self, request: Request) -> None:
        took_ms = (time.perf_counter() - request.arrived_s) * 1000
        fields = {
            "request_id": request.id,
            "ms": round(took_ms, 2),
            "key": request.key_id,
            "model": request.model or None,
            "error": request.error.code if request.error else None,
            **request.notes,
        }
        path = word(request.path[:PATH_SHOWN])
        usual = request.quiet and request.status is not None and request.status < 400
        level = logging.DEBUG if usual else logging.INFO
        log.log(level, "%s %s %s", request.method, path, request.status, extra={"fields": fields})


def _check_head(request: Request) -> None:
    if request.head_bytes > HEAD_BYTES:
        raise HeadersTooLargeError(
            f"address and headers have {request.head_bytes} bytes, over the limit of {HEAD_BYTES}",
            hint="send less of them; what a model is to read belongs into the body",
        )


def _request_id(given: str | None) -> str:
    """The caller's own, where it can't break a log line or a header, else a fresh one."""
    if given and _REQUEST_ID.fullmatch(given):
        return given
    return f"req-{secrets.token_hex(12)}"


def _surface_of(path: str) -> Surface:
    """Whose error shape a path gets that no route was found for."""
    if path.startswith("/api/"):
        return Surface.OLLAMA
    if path.startswith("/v1/messages"):
        return Surface.ANTHROPIC
    return Surface.OPENAI


def _internal(request_id: str) -> PilotlightError:
    return PilotlightError(
        "something went wrong inside Pilotlight",
        hint=f"the log of request {request_id} says what",
    )
