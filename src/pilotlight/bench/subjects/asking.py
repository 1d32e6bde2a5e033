"""Single questions to the server under test, before and after it is loaded."""

from __future__ import annotations

import http.client
import json
import ssl
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from pilotlight.bench.object_answer import object_answer
from pilotlight.errors import ServerRefusedError, ServerUnreachableError

ANSWER_S = 30.0


@dataclass(frozen=True, slots=True)
class Endpoint:
    """`url` is without a final slash and without ``/v1``."""

    url: str
    key: str | None = field(default=None, repr=False)


def ask(
    endpoint: Endpoint,
    path: str,
    body: Mapping[str, Any] | None = None,
    *,
    timeout_s: float = ANSWER_S,
) -> dict[str, Any]:
    """GET, or POST of `body`; the JSON object that came back.

    Raises:
        ServerUnreachableError: nobody answers, or not in time.
        ServerRefusedError: any other status than 200, or no JSON object.
    """
    status, data = _exchange(endpoint, path, body, timeout_s)
    return object_answer(f"{endpoint.url}{path}", status, data)


def asked(endpoint: Endpoint, path: str, body: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """As `ask`, but an empty object where the server has no such path."""
    try:
        return ask(endpoint, path, body)
    except ServerRefusedError:
        return {}


def first_token_ms(endpoint: Endpoint, model: str, timeout_s: float) -> float:
    """Of a short streamed chat: from the connection's start to the first piece with content.

    Raises as `ask` does.
    """
    body = {
        "model": model,
        "messages": [{"role": "user", "content": "Say hello."}],
        "max_tokens": 4,
        "stream": True,
    }
    connection = _connection(endpoint, timeout_s)
    began_s = time.perf_counter()
    try:
        path = urlsplit(endpoint.url).path + "/v1/chat/completions"
        connection.request("POST", path, json.dumps(body).encode(), _headers(endpoint))
        response = connection.getresponse()
        if response.status != 200:
            raise ServerRefusedError(
                f"{endpoint.url} answered {response.status}: {response.read(2000)!r}",
                response.status,
            )
        first_ms: float | None = None
        while line := response.readline():
            if first_ms is None and _has_content(line):
                first_ms = (time.perf_counter() - began_s) * 1000
        if first_ms is None:
            raise ServerRefusedError(f"{endpoint.url} streamed no token of {model!r}", 200)
        return first_ms
    except (OSError, http.client.HTTPException) as error:
        raise _unreachable(endpoint, error) from None
    finally:
        connection.close()


def _has_content(line: bytes) -> bool:
    if not line.startswith(b"data:") or b"[DONE]" in line:
        return False
    event = _object(line[5:]) or {}
    choices = event.get("choices") or [{}]
    delta = choices[0].get("delta") or {}
    return bool(delta.get("content") or delta.get("reasoning_content"))


def _exchange(
    endpoint: Endpoint, path: str, body: Mapping[str, Any] | None, timeout_s: float
) -> tuple[int, bytes]:
    connection = _connection(endpoint, timeout_s)
    try:
        payload = None if body is None else json.dumps(body).encode()
        method = "GET" if payload is None else "POST"
        where = urlsplit(endpoint.url).path + path
        connection.request(method, where, payload, _headers(endpoint))
        response = connection.getresponse()
        return response.status, response.read()
    except (OSError, http.client.HTTPException) as error:
        raise _unreachable(endpoint, error) from None
    finally:
        connection.close()


def _connection(endpoint: Endpoint, timeout_s: float) -> http.client.HTTPConnection:
    parts = urlsplit(endpoint.url)
    host, port = parts.hostname or "", parts.port
    if parts.scheme == "https":
        context = ssl.create_default_context()
        return http.client.HTTPSConnection(host, port, timeout=timeout_s, context=context)
    return http.client.HTTPConnection(host, port, timeout=timeout_s)


def _headers(endpoint: Endpoint) -> dict[str, str]:
    headers = {"Content-Type": "application/json"}
    return {**headers, "Authorization": f"Bearer {endpoint.key}"} if endpoint.key else headers


def _unreachable(endpoint: Endpoint, error: Exception) -> ServerUnreachableError:
    said = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return ServerUnreachableError(
        f"nobody answers at {endpoint.url}: {said}",
        hint="check the address, or give a model ref to have it started",
    )


def _object(data: bytes) -> dict[str, Any] | None:
    try:
        tree = json.loads(data)
    except ValueError:
        return None
    return tree if isinstance(tree, dict) else None
