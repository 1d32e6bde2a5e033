"""A request that can't be served, as the engine's side of the product reads it."""

from __future__ import annotations

from typing import Any


class Refusal(Exception):
    """`kind` is what `refusals.translate` on the other side knows; `facts` are its numbers."""

    def __init__(
        self, message: str, *, kind: str = "invalid_request", status: int = 400, **facts: Any
    ) -> None:
        super().__init__(message)
        self.kind = kind
        self.status = status
        self.facts = facts

    def as_json(self) -> dict[str, Any]:
        return {"error": {"message": str(self), "type": self.kind, **self.facts}}


def too_long(tokens: int, context: int, what: str = "prompt") -> Refusal:
    message = f"the {what} has {tokens} tokens and the model's context {context}"
    return Refusal(message, kind="context_too_long", tokens=tokens, context=context, what=what)


def unsupported(param: str, why: str, hint: str) -> Refusal:
    return Refusal(why, kind="unsupported", param=param, hint=hint)


def wrong(param: str, value: Any, expected: str) -> Refusal:
    return Refusal(f"{param!r} is {value!r:.80}, expected {expected}", param=param)
