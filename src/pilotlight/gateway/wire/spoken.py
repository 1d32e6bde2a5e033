"""How much of an answer was there when it was broken off, by the events of its stream.

Engines send an event for each token, or for a few, behind some that say no text yet: a role, a
message's start. So it is a count of tokens at least, and of exactly those for most.
"""

from __future__ import annotations

from typing import Any

import msgspec

_LAST_EVENTS = (
    b"data: [DONE]", b"event: response.completed", b"event: response.incomplete",
    b"event: response.failed", b"event: message_stop",
)  # fmt: skip


def has_ended(tail: bytes) -> bool:
    """Whether the engine has sent the end of its stream: a count before it may go on there."""
    lines = b"\n" + tail
    return any(b"\n" + event in lines for event in _LAST_EVENTS)


def spoken_events(head: bytes, events: int) -> int:
    """Of `events` those that may say something; `head` is the first that was read of the answer."""
    return max(0, events - _silent(head))


def _silent(head: bytes) -> int:
    """Events at the start that say nothing."""
    count = 0
    whole, _, _ = head.replace(b"\r\n", b"\n").rpartition(b"\n\n")
    for event in whole.split(b"\n\n"):
        if _says(event):
            break
        count += 1
    return count


def _says(event: bytes) -> bool:
    data = _data(event)
    if not isinstance(data, dict):
        return data is not None
    if isinstance(data.get("choices"), list):
        return any(_says_choice(choice) for choice in data["choices"])
    return str(data.get("type", ".delta")).endswith("delta")


def _data(event: bytes) -> Any:
    """None for an event without any, such as a comment."""
    lines = (line for line in event.split(b"\n") if line.startswith(b"data:"))
    text = b"\n".join(line.removeprefix(b"data:") for line in lines)
    if not text.strip():
        return None
    try:
        return msgspec.json.decode(text)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return text


def _says_choice(choice: Any) -> bool:
    if not isinstance(choice, dict):
        return True
    delta = choice.get("delta")
    if isinstance(delta, dict):
        return any(value for name, value in delta.items() if name != "role")
    return bool(choice.get("text"))
