"""What the fake engine declares and refuses."""

from __future__ import annotations

from typing import Any

import pytest

from pilotlight.config import EngineSettings
from pilotlight.core import Operation
from pilotlight.engines.base import Engine
from pilotlight.engines.registry import FACTORIES, Engines
from pilotlight.errors import (
    CapacityError,
    ContextTooLongError,
    EngineError,
    EngineOptionError,
    PilotlightError,
    RequestError,
)
from pilotlight.machine import Machine
from pilotlight.testing import FACTORY, FakeEngine, FakeFleet, FakeOptions, fake_files

ENGINE: Engine = FakeEngine()
MACHINE = Machine("made up", 2, 2**30, (), frozenset())


def test_the_registry_takes_it() -> None:
    engines = Engines(EngineSettings(), MACHINE, {**FACTORIES, "fake": FACTORY})
    assert engines.get("fake").name == "fake"


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"paralel": 2}, "did you mean 'parallel'"),
        ({"zebra": 2}, "use one of parallel, context"),
        ({"parallel": 0}, "expected at least 1"),
        ({"parallel": True}, "expected a whole number"),
        ({"context": "many"}, "'many', expected a whole number"),
        ({"token_delay_ms": -1}, "expected a number of milliseconds"),
        ({"sleep": 1}, "expected true or false"),
        ({"fail_load": 1}, "expected a text or null"),
        ({"crash_after": -1}, "expected a whole number or null"),
    ],
)
def test_a_wrong_option_is_named(given: dict[str, Any], told: str) -> None:
    with pytest.raises(EngineOptionError) as caught:
        ENGINE.options(given)
    assert told in str(caught.value)


def test_options_travel_as_json_and_come_back() -> None:
    options = FakeOptions(parallel=2, fail_load="no", token_delay_ms=1.5, sleep=False)
    assert FakeOptions.parse(options.as_json()) == options
    assert FakeOptions().as_json() == {}


def test_what_it_declares() -> None:
    files = fake_files("m")
    options = ENGINE.options({"parallel": 3, "context": 99, "ram_bytes": 7, "vision": True})
    assert ENGINE.slots(options) == 3
    assert ENGINE.context(files, options) == 99
    assert ENGINE.predict(files, options).ram_bytes == 7
    capabilities = ENGINE.capabilities(files, options)
    assert capabilities.vision
    assert Operation.RESPONSES not in capabilities.operations
    with pytest.raises(EngineError, match="translate it"):
        ENGINE.endpoint(Operation.RESPONSES)


def test_a_standby_and_a_job_are_the_same_program() -> None:
    seat = FakeFleet().seat("r1")
    assert ENGINE.command(seat, None).argv == ENGINE.command(seat, None).argv
    assert ENGINE.command(seat, None).channel


@pytest.mark.parametrize(
    ("status", "body", "expected"),
    [
        (
            400,
            b'{"error": {"code": 400, "message": "m", "type": "exceed_context_size_error",'
            b' "n_prompt_tokens": 9, "n_ctx": 8}}',
            ContextTooLongError,
        ),
        (400, b'{"error": {"message": "bad n", "type": "invalid_request_error"}}', RequestError),
        (501, b'{"error": {"message": "no images", "type": "x"}}', RequestError),
        (401, b'{"error": {"message": "Invalid API Key", "type": "x"}}', EngineError),
        (503, b'{"error": {"message": "loading", "type": "x"}}', CapacityError),
        (500, b'{"error": {"message": "broken", "type": "x"}}', EngineError),
        (500, b"<html>", EngineError),
        (500, b"[]", EngineError),
    ],
)
def test_its_errors_in_our_terms(status: int, body: bytes, expected: type[PilotlightError]) -> None:
    error = ENGINE.error(status, body)
    assert type(error) is expected
