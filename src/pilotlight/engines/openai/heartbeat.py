"""Whether an engine elsewhere is there: asked with a GET that costs nothing."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from weakref import WeakKeyDictionary

from pilotlight.engines.base import EngineProcess
from pilotlight.errors import (
    EngineCrashedError,
    EngineError,
    EngineStartError,
    EngineUnreachableError,
)

ASK_S = 10.0


class Heartbeat:
    """Counts the answers: a remote that answers lives, and its timeout bounds each request."""

    def __init__(self, hidden: Callable[[bytes], bytes] = lambda said: said) -> None:
        """`hidden` takes out of the remote's words what must not be shown."""
        self._hidden = hidden
        self._paths: WeakKeyDictionary[EngineProcess, str] = WeakKeyDictionary()
        self._beats = itertools.count(1)

    async def first(self, process: EngineProcess, path: str, timeout_s: float) -> None:
        """Raises EngineStartError when it refuses us, EngineUnreachableError when it's not there.

        The difference matters: the first lasts until somebody mends it here.
        """
        try:
            status, body = await process.client.fetch(path, timeout_s=timeout_s)
        except TimeoutError:
            raise EngineUnreachableError(
                f"the remote engine said nothing to GET {path} in {timeout_s:g} s",
                hint="ask again later",
            ) from None
        if status == 429 or status >= 500:
            raise EngineUnreachableError(
                f"the remote engine answers {status} to GET {path}", hint="ask again later"
            )
        if status != 200:
            raise EngineStartError(
                f"the remote engine answers {status} to GET {path}",
                last_words=self._hidden(body)[:300].decode(errors="replace"),
                hint=_HINTS.get(status, "is its address right?"),
            )
        self._paths[process] = path

    async def next(self, process: EngineProcess) -> int | None:
        """A greater number each time it answers; None when it doesn't."""
        path = self._paths.get(process)
        if path is None:
            return None
        try:
            status, _ = await process.client.fetch(path, timeout_s=ASK_S)
        except (EngineError, EngineCrashedError, TimeoutError):
            return None
        return next(self._beats) if status < 500 else None


_HINTS = {
    401: "its key is missing, wrong or revoked: see the option api_key_env",
    403: "its key may not do this: see the option api_key_env",
    404: "complete base_url with its /v1, or set the option ready to a path that it answers",
    405: "set the option ready to a path that it answers",
}
