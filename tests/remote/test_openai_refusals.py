"""Whose fault a remote's refusal is, and whether it passes."""

from __future__ import annotations

import json

import pytest

from pilotlight.engines.openai import refusals
from pilotlight.errors import (
    CapacityError,
    ContextTooLongError,
    EngineRefusedError,
    PilotlightError,
    RateLimitedError,
    RequestError,
)


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (302, EngineRefusedError), (400, RequestError), (401, EngineRefusedError),
        (402, EngineRefusedError), (403, EngineRefusedError), (404, EngineRefusedError),
        (407, EngineRefusedError), (408, CapacityError), (413, RequestError),
        (422, RequestError), (425, CapacityError), (429, RateLimitedError),
        (500, CapacityError), (503, CapacityError), (529, CapacityError),
    ],
)  # fmt: skip
def test_a_status_says_whose_fault_it_is(status: int, kind: type[PilotlightError]) -> None:
    error = refusals.translate(status, b'{"error": {"message": "no"}}')
    assert type(error) is kind
    assert "no" in error.message


@pytest.mark.parametrize(
    "body",
    [b"", b"null", b"[]", b"7", b"{}", b'{"error": null}', b'{"error": {"message": null}}',
     b'{"error": {"message": {"a": 1}, "param": 7, "code": []}}', b"\xff\xfe", b"[" * 100_000,
     b"<html>" + b"x" * 10**6],
    ids=lambda body: repr(body[:20]),
)  # fmt: skip
def test_any_body_has_an_error(body: bytes) -> None:
    for status in (302, 400, 401, 429, 500):
        error = refusals.translate(status, body)
        assert error.message.strip()
        assert len(error.message) < 400
        assert getattr(error, "param", None) is None


def test_a_context_overflow_by_its_code_alone_has_words_of_its_own() -> None:
    body = json.dumps({"error": {"code": "context_length_exceeded"}}).encode()
    error = refusals.translate(400, body)
    assert isinstance(error, ContextTooLongError)
    assert error.message.strip()
