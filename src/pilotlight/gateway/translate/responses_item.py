"""The three kinds of output items while they stream, each with its own event names."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Protocol

from pilotlight.gateway.translate.answer import ToolCall, ToolDelta
from pilotlight.gateway.translate.base import Context
from pilotlight.gateway.translate.responses_object import (
    call_item,
    message_item,
    reasoning_item,
    reasoning_part,
    status,
    text_part,
)

Named = tuple[str, dict[str, Any]]
"""An event's name and its fields, but for the sequence number."""


class Item(Protocol):
    """One output item as it grows."""

    def added(self) -> Iterator[Named]: ...

    def more(self, text: str) -> Named: ...

    def whole(self, finish: str) -> dict[str, Any]: ...

    def done(self, whole: dict[str, Any]) -> Iterator[Named]: ...


class TextItem:
    """The message that the model says."""

    def __init__(self, context: Context, index: int) -> None:
        self._context = context
        self._index = index
        self._text: list[str] = []
        self._begun = message_item(context, index, None, "in_progress")
        self._at = {"item_id": self._begun["id"], "output_index": index, "content_index": 0}

    def added(self) -> Iterator[Named]:
        yield "response.output_item.added", {"output_index": self._index, "item": self._begun}
        yield "response.content_part.added", {**self._at, "part": text_part("")}

    def more(self, text: str) -> Named:
        self._text.append(text)
        return "response.output_text.delta", {**self._at, "delta": text, "logprobs": []}

    def whole(self, finish: str) -> dict[str, Any]:
        return message_item(self._context, self._index, "".join(self._text), status(finish))

    def done(self, whole: dict[str, Any]) -> Iterator[Named]:
        text = "".join(self._text)
        yield "response.output_text.done", {**self._at, "text": text, "logprobs": []}
        yield "response.content_part.done", {**self._at, "part": text_part(text)}
        yield "response.output_item.done", {"output_index": self._index, "item": whole}


class ReasoningItem:
    """What the model thinks before it speaks."""

    def __init__(self, context: Context, index: int) -> None:
        self._context = context
        self._index = index
        self._text: list[str] = []
        self._begun = reasoning_item(context, index, None)
        self._at = {"item_id": self._begun["id"], "output_index": index, "content_index": 0}

    def added(self) -> Iterator[Named]:
        yield "response.output_item.added", {"output_index": self._index, "item": self._begun}
        yield "response.content_part.added", {**self._at, "part": reasoning_part("")}

    def more(self, text: str) -> Named:
        self._text.append(text)
        return "response.reasoning_text.delta", {**self._at, "delta": text}

    def whole(self, finish: str) -> dict[str, Any]:
        return reasoning_item(self._context, self._index, "".join(self._text))

    def done(self, whole: dict[str, Any]) -> Iterator[Named]:
        text = "".join(self._text)
        yield "response.reasoning_text.done", {**self._at, "text": text}
        yield "response.content_part.done", {**self._at, "part": reasoning_part(text)}
        yield "response.output_item.done", {"output_index": self._index, "item": whole}


class CallItem:
    """One function call."""

    def __init__(self, context: Context, index: int, first: ToolDelta) -> None:
        self.call_index = first.index
        self._context = context
        self._index = index
        self._id = first.id or f"call_{first.index}"
        self._name = first.name or ""
        self._arguments: list[str] = []
        self._begun = call_item(context, index, self._call(), "in_progress")
        self._at = {"item_id": self._begun["id"], "output_index": index}

    def _call(self) -> ToolCall:
        return ToolCall(self._id, self._name, "".join(self._arguments))

    def added(self) -> Iterator[Named]:
        yield "response.output_item.added", {"output_index": self._index, "item": self._begun}

    def more(self, text: str) -> Named:
        self._arguments.append(text)
        return "response.function_call_arguments.delta", {**self._at, "delta": text}

    def whole(self, finish: str) -> dict[str, Any]:
        return call_item(self._context, self._index, self._call(), status(finish))

    def done(self, whole: dict[str, Any]) -> Iterator[Named]:
        arguments = {"name": self._name, "arguments": "".join(self._arguments)}
        yield "response.function_call_arguments.done", {**self._at, **arguments}
        yield "response.output_item.done", {"output_index": self._index, "item": whole}
