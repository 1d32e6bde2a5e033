"""A server's answer that has to be a JSON object, or what it says instead."""

from __future__ import annotations

from typing import Any

import msgspec

from pilotlight.errors import ServerRefusedError


def object_answer(where: str, status: int, data: bytes) -> dict[str, Any]:
    """Raises ServerRefusedError, in the server's own words, for all but a 200 with an object."""
    try:
        answer = msgspec.json.decode(data)
    except msgspec.DecodeError:
        answer = None
    if status == 200 and isinstance(answer, dict):
        return answer
    error = answer.get("error") if isinstance(answer, dict) else None
    words = error.get("message") if isinstance(error, dict) else error
    raise ServerRefusedError(
        f"{where} answered {status}: {words or data[:200].decode(errors='replace') or 'nothing'}",
        status,
        hint="set PILOTLIGHT_API_KEY to a key of this server" if status in (401, 403) else None,
    )
