"""The gateway's edge: every request is identified, checked, routed, answered and logged here."""

from __future__ import annotations

import logging
import re
import secrets
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

from pilotlight.core import Surface
from pilotlight.errors import (
    MethodNotAllowedError,
    PilotlightError,
    UnknownRouteError,
)
from pilotlight.gateway.access import Access
from pilotlight.gateway.http import ClientGone, Message, Receive, Request, Scope, Send
from pilotlight.gateway.keys import Key
from pilotlight.gateway.wire.errors import render

log = logging.getLogger("pilotlight.access")
faults = logging.getLogger(__name__)

Handler = Callable[[Request, Key | None], Awaitable[None]]

_REQUEST_ID = re.compile(r"[A-Za-z0-9._:-]{1,128}")
CLIENT_GONE_STATUS = 499
"""What the log shows for a client that left, as nginx does; nobody receives it."""


@dataclass(frozen=True, slots=True)
class Route:
    """One path and method."""

    handler: Handler
    surface: Surface = Surface.OPENAI
    public: bool = False
    """Answers without a key: health and readiness, which say nothing else."""

    admin: bool = False


Routes = Mapping[str, Mapping[str, Route]]
"""Path → method → route. A path that ends in ``*`` takes whatever follows."""


class Gateway:
    """The ASGI application."""

    def __init__(self, routes: Routes, access: Access) -> None:
        self._routes = {path: r for path, r in routes.items() if not path.endswith("*")}
        self._prefixes = [(p[:-1], r) for p, r in routes.items() if p.endswith("*")]
        self._access = access

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            raise AssertionError(f"the gateway speaks HTTP, not {scope['type']}")
        request = Request(scope, receive, send, "")
        request.id = _request_id(request.headers.get("x-request-id"))
        if "origin" in request.headers:
            request = self._with_cors(request, scope, receive, send)
        try:
            await self._answer(request)
        except ClientGone:
            request.status = CLIENT_GONE_STATUS
        finally:
            self._log(request)

    async def _answer(self, request: Request) -> None:
        surface = _surface_of(request.path)
        try:
            if request.method == "OPTIONS" and "origin" in request.headers:
                await self._preflight(request)
                return
            route = self._find(request)
            surface = route.surface
            key = None if route.public else self._access.check(request)
            if route.admin:
                self._access.check_admin(key)
            request.key_id = key.id if key else None
            await route.handler(request, key)
        except PilotlightError as error:
            await self._refuse(request, surface, error)
        except ClientGone:
            raise
        except Exception:
            faults.exception("request %s failed inside the gateway", request.id)
            await self._refuse(request, surface, _internal(request.id))

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

    async def _refuse(self, request: Request, surface: Surface, error: PilotlightError) -> None:
        request.error = error
        if request.status is not None:
            return  # an answer is under way; its own stream ended with the error
        rendered = render(surface, error, request.id)
        await request.answer(rendered.status, rendered.body, headers=rendered.headers)

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

    def _log(self, request: Request) -> None:
        took_ms = (time.perf_counter() - request.arrived_s) * 1000
        log.info(
            "%s %s %s",
            request.method,
            request.path,
            request.status,
            extra={"fields": {"request_id": request.id, "ms": round(took_ms, 2), **request.notes}},
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
