"""The running server: where it is, and one exchange at a time with it.

Plain `http.client`: a command asks once or twice, and start-up time is what its user feels.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import SplitResult, urlsplit

from pilotlight.errors import ConfigError, ServerRefusedError, ServerUnreachableError

if TYPE_CHECKING:
    from http.client import HTTPConnection, HTTPResponse

DEFAULT_URL = "http://127.0.0.1:8080"
_CONNECT_S = 5.0
_ANSWER_S = 30.0


@dataclass(frozen=True, slots=True)
class Server:
    """Where to ask. The key is from the environment only: every user can read an argv."""

    url: str
    source: str
    key: str | None = field(default=None, repr=False)


def find_server(
    url: str | None, data_dir: Path, environ: Mapping[str, str] | None = None
) -> Server:
    """`--url`, else PILOTLIGHT_URL, else the server that wrote `data_dir`/server.json.

    Raises:
        ConfigError: the URL is none.
    """
    environ = os.environ if environ is None else environ
    places = (
        (url, "--url"),
        (environ.get("PILOTLIGHT_URL"), "PILOTLIGHT_URL"),
        (running_url(data_dir / "server.json"), str(data_dir / "server.json")),
        (DEFAULT_URL, "the default address"),
    )
    chosen, source = next((place, source) for place, source in places if place)
    return Server(_base_url(chosen, source), source, environ.get("PILOTLIGHT_API_KEY") or None)


def running_url(path: Path) -> str | None:
    """None also when the process that wrote the file is gone."""
    try:
        entry = json.loads(path.read_bytes())
        os.kill(int(entry["pid"]), 0)
        return str(entry["url"])
    except PermissionError:  # it lives, as another user
        return str(entry["url"])
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _base_url(text: str, source: str) -> str:
    """Without a final slash or the ``/v1`` that OpenAI clients carry."""
    parts = urlsplit(text if "://" in text else f"http://{text}")
    try:
        usable = parts.scheme in ("http", "https") and parts.hostname and (parts.port or True)
    except ValueError:
        usable = False
    if not usable:
        raise ConfigError(
            f"{source}: {text!r} is no address of a server", hint="write http://HOST:PORT"
        )
    if parts.username is not None:
        raise ConfigError(
            f"{source}: the address holds credentials",
            hint="put the API key into PILOTLIGHT_API_KEY",
        )
    return parts.geturl().rstrip("/").removesuffix("/v1")


def ask(
    server: Server,
    method: str,
    path: str,
    body: Mapping[str, Any] | None = None,
    *,
    timeout_s: float | None = _ANSWER_S,
) -> dict[str, Any]:
    """One whole JSON answer; `timeout_s` None waits as long as it takes.

    Raises:
        ServerUnreachableError: nobody listens, or the connection broke.
        ServerRefusedError: the server's own error, or an answer that isn't Pilotlight's.
    """
    with _exchange(server, method, path, body, timeout_s) as response:
        return _parsed(server, response.status, response.read())


@contextmanager
def stream(server: Server, path: str, body: Mapping[str, Any]) -> Iterator[Iterator[bytes]]:
    """The lines of a streamed answer as they arrive.

    Leaving the block closes the connection, which tells the server to stop working on it.
    Raises as `ask` does, also while the lines are read.
    """
    with _exchange(server, "POST", path, body, None) as response:
        if response.status != 200:
            _parsed(server, response.status, response.read())
        yield _lines(response)


def model_names(server: Server, *, timeout_s: float = _ANSWER_S) -> list[str]:
    """The models this key may use. Raises as `ask` does."""
    answer = ask(server, "GET", "/v1/models", timeout_s=timeout_s)
    return [str(model["id"]) for model in answer.get("data", [])]


def _lines(response: HTTPResponse) -> Iterator[bytes]:
    while line := response.readline():
        yield line


@contextmanager
def _exchange(
    server: Server,
    method: str,
    path: str,
    body: Mapping[str, Any] | None,
    timeout_s: float | None,
) -> Iterator[HTTPResponse]:
    from http.client import HTTPException

    parts = urlsplit(server.url)
    connection = _connection(parts, timeout_s)
    response = None
    try:
        connection.connect()
        connection.sock.settimeout(timeout_s)
        payload = None if body is None else json.dumps(body).encode()
        connection.request(method, parts.path + path, payload, _headers(server))
        response = connection.getresponse()
        yield response
    except (OSError, HTTPException) as error:
        raise _unreachable(server, error) from None
    finally:
        # Both, for the response keeps the socket open by itself.
        if response is not None:
            response.close()
        connection.close()


def _connection(parts: SplitResult, timeout_s: float | None) -> HTTPConnection:
    from http.client import HTTPConnection, HTTPSConnection

    kind = HTTPSConnection if parts.scheme == "https" else HTTPConnection
    patience_s = _CONNECT_S if timeout_s is None else min(_CONNECT_S, timeout_s)
    return kind(parts.hostname or "", parts.port, timeout=patience_s)


def _headers(server: Server) -> dict[str, str]:
    headers = {"Content-Type": "application/json", "Accept": "application/json, text/event-stream"}
    if server.key:
        headers["Authorization"] = f"Bearer {server.key}"
    return headers


def _unreachable(server: Server, error: Exception) -> ServerUnreachableError:
    reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
    if isinstance(error, ConnectionRefusedError):
        return ServerUnreachableError(
            f"no server answers at {server.url} ({server.source})",
            hint="start one with: pilotlight serve",
        )
    return ServerUnreachableError(
        f"can't talk to {server.url} ({server.source}): {reason}",
        hint="is it a Pilotlight server, and is it running? see: pilotlight doctor",
    )


def _parsed(server: Server, status: int, body: bytes) -> dict[str, Any]:
    try:
        answer = json.loads(body)
    except ValueError:
        answer = None
    if not isinstance(answer, dict):
        raise ServerRefusedError(
            f"{server.url} answered {status} without JSON",
            status,
            hint="another program may listen there; give the right address with --url",
        )
    if status != 200:
        raise refusal(answer.get("error"), status)
    return answer


def refusal(error: Any, status: int) -> ServerRefusedError:
    """The server's error object as an exception; its message already holds the next step."""
    message = error.get("message") if isinstance(error, dict) else error
    hints = {401: "set PILOTLIGHT_API_KEY to a key of this server", 403: "use an admin key"}
    return ServerRefusedError(
        str(message or f"the server answered {status}"), status, hint=hints.get(status)
    )
