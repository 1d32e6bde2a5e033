"""Who may ask: API keys where there are any, and browsers kept out where there are none."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from functools import lru_cache
from urllib.parse import urlsplit

from pilotlight.errors import ConfigError, ForbiddenError, UnauthorizedError
from pilotlight.gateway.http import Request
from pilotlight.gateway.keys import Key, KeyStore

LOCAL_NAMES = frozenset({"localhost", "ip6-localhost"})


@lru_cache(maxsize=256)  # asked of every request's Host header
def is_loopback(host: str) -> bool:
    if host in LOCAL_NAMES:
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def require_keys_beyond_loopback(host: str, keys: KeyStore) -> None:
    """Raises ConfigError: an open model server on a network is never what anybody wanted."""
    if not is_loopback(host) and not keys.any():
        raise ConfigError(
            f"host is {host!r}, which others can reach, and there is no API key",
            hint="run `pilotlight keys create --name me` first, or listen on 127.0.0.1",
        )


class Access:
    """Checks every request before anything is read from it.

    With keys, a key is the proof. Without (loopback only), a web page the user
    visits must not reach the server through their browser: a foreign Host is DNS
    rebinding, a foreign Origin is a cross-site request.
    """

    def __init__(
        self, keys: KeyStore, host: str, allowed_hosts: Iterable[str], origins: Iterable[str]
    ) -> None:
        self._keys = keys
        self._open = is_loopback(host)
        self._hosts = frozenset({*allowed_hosts, host})
        self._origins = frozenset(origins)

    def check(self, request: Request) -> Key | None:
        """The caller's key, or None where none is needed.

        Raises:
            UnauthorizedError: no key, or not a good one.
            ForbiddenError: a browser came from somewhere else.
        """
        headers = request.headers
        if "origin" in headers:
            self._check_origin(headers["origin"])
        if self._open and not self._keys.any():
            self._check_host(headers.get("host", ""))
            return None
        return self._keys.check(_presented(headers))

    def admits(self, request: Request) -> bool:
        """Whether `check` lets the request through, for routes that answer everybody something."""
        try:
            self.check(request)
        except (UnauthorizedError, ForbiddenError):
            return False
        return True

    def check_admin(self, key: Key | None) -> None:
        """Raises ForbiddenError for a key that may only ask models."""
        if key is not None and key.role != "admin":
            raise ForbiddenError(
                f"key {key.id} may ask models, not manage them",
                hint="use a key made with `pilotlight keys create --admin`",
            )

    def allows_origin(self, origin: str) -> bool:
        """A configured one; on loopback also pages that this machine serves to itself."""
        if origin in self._origins or "*" in self._origins:
            return True
        return self._open and is_loopback(_host_of(origin))

    def _check_origin(self, origin: str) -> None:
        if self.allows_origin(origin):
            return
        raise ForbiddenError(
            f"web pages of origin {origin!r} may not call this server",
            hint="add the origin to cors_origins if they should",
        )

    def _check_host(self, host: str) -> None:
        name = _host_of(f"//{host}")
        if not is_loopback(name) and name not in self._hosts:
            raise ForbiddenError(
                f"this server doesn't answer to the name {name or host!r}",
                hint="add it to allowed_hosts, or ask for localhost",
            )


def _host_of(url: str) -> str:
    """The host's name in `url`; empty for none, and for what is no URL, such as ``//[``."""
    try:
        return urlsplit(url).hostname or ""
    except ValueError:
        return ""


def _presented(headers: dict[str, str]) -> str:
    """The key as OpenAI's clients send it, or as Anthropic's do.

    The refusal quotes nothing: what isn't a scheme is likely the key itself.
    """
    authorization = headers.get("authorization")
    if authorization is None:
        return headers.get("x-api-key", "")
    scheme, _, value = authorization.partition(" ")
    if scheme.lower() != "bearer":
        raise UnauthorizedError(
            "the Authorization header is not of the form Bearer <key>",
            hint="send Authorization: Bearer <key>",
        )
    return value.strip()
