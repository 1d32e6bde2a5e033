"""The official clients raise their own exceptions for our errors."""

from __future__ import annotations

import json
from collections.abc import Callable

import anthropic
import httpx
import httpx2
import ollama
import openai
import pytest

from pilotlight.core import Operation, Surface
from pilotlight.errors import (
    BodyTooLargeError,
    ContextTooLongError,
    DoesNotFitError,
    EngineCrashedError,
    EngineStalledError,
    FieldError,
    ForbiddenError,
    HoldExceededError,
    PilotlightError,
    QueueFullError,
    UnauthorizedError,
    UnknownModelError,
)
from pilotlight.gateway.wire.errors import event, render

ID = "req_7"
CHAT = Operation.CHAT

OPENAI = [
    (FieldError("n", 0, "more"), openai.BadRequestError),
    (UnauthorizedError("no key"), openai.AuthenticationError),
    (ForbiddenError("not yours"), openai.PermissionDeniedError),
    (UnknownModelError("no such model"), openai.NotFoundError),
    (QueueFullError("full", retry_after_s=1.2), openai.RateLimitError),
    (HoldExceededError("loading", retry_after_s=9), openai.InternalServerError),
    (EngineCrashedError("crashed"), openai.InternalServerError),
]


def openai_client(answer: Callable[[httpx2.Request], httpx2.Response]) -> openai.OpenAI:
    client = httpx2.Client(transport=httpx2.MockTransport(answer))
    return openai.OpenAI(api_key="k", base_url="http://t/v1", max_retries=0, http_client=client)


def anthropic_client(answer: Callable[[httpx2.Request], httpx2.Response]) -> anthropic.Anthropic:
    client = httpx2.Client(transport=httpx2.MockTransport(answer))
    return anthropic.Anthropic(api_key="k", base_url="http://t", max_retries=0, http_client=client)


def answered(surface: Surface, error: PilotlightError) -> Callable[[object], httpx2.Response]:
    rendered = render(surface, error, ID)
    headers = [("content-type", "application/json"), *rendered.headers]
    return lambda _: httpx2.Response(rendered.status, headers=headers, content=rendered.body)


def streamed(body: bytes) -> Callable[[object], httpx2.Response]:
    headers = {"content-type": "text/event-stream"}
    return lambda _: httpx2.Response(200, headers=headers, content=body)


@pytest.mark.parametrize(("error", "expected"), OPENAI)
def test_openai_client(error: PilotlightError, expected: type[openai.APIStatusError]) -> None:
    client = openai_client(answered(Surface.OPENAI, error))
    with client, pytest.raises(expected) as caught:
        client.chat.completions.create(model="m", messages=[{"role": "user", "content": "x"}])
    assert caught.value.code == error.code
    assert error.message in str(caught.value)
    assert caught.value.param == getattr(error, "param", None)


@pytest.mark.parametrize(
    ("error", "expected", "kind"),
    [
        (FieldError("n", 0, "more"), anthropic.BadRequestError, "invalid_request_error"),
        (UnauthorizedError("no"), anthropic.AuthenticationError, "authentication_error"),
        (ForbiddenError("no"), anthropic.PermissionDeniedError, "permission_error"),
        (UnknownModelError("no"), anthropic.NotFoundError, "not_found_error"),
        (BodyTooLargeError("no"), anthropic.APIStatusError, "request_too_large"),
        (QueueFullError("full"), anthropic.RateLimitError, "rate_limit_error"),
        (HoldExceededError("loading"), anthropic.InternalServerError, "overloaded_error"),
        (EngineStalledError("stuck"), anthropic.InternalServerError, "timeout_error"),
        (DoesNotFitError("big"), anthropic.InternalServerError, "api_error"),
        (EngineCrashedError("gone"), anthropic.InternalServerError, "api_error"),
    ],
)
def test_anthropic_client(
    error: PilotlightError, expected: type[anthropic.APIStatusError], kind: str
) -> None:
    client = anthropic_client(answered(Surface.ANTHROPIC, error))
    with client, pytest.raises(expected) as caught:
        client.messages.create(model="m", max_tokens=1, messages=[{"role": "user", "content": "x"}])
    assert caught.value.request_id == ID
    assert caught.value.body == {
        "type": "error",
        "error": {"type": kind, "message": error.message},
        "request_id": ID,
    }


@pytest.mark.parametrize("error", [UnknownModelError("no such model"), QueueFullError("full")])
def test_ollama_client(error: PilotlightError) -> None:
    rendered = render(Surface.OLLAMA, error, ID)
    transport = httpx.MockTransport(
        lambda _: httpx.Response(rendered.status, content=rendered.body)
    )
    client = ollama.Client(host="http://t", transport=transport)
    with client, pytest.raises(ollama.ResponseError) as caught:
        client.chat(model="m", messages=[])
    assert caught.value.error == error.message
    assert caught.value.status_code == error.status


@pytest.mark.parametrize("surface", list(Surface))
def test_the_next_step_travels_along(surface: Surface) -> None:
    error = ContextTooLongError("5031 tokens are over the context of 2048", hint="send less")
    assert b"over the context of 2048; send less" in render(surface, error, ID).body


@pytest.mark.parametrize(("seconds", "header"), [(0.0, "1"), (1.01, "2"), (30, "30"), (None, None)])
@pytest.mark.parametrize("surface", list(Surface))
def test_retry_after_is_whole_seconds_or_absent(
    surface: Surface, seconds: float | None, header: str | None
) -> None:
    error = HoldExceededError("loading", retry_after_s=seconds)
    assert dict(render(surface, error, ID).headers).get("retry-after") == header


def test_an_error_ends_a_chat_stream(recorded: Callable[[str], bytes]) -> None:
    half = recorded("chat.sse")[:1000].rpartition(b"\n\n")[0] + b"\n\n"
    error = EngineCrashedError("the engine ended with work in hand")
    client = openai_client(streamed(half + event(Surface.OPENAI, CHAT, error, ID)))
    with client, pytest.raises(openai.APIError, match="work in hand") as caught:
        list(client.chat.completions.create(model="m", messages=[], stream=True))
    assert caught.value.code == "engine_crashed"


def test_an_error_ends_a_responses_stream() -> None:
    error = EngineCrashedError("the engine ended with work in hand")
    body = event(Surface.OPENAI, Operation.RESPONSES, error, ID, sequence=4)
    fields = json.loads(body.partition(b"data: ")[2])
    assert body.startswith(b"event: error\n")
    assert (fields["type"], fields["sequence_number"]) == ("error", 4)
    assert (fields["code"], fields["message"]) == ("engine_crashed", error.message)
    client = openai_client(streamed(body))
    with client, pytest.raises(openai.APIError, match="work in hand"):
        list(client.responses.create(model="m", input="x", stream=True))


def test_an_error_ends_a_messages_stream(recorded: Callable[[str], bytes]) -> None:
    half = recorded("messages.sse")[:700].rpartition(b"\n\n")[0] + b"\n\n"
    error = EngineCrashedError("the engine ended with work in hand")
    client = anthropic_client(
        streamed(half + event(Surface.ANTHROPIC, Operation.MESSAGES, error, ID))
    )
    with client, pytest.raises(anthropic.APIStatusError, match="work in hand"):
        list(client.messages.create(model="m", max_tokens=1, messages=[], stream=True))


def test_an_error_ends_an_ollama_stream() -> None:
    line = b'{"message":{"role":"assistant","content":"a"},"done":false}\n'
    error = EngineCrashedError("the engine ended with work in hand")
    body = line + event(Surface.OLLAMA, CHAT, error, ID)
    transport = httpx.MockTransport(lambda _: httpx.Response(200, content=body))
    with ollama.Client(host="http://t", transport=transport) as client:
        parts = client.chat(model="m", messages=[], stream=True)
        assert next(parts).message.content == "a"
        with pytest.raises(ollama.ResponseError, match="work in hand"):
            next(parts)
