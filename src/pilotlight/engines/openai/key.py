"""Keys for engines elsewhere: from the environment, and to nowhere but their header."""

from __future__ import annotations

import os
from collections.abc import Mapping

from pilotlight.errors import EngineMissingError


class Keys:
    """Those that were sent; what comes back is shown without them, for some repeat them."""

    def __init__(self) -> None:
        self._sent: set[bytes] = set()

    def bearer(self, variable: str) -> Mapping[str, str]:
        """The header with what `variable` holds; read at each start, so a new key needs no restart.

        Raises:
            EngineMissingError: it holds none; what it holds is never in the message.
        """
        key = _key(variable)
        self._sent.add(key.encode())
        return {"Authorization": f"Bearer {key}"}

    def hidden(self, body: bytes) -> bytes:
        """`body` with every key that was ever sent replaced."""
        for key in self._sent:
            body = body.replace(key, b"***")
        return body


def _key(variable: str) -> str:
    key = os.environ.get(variable, "").strip()
    if not key:
        raise EngineMissingError(
            f"the environment variable {variable!r} is not set, and the key is to be in it",
            hint=f"set {variable} where pilotlight serve is started, and start it again",
        )
    if not key.isascii() or not key.isprintable():
        raise EngineMissingError(
            f"what the environment variable {variable!r} holds can't be a key",
            hint="it has characters that no header can carry; copy the key again",
        )
    return key
