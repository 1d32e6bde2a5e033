"""From a request to its first token, over HTTP, by a client as plain as can be."""

from __future__ import annotations

import http.client
import json
import re
import time
from collections.abc import Iterable
from typing import Any

_TEXT = re.compile(rb'"(?:content|reasoning|reasoning_content)"\s*:\s*"[^"]')
"""In the first event that has text: before it a role may come, with null or no text as content.

No JSON parser, since a piece of a stream may end within an event.
"""


def chat_body(model: str) -> bytes:
    return json.dumps(
        {
            "model": model,
            "messages": [{"role": "user", "content": "Say hello."}],
            "max_tokens": 8,
            "temperature": 0,
            "stream": True,
        }
    ).encode()


def has_token(data: bytes) -> bool:
    return _TEXT.search(data) is not None


def await_first_token(port: int, key: str, model: str, patience_s: float = 120.0) -> None:
    """Asks as soon as somebody listens; returns with the first token.

    `patience_s` is for somebody to listen, and then for each silence. Raises RuntimeError for any
    other answer.
    """
    connection = _connect(port, patience_s)
    try:
        headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
        connection.request("POST", "/v1/chat/completions", chat_body(model), headers)
        answer = connection.getresponse()
        if answer.status != 200:
            raise RuntimeError(f"status {answer.status}: {answer.read()[:300]!r}")
        _read_to_token(answer)
    finally:
        connection.close()


def _read_to_token(lines: Iterable[bytes]) -> None:
    for line in lines:
        if has_token(line):
            return
    raise RuntimeError("the stream ended without a token")


def _connect(port: int, patience_s: float) -> http.client.HTTPConnection:
    deadline = time.monotonic() + patience_s
    while True:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=patience_s)
        try:
            connection.connect()
        except ConnectionRefusedError:
            connection.close()
            if time.monotonic() > deadline:
                raise
            time.sleep(0.002)
        else:
            return connection


def ask(port: int, key: str, method: str, path: str, body: Any = None) -> Any:
    """One JSON answer of the admin API. Raises RuntimeError unless it is 200."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=120)
    try:
        payload = None if body is None else json.dumps(body)
        connection.request(method, path, payload, {"Authorization": f"Bearer {key}"})
        answer = connection.getresponse()
        data = answer.read()
        if answer.status != 200:
            raise RuntimeError(f"{path} answered {answer.status}: {data[:300]!r}")
        return json.loads(data)
    finally:
        connection.close()
