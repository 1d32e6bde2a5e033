"""A stream without the usage that only we asked for.

A client that didn't ask for usage may trip over its event, which has no choices.
"""

from __future__ import annotations

import json

from pilotlight.gateway.wire.sse import Framer


class UsageWithheld(Framer):
    """Passes whole events on but for the one that holds the usage and nothing else."""

    __slots__ = ()

    def feed(self, chunk: bytes) -> bytes:
        whole = super().feed(chunk)
        if b'"usage"' not in whole:
            return whole
        # Framer cuts at blank lines, whatever their ends, so nothing is lost in between.
        blank = b"\r\n\r\n" if b"\r\n\r\n" in whole else b"\n\n"
        events = whole.split(blank)
        return blank.join(event for event in events if not _is_usage_alone(event))


def _is_usage_alone(event: bytes) -> bool:
    if b'"usage"' not in event or not event.startswith(b"data:"):
        return False
    try:
        data = json.loads(event.removeprefix(b"data:"))
    except ValueError:
        return False
    return isinstance(data, dict) and data.get("choices") == [] and bool(data.get("usage"))
