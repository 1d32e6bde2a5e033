"""The host's errors as ours, and a failed load's words with the next step."""

from __future__ import annotations

import json

import pytest

from pilotlight.engines.transformers import TransformersEngine, failure
from pilotlight.engines.transformers.host.refusal import Refusal, too_long, unsupported, wrong
from pilotlight.errors import (
    CapacityError,
    ContextTooLongError,
    EngineError,
    PilotlightError,
    RequestError,
    UnsupportedParameterError,
)


def translated(engine: TransformersEngine, refusal: Refusal) -> PilotlightError:
    return engine.error(refusal.status, json.dumps(refusal.as_json()).encode())


def test_a_context_overflow_has_both_numbers(engine: TransformersEngine) -> None:
    error = translated(engine, too_long(5000, 4096))
    assert isinstance(error, ContextTooLongError)
    assert "5000" in error.message
    assert "4096" in error.message
    assert "context" in (error.hint or "")
    assert "input" in (translated(engine, too_long(600, 512, "input")).hint or "")


def test_a_wrong_value_has_its_field(engine: TransformersEngine) -> None:
    error = translated(engine, wrong("messages[0]", 7, "an object"))
    assert type(error) is RequestError
    assert error.param == "messages[0]"
    assert "7" in error.message


def test_what_is_not_honoured_has_its_field_and_the_next_step(engine: TransformersEngine) -> None:
    error = translated(engine, unsupported("mirostat", "no mirostat here", "leave it out"))
    assert isinstance(error, UnsupportedParameterError)
    assert (error.param, error.hint) == ("mirostat", "leave it out")


@pytest.mark.parametrize(
    ("kind", "status", "expected"),
    [("out_of_memory", 503, CapacityError), ("secret_refused", 401, EngineError),
     ("engine", 500, EngineError), ("unheard_of", 400, RequestError)],
)  # fmt: skip
def test_the_other_kinds(
    kind: str, status: int, expected: type[PilotlightError], engine: TransformersEngine
) -> None:
    assert type(translated(engine, Refusal("why", kind=kind, status=status))) is expected


@pytest.mark.parametrize(
    "body", [b"", b"<html>", b"[]", b'{"error": 3}', b'{"error": {}}', b"\xff"]
)
def test_any_body_has_an_error(body: bytes, engine: TransformersEngine) -> None:
    assert isinstance(engine.error(500, body), EngineError)
    assert isinstance(engine.error(400, body), RequestError)


@pytest.mark.parametrize(
    ("words", "step"),
    [
        ("ValueError: does not recognize this architecture 'new'", "engines install transformers"),
        ("ValueError: pass the argument `trust_remote_code=True`", "trust_remote_code: true"),
        ("AssertionError: Torch not compiled with CUDA enabled", "engines install transformers"),
        ("OutOfMemoryError: CUDA out of memory. Tried", "context"),
        ("the engine ended: signal SIGKILL", "memory"),
        ("ValueError: the checkpoint in 'm' lacks weights: a …", "fetch"),
    ],
)
def test_a_failed_load_names_the_next_step(words: str, step: str) -> None:
    error = failure.start_error("m", words + " x" * 900)
    assert words.split(":")[1].strip()[:20] in error.last_words
    assert len(error.last_words) <= 600
    assert step in (error.hint or "")
    assert failure.start_error("m", "nobody knows").hint is None
