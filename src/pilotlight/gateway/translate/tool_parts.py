"""Tool calls put together from the pieces of a stream."""

from __future__ import annotations

from pilotlight.gateway.translate.answer import ToolCall, ToolDelta


class ToolCalls:
    """The calls of one stream, in the order of their indexes."""

    __slots__ = ("_arguments", "_heads")

    def __init__(self) -> None:
        self._heads: dict[int, tuple[str, str]] = {}
        self._arguments: dict[int, list[str]] = {}

    def add(self, piece: ToolDelta) -> bool:
        """Takes the piece in; True when it begins a call."""
        begins = piece.index not in self._heads
        if begins:
            self._heads[piece.index] = (piece.id or f"call_{piece.index}", piece.name or "")
            self._arguments[piece.index] = []
        self._arguments[piece.index].append(piece.arguments)
        return begins

    def call(self, index: int) -> ToolCall:
        identity, name = self._heads[index]
        return ToolCall(identity, name, "".join(self._arguments[index]))

    def all(self) -> tuple[ToolCall, ...]:
        return tuple(self.call(index) for index in sorted(self._heads))
