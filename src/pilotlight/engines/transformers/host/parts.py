"""An answer's text taken apart as it comes: content, thoughts, calls of tools.

The marks are those of the widespread ChatML family (Qwen, Hermes, SmolLM3, …):
``<think>…</think>`` and ``<tool_call>{"name": …, "arguments": …}</tool_call>``.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass

from .text import Stops

THINK, THINK_END = "<think>", "</think>"
CALL, CALL_END = "<tool_call>", "</tool_call>"


@dataclass(frozen=True)
class Content:
    text: str


@dataclass(frozen=True)
class Thought:
    text: str


@dataclass(frozen=True)
class Call:
    """`arguments` is JSON text, as clients expect it."""

    name: str
    arguments: str


Part = Content | Thought | Call


class Parts:
    """`thinks` and `calls` say which marks mean something; else the text is content as it is."""

    def __init__(self, *, thinks: bool, calls: bool, region: str = "content") -> None:
        self._opens = ([THINK] if thinks else []) + ([CALL] if calls else [])
        self._region = region
        self._rest = ""
        self._trim = region != "content"

    def push(self, text: str) -> list[Part]:
        if not self._opens:
            return [Content(text)] if text else []
        self._rest += text
        return list(self._take())

    def flush(self) -> list[Part]:
        """A call that lacks its closing mark counts if it is whole; else it is shown as it is."""
        rest, self._rest = self._rest, ""
        if self._region == "call":
            return [read_call(rest) or Content(CALL + rest)]
        return [_plain(self._region, rest)] if rest else []

    def _take(self) -> Iterator[Part]:
        moved = True
        while moved and self._rest:
            moved = False
            if self._trim:
                self._rest = self._rest.lstrip()
                self._trim = not self._rest
            if self._region == "call":
                moved, parts = self._close_call()
            else:
                moved, parts = self._leave_text()
            yield from parts

    def _leave_text(self) -> tuple[bool, list[Part]]:
        """Up to the next mark; what may be the start of one stays."""
        marks = self._opens if self._region == "content" else [THINK_END]
        found = min(
            ((at, mark) for mark in marks if (at := self._rest.find(mark)) >= 0), default=None
        )
        if found is None:
            held = Stops(marks)
            text = held.push(self._rest)
            self._rest = held.flush()
            return False, [_plain(self._region, text)] if text else []
        at, mark = found
        text, self._rest = self._rest[:at], self._rest[at + len(mark) :]
        parts: list[Part] = []
        if text.strip() or (text and mark not in (CALL, THINK)):
            parts.append(_plain(self._region, text.rstrip() if mark == CALL else text))
        self._region = {THINK: "thought", THINK_END: "content", CALL: "call"}[mark]
        self._trim = True
        return True, parts

    def _close_call(self) -> tuple[bool, list[Part]]:
        at = self._rest.find(CALL_END)
        if at < 0:
            return False, []
        inside, self._rest = self._rest[:at], self._rest[at + len(CALL_END) :]
        self._region, self._trim = "content", True
        return True, [read_call(inside) or Content(CALL + inside + CALL_END)]


def _plain(region: str, text: str) -> Part:
    return Thought(text) if region == "thought" else Content(text)


def read_call(text: str) -> Call | None:
    """The call that `text` writes down; None where it is none."""
    try:
        found = json.loads(text)
        arguments = found.get("arguments", found.get("parameters", {}))
        if not isinstance(arguments, str):
            arguments = json.dumps(arguments)
        return Call(str(found["name"]), arguments)
    except (ValueError, KeyError, AttributeError):
        return None
