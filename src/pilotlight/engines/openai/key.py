"""The key for an engine elsewhere: from the environment, and to nowhere but its header."""

from __future__ import annotations

import os
from collections.abc import Mapping

from pilotlight.errors import EngineMissingError


def bearer(variable: str) -> Mapping[str, str]:
    """The header with what `variable` holds; read at each start, so a new key needs no restart.

    Raises:
        EngineMissingError: it holds none; the text of what it holds is never in the message.
    """
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
    return {"Authorization": f"Bearer {key}"}
