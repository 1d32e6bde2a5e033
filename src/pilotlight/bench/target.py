"""Whom to ask: an OpenAI-compatible server, over TCP, TLS or a Unix socket."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from pilotlight.errors import BenchError


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """`url` is the server's, with or without a final ``/v1``; a path before that is kept.

    With `socket` the connection goes there and `url` only gives the Host header.
    """

    url: str
    model: str
    key: str | None = field(default=None, repr=False)
    socket: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    connect_timeout_s: float = 10.0
    timeout_s: float = 600.0
    """From when a request was sent to its last byte."""

    ca_file: str | None = None
    """What signs the server's certificate, where the system doesn't know it."""

    @property
    def secure(self) -> bool:
        return urlsplit(self.url).scheme == "https"

    @property
    def address(self) -> tuple[str, int]:
        """Host and port. Raises BenchError for what is no address of a server."""
        parts = urlsplit(self.url)
        try:
            port = parts.port
        except ValueError:
            port = -1
        if parts.scheme not in ("http", "https") or not parts.hostname or port == -1:
            raise BenchError(
                f"{self.url!r} is no address of a server", hint="write http://HOST:PORT"
            )
        return parts.hostname, port or (443 if self.secure else 80)

    @property
    def where(self) -> str:
        """For messages."""
        return self.socket or self.url

    def head(self, method: str, path: str) -> bytes:
        """The request's head up to the value of ``Content-Length``, which a body's size follows."""
        host, port = self.address
        base = urlsplit(self.url).path.rstrip("/").removesuffix("/v1")
        shown = f"[{host}]" if ":" in host else host
        lines = {
            "Host": shown if port == (443 if self.secure else 80) else f"{shown}:{port}",
            "User-Agent": "pilotlight-bench",
            "Accept": "text/event-stream, application/json",
            "Content-Type": "application/json",
        }
        if self.key:
            lines["Authorization"] = f"Bearer {self.key}"
        lines |= self.headers
        fields = "".join(_line(name, value) for name, value in lines.items())
        return f"{method} {base}{path} HTTP/1.1\r\n{fields}Content-Length: ".encode("latin-1")


def _line(name: str, value: str) -> str:
    """The key is never shown, so neither is the value."""
    line = f"{name}: {value}"
    if not line.isascii() or not line.isprintable():
        raise BenchError(
            f"header {name!r} has characters that HTTP doesn't carry",
            hint="look for a line break at the end of the key",
        )
    return line + "\r\n"
