"""An invocation's event as the HTTP request that it stands for; pure.

Function URLs and HTTP APIs send payload format 2.0, REST APIs and load balancers the older 1.0:
https://docs.aws.amazon.com/lambda/latest/dg/urls-invocation.html#urls-payloads
https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-develop-integrations-lambda.html
https://docs.aws.amazon.com/elasticloadbalancing/latest/application/lambda-functions.html
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote, urlencode

import msgspec

from pilotlight.errors import RequestError

Pairs = list[tuple[str, str]]


class _Http(msgspec.Struct, rename="camel"):
    method: str
    protocol: str = "HTTP/1.1"
    source_ip: str = ""


class _Identity(msgspec.Struct, rename="camel"):
    source_ip: str | None = None
    user_arn: str | None = None


class _Context(msgspec.Struct, rename="camel"):
    http: _Http | None = None
    identity: _Identity | None = None
    authorizer: dict[str, Any] | None = None
    elb: dict[str, Any] | None = None
    stage: str | None = None
    domain_name: str | None = None


class _Event(msgspec.Struct, rename="camel"):
    """Every field that any of them has; what else they say is of no use to a model server."""

    request_context: _Context
    raw_path: str = "/"
    raw_query_string: str = ""
    cookies: list[str] | None = None
    headers: dict[str, str | None] | None = None
    body: str | None = None
    is_base64_encoded: bool = False
    http_method: str | None = None
    path: str = "/"
    query_string_parameters: dict[str, str | None] | None = None
    multi_value_query_string_parameters: dict[str, list[str]] | None = None
    multi_value_headers: dict[str, list[str]] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """How whoever sent the event wants its answer."""

    multi_value: bool = False
    """Headers as lists: what was asked with lists is answered with lists."""

    cookies: bool = True
    """Cookies apart from the headers, as format 2.0 has them."""

    streams: bool = True
    """A load balancer takes whole answers only."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpEvent:
    method: str
    path: str
    """Decoded, and without an API's stage."""

    query: str
    headers: Mapping[str, str]
    """Names in lower case."""

    body: bytes
    host: str
    source_ip: str
    protocol: str
    shape: Shape
    signed: bool
    """AWS has checked the caller's signature (IAM authentication)."""


def read(payload: bytes) -> HttpEvent:
    """Raises RequestError for what is no HTTP request, without a word of what it holds."""
    try:
        event = msgspec.json.decode(payload, type=_Event)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise _not_http(str(error)) from None
    if event.request_context.http is not None:
        return _format_2(event, event.request_context.http)
    if event.http_method is not None:
        return _format_1(event, event.http_method)
    raise _not_http("it has neither requestContext.http nor httpMethod")


def _format_2(event: _Event, http: _Http) -> HttpEvent:
    context = event.request_context
    headers = dict(_lower((event.headers or {}).items()))
    if event.cookies:
        headers["cookie"] = "; ".join(event.cookies)
    return HttpEvent(
        method=http.method,
        path=unquote(_without_stage(event.raw_path, context.stage)),
        query=event.raw_query_string,
        headers=headers,
        body=_body(event),
        host=context.domain_name or headers.get("host", ""),
        source_ip=http.source_ip,
        protocol=http.protocol,
        shape=Shape(),
        signed="iam" in (context.authorizer or {}),
    )


def _format_1(event: _Event, method: str) -> HttpEvent:
    context, identity = event.request_context, event.request_context.identity or _Identity()
    multi_value = event.multi_value_headers is not None
    headers = dict(_lower(_headers_1(event)))
    forwarded = headers.get("x-forwarded-for", "").rpartition(",")[2].strip()
    return HttpEvent(
        method=method,
        path=unquote(event.path),
        query=_query_1(event),
        headers=headers,
        body=_body(event),
        host=context.domain_name or headers.get("host", ""),
        source_ip=identity.source_ip or forwarded,
        protocol="HTTP/1.1",
        shape=Shape(multi_value=multi_value, cookies=False, streams=context.elb is None),
        signed=identity.user_arn is not None,
    )


def _headers_1(event: _Event) -> Iterator[tuple[str, str | None]]:
    yield from (event.headers or {}).items()
    for name, values in (event.multi_value_headers or {}).items():
        yield name, ", ".join(values)


def _query_1(event: _Event) -> str:
    """REST APIs decode it, load balancers hand it on as it came."""
    if event.multi_value_query_string_parameters is not None:
        given = event.multi_value_query_string_parameters.items()
        pairs = [(name, value) for name, values in given for value in values]
    else:
        pairs = [(k, v or "") for k, v in (event.query_string_parameters or {}).items()]
    if event.request_context.elb is not None:
        return "&".join(f"{name}={value}" for name, value in pairs)
    return urlencode(pairs)


def _lower(pairs: Any) -> Iterator[tuple[str, str]]:
    """Without a signature for AWS: whoever checked it has used it up, and it is no key of ours."""
    for name, value in pairs:
        signature = name.lower() == "authorization" and (value or "").startswith("AWS4-")
        if value is not None and not signature:
            yield name.lower(), value


def _without_stage(path: str, stage: str | None) -> str:
    """An HTTP API's named stage is part of its paths, and no part of ours."""
    prefix = f"/{stage}"
    if stage in (None, "", "$default") or not f"{path}/".startswith(f"{prefix}/"):
        return path
    return path[len(prefix) :] or "/"


def _body(event: _Event) -> bytes:
    body = event.body or ""
    if not event.is_base64_encoded:
        return body.encode()
    try:
        return base64.b64decode(body, validate=True)
    except (binascii.Error, ValueError) as error:
        raise _not_http(f"its body is not the base64 that it says it is: {error}") from None


def _not_http(why: str) -> RequestError:
    return RequestError(
        f"the invocation's event is not an HTTP request: {why}",
        hint="ask this function through its URL, an API Gateway or a load balancer",
    )


def scope(event: HttpEvent, more: Mapping[str, str]) -> dict[str, Any]:
    """The request as ASGI has it; headers of `more` take the place of the client's own."""
    headers = {**event.headers, **more}
    # Of the body as we have it: an event may hold the length of an encoded one.
    headers["content-length"] = str(len(event.body))
    return {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": event.protocol.rpartition("/")[2],
        "method": event.method.upper(),
        "scheme": "https",
        "path": event.path,
        "raw_path": event.path.encode(),
        "query_string": event.query.encode(),
        "root_path": "",
        "headers": [(k.encode("latin-1", "replace"), _latin(v)) for k, v in headers.items()],
        "client": (event.source_ip, 0),
        "server": (event.host, 443),
    }


def _latin(value: str) -> bytes:
    """HTTP's own alphabet; what goes beyond it came as UTF-8 bytes."""
    try:
        return value.encode("latin-1")
    except UnicodeEncodeError:
        return value.encode()
