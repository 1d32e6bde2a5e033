"""OpenAI's responses over an engine that speaks chat.

Nothing is stored: `previous_response_id` and its like are refused by the
request's table, so an answer depends on its own input alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pilotlight.core import Capabilities, Operation
from pilotlight.gateway.translate.answer import chat_answer, chat_delta
from pilotlight.gateway.translate.base import Context, Translation
from pilotlight.gateway.translate.responses_object import items, response
from pilotlight.gateway.translate.responses_request import chat_body
from pilotlight.gateway.translate.responses_stream import ResponsesWriter


def responses(body: Mapping[str, Any], capabilities: Capabilities, context: Context) -> Translation:
    created_at = int(context.now().timestamp())

    def respond(payload: Mapping[str, Any]) -> Mapping[str, Any]:
        answer = chat_answer(payload)
        output = items(answer, context)
        return response(body, context, created_at, output, answer.finish, answer.closing)

    return Translation(
        operation=Operation.CHAT,
        request=chat_body(body, context.model, capabilities),
        respond=respond,
        read=chat_delta,
        writer=lambda: ResponsesWriter(body, context, created_at),
        streams=bool(body.get("stream")),
    )
