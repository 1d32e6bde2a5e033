"""Anthropic's event sequence: message_start, content blocks one after another, message_stop."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pilotlight.gateway.translate.answer import Closing, Delta, ToolDelta, merge
from pilotlight.gateway.translate.base import Context
from pilotlight.gateway.translate.tool_parts import ToolCalls
from pilotlight.gateway.wire.errors import named


class MessagesWriter:
    """Writes one stream. At most one content block is open at a time."""

    def __init__(
        self,
        context: Context,
        stop_reason: Callable[[str, str | None], str],
        usage: Callable[[Closing], dict[str, Any]],
    ) -> None:
        self._context = context
        self._stop_reason = stop_reason
        self._usage = usage
        self._begun = False
        self._index = -1
        self._open: str | None = None
        self._calls = ToolCalls()
        self._tool_blocks: dict[int, int] = {}
        self._finish = "stop"
        self._stop_sequence: str | None = None
        self._closing = Closing()

    def write(self, delta: Delta) -> bytes:
        parts = [] if self._begun else [self._begin()]
        if delta.reasoning:
            parts.append(self._piece("thinking", "thinking_delta", "thinking", delta.reasoning))
        if delta.text:
            parts.append(self._piece("text", "text_delta", "text", delta.text))
        parts += [self._tool(piece) for piece in delta.tools]
        self._note(delta)
        return b"".join(parts)

    def finish(self) -> bytes:
        reason = self._stop_reason(self._finish, self._stop_sequence)
        ending = {"stop_reason": reason, "stop_sequence": self._stop_sequence}
        return b"".join(
            (
                self._stop_block(),
                _event("message_delta", delta=ending, usage=self._usage(self._closing)),
                _event("message_stop"),
            )
        )

    def _note(self, delta: Delta) -> None:
        self._finish = delta.finish or self._finish
        self._stop_sequence = delta.stop_sequence or self._stop_sequence
        self._closing = merge(self._closing, delta.closing)

    def _begin(self) -> bytes:
        self._begun = True
        message: dict[str, Any] = {
            "id": f"msg_{self._context.request_id}",
            "type": "message",
            "role": "assistant",
            "model": self._context.model,
            "content": [],
            "stop_reason": None,
            "stop_sequence": None,
            # Chat counts at the end only; message_delta states the prompt's tokens then.
            "usage": {"input_tokens": 0, "output_tokens": 0},
        }
        return _event("message_start", message=message)

    def _piece(self, kind: str, delta_type: str, key: str, text: str) -> bytes:
        start = b""
        if self._open != kind:
            block = {"type": kind, key: ""}
            if kind == "thinking":
                block["signature"] = ""
            start = self._start_block(kind, block)
        return start + self._delta({"type": delta_type, key: text})

    def _tool(self, piece: ToolDelta) -> bytes:
        start = b""
        if self._calls.add(piece):
            call = self._calls.call(piece.index)
            block = {"type": "tool_use", "id": call.id, "name": call.name, "input": {}}
            start = self._start_block(f"tool_use {piece.index}", block)
            self._tool_blocks[piece.index] = self._index
        if not piece.arguments:
            return start
        delta = {"type": "input_json_delta", "partial_json": piece.arguments}
        # By the call's own block: an engine may come back to an earlier call.
        index = self._tool_blocks[piece.index]
        return start + _event("content_block_delta", index=index, delta=delta)

    def _start_block(self, name: str, block: dict[str, Any]) -> bytes:
        stop = self._stop_block()
        self._index += 1
        self._open = name
        return stop + _event("content_block_start", index=self._index, content_block=block)

    def _stop_block(self) -> bytes:
        if self._open is None:
            return b""
        signature = b""
        if self._open == "thinking":
            signature = self._delta({"type": "signature_delta", "signature": ""})
        self._open = None
        return signature + _event("content_block_stop", index=self._index)

    def _delta(self, delta: dict[str, Any]) -> bytes:
        return _event("content_block_delta", index=self._index, delta=delta)


def _event(name: str, **fields: Any) -> bytes:
    return named(name, {"type": name, **fields})
