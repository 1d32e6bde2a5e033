"""The event sequence of OpenAI's responses: numbered events around one output item at a time."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pilotlight.gateway.translate.answer import Closing, Delta, ToolDelta, merge
from pilotlight.gateway.translate.base import Context
from pilotlight.gateway.translate.responses_item import CallItem, Item, ReasoningItem, TextItem
from pilotlight.gateway.translate.responses_object import response
from pilotlight.gateway.wire.errors import named


class ResponsesWriter:
    """Writes one stream. An item stays open until another begins or the answer ends."""

    def __init__(self, body: Mapping[str, Any], context: Context, created_at: int) -> None:
        self._body = body
        self._context = context
        self._created_at = created_at
        self._sequence = 0
        self._item: Item | None = None
        self._output: list[dict[str, Any]] = []
        self._finish: str | None = None
        self._closing = Closing()

    def write(self, delta: Delta) -> bytes:
        parts = [] if self._sequence else [self._begin()]
        if delta.reasoning:
            parts.append(self._piece(ReasoningItem, delta.reasoning))
        if delta.text:
            parts.append(self._piece(TextItem, delta.text))
        parts += [self._tool(piece) for piece in delta.tools]
        self._finish = delta.finish or self._finish
        self._closing = merge(self._closing, delta.closing)
        return b"".join(parts)

    def finish(self) -> bytes:
        parts = []
        if self._item is None and not self._output:
            parts.append(self._start(TextItem(self._context, 0)))  # an empty answer is a message
        parts.append(self._stop())
        whole = self._response(self._finish)
        parts.append(self._event(f"response.{whole['status']}", response=whole))
        return b"".join(parts)

    def _begin(self) -> bytes:
        begun = self._response(None)
        return self._event("response.created", response=begun) + self._event(
            "response.in_progress", response=begun
        )

    def _response(self, finish: str | None) -> dict[str, Any]:
        closing = self._closing if finish else None
        return response(self._body, self._context, self._created_at, self._output, finish, closing)

    def _piece(self, kind: type[ReasoningItem] | type[TextItem], text: str) -> bytes:
        start = b""
        if not isinstance(self._item, kind):
            stop = self._stop()
            start = stop + self._start(kind(self._context, len(self._output)))
        return start + self._more(text)

    def _tool(self, piece: ToolDelta) -> bytes:
        start = b""
        if not (isinstance(self._item, CallItem) and self._item.call_index == piece.index):
            stop = self._stop()
            start = stop + self._start(CallItem(self._context, len(self._output), piece))
        return start + (self._more(piece.arguments) if piece.arguments else b"")

    def _start(self, item: Item) -> bytes:
        self._item = item
        return b"".join(self._event(name, **fields) for name, fields in item.added())

    def _more(self, text: str) -> bytes:
        assert self._item is not None
        name, fields = self._item.more(text)
        return self._event(name, **fields)

    def _stop(self) -> bytes:
        item, self._item = self._item, None
        if item is None:
            return b""
        self._output.append(item.whole(self._finish or "stop"))
        return b"".join(self._event(name, **fields) for name, fields in item.done(self._output[-1]))

    def _event(self, name: str, /, **fields: Any) -> bytes:
        number, self._sequence = self._sequence, self._sequence + 1
        return named(name, {"type": name, "sequence_number": number, **fields})
