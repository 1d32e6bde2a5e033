"""How an answer ends: whole, with an error as its last event, or with an error in its place."""

from __future__ import annotations

import logging

from pilotlight.core import Operation, Surface
from pilotlight.errors import AnswerTooLargeError, PilotlightError, RuntimeApiError
from pilotlight.gateway.wire.errors import event, render
from pilotlight.instance.lambda_answer import Answer
from pilotlight.instance.lambda_exchange import Exchange

log = logging.getLogger(__name__)


async def conclude(
    answer: Answer, exchange: Exchange, path: str, error: PilotlightError | None, id: str
) -> None:
    """`error` is what kept the gateway from ending it, or what its stream ended in."""
    if isinstance(error, RuntimeApiError):
        answer.abort()
        raise error
    if exchange.complete:
        try:
            await answer.end(error)
            return
        except AnswerTooLargeError as too_large:
            error = too_large
    assert error is not None
    log.warning("invocation %s: %s", id, error.one_line())
    if not answer.committed:
        await instead(answer, path, error, id)
        return
    if exchange.open_ended:
        surface, operation = _spoken(path)
        await answer.write(event(surface, operation, error, id))
    await answer.end(error)


async def instead(answer: Answer, path: str, error: PilotlightError, id: str) -> None:
    """The error is the whole answer, in the shape of the API that `path` belongs to."""
    surface, _ = _spoken(path)
    rendered = render(surface, error, id)
    headers = [("content-type", "application/json"), ("x-request-id", id), *rendered.headers]
    await answer.begin(
        rendered.status, [(name.encode(), value.encode("latin-1")) for name, value in headers]
    )
    await answer.write(rendered.body)
    await answer.end()


def _spoken(path: str) -> tuple[Surface, Operation]:
    """As far as the shape of errors differs by it."""
    if path.startswith("/api/"):
        return Surface.OLLAMA, Operation.CHAT
    if path.startswith("/v1/messages"):
        return Surface.ANTHROPIC, Operation.MESSAGES
    return Surface.OPENAI, Operation.RESPONSES if path == "/v1/responses" else Operation.CHAT
