"""How much of an answer was there that no engine counted to its end, by the events of its stream.

Engines send an event for each token, or for a few, between some that say no text: a role, a
message's start, why it stopped. So it is a count of tokens at least, and of exactly those for most.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import takewhile
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


def spoken_events(head: bytes, tail: bytes, events: int) -> int:
    """Of `events` those that may say something; `head` is the first that was read of the answer,
    `tail` the last."""
    return max(0, events - _silent(_whole(head)) - _silent(reversed(_whole(tail))))


def _whole(part: bytes) -> list[bytes]:
    """The events that end in it."""
    return part.replace(b"\r\n", b"\n").split(b"\n\n")[:-1]


def _silent(events: Iterable[bytes]) -> int:
    """Those before the first that says something."""
    return sum(1 for _ in takewhile(lambda event: not _says(event), events))


def _says(event: bytes) -> bool:
    data = _data(event)
    if not isinstance(data, dict):
        return data is not None and data != b"[DONE]"
    if isinstance(data.get("choices"), list):
        return any(_says_choice(choice) for choice in data["choices"])
    kind = str(data.get("type", ".delta"))
    return kind.endswith("delta") and kind != "message_delta"  # that one says why it stopped


def _data(event: bytes) -> Any:
    """None for an event without any, such as a comment."""
    lines = (line for line in event.split(b"\n") if line.startswith(b"data:"))
    text = b"\n".join(line.removeprefix(b"data:") for line in lines).strip()
    if not text:
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
