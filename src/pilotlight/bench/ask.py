"""One request of a workload, before it is sent."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import msgspec

Kind = Literal["chat", "completions"]
PATHS: Mapping[Kind, str] = {"chat": "/v1/chat/completions", "completions": "/v1/completions"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """What to send, and what the workload knows of it.

    `content` is the new user message of a chat, or a prompt as text or as token ids. The turns of a
    session are sent in order, each when the answer before it is here (and `think_s` has passed),
    with all that was said before in front of it.
    """

    kind: Kind = "chat"
    content: str | tuple[int, ...]
    system: str | None = None
    max_tokens: int | None = None
    exact_output: bool = False
    """The answer has `max_tokens` tokens: end-of-text is ignored where the engine can do that."""

    input_tokens: int | None = None
    """As the model's tokenizer counts `content`; the truth is the server's usage."""

    group: str = ""
    """What the report tells apart, such as short and long answers; empty is no group."""

    session: str | None = None
    turn: int = 0
    think_s: float = 0.0
    at_s: float | None = None
    """When a trace has it, from its first request."""

    fields: Mapping[str, Any] = field(default_factory=dict)
    """Others of the wire, such as temperature."""

    def body(self, model: str, history: tuple[Mapping[str, str], ...] = ()) -> bytes:
        """`history` are the earlier messages of the session, in the wire's shape."""
        tree: dict[str, Any] = {"model": model, "stream": True}
        tree["stream_options"] = {"include_usage": True}
        if self.max_tokens is not None:
            tree["max_tokens"] = self.max_tokens
        if self.exact_output:
            tree["ignore_eos"] = True
        if self.kind == "chat":
            system = [{"role": "system", "content": self.system}] if self.system else []
            tree["messages"] = [*system, *history, {"role": "user", "content": self.content}]
        else:
            tree["prompt"] = self.content
        return msgspec.json.encode({**tree, **self.fields})
