"""What llama.cpp refuses, in our own terms; its log, down to the lines that matter."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from adapters.gguf_lora import write
from pilotlight.engines.base import ModelJob
from pilotlight.engines.llamacpp.failure import meaning, start_error
from pilotlight.engines.llamacpp.refusals import translate
from pilotlight.engines.llamacpp.wheel import WheelEngine
from pilotlight.errors import (
    CapacityError,
    ContextTooLongError,
    EngineError,
    EngineStartError,
    PilotlightError,
    RequestError,
    UnsupportedParameterError,
)
from pilotlight.fleet.local import LocalFleet
from pilotlight.machine import Machine


def refusal(status: int, **error: object) -> PilotlightError:
    return translate(status, json.dumps({"error": {"code": status, **error}}).encode())


def test_an_overflow_names_both_numbers_and_the_next_step() -> None:
    error = refusal(
        400,
        message="request (5123 tokens) exceeds the available context size (4096 tokens)",
        type="exceed_context_size_error",
        n_prompt_tokens=5123,
        n_ctx=4096,
    )
    assert isinstance(error, ContextTooLongError)
    assert "5123" in error.message
    assert "4096" in error.message
    assert "context" in str(error.hint)


def test_an_overflow_without_its_fields_is_read_from_its_words() -> None:
    error = refusal(
        400,
        message="input (9 tokens) is larger than the max context size (8 tokens). skipping",
        type="exceed_context_size_error",
        n_prompt_tokens=0,
        n_ctx=0,
    )
    assert error.message == "the prompt has 9 tokens and the model's context 8"


def test_a_bad_field_is_named() -> None:
    error = refusal(400, message="Field 'top_k': must be number", type="invalid_request_error")
    assert isinstance(error, RequestError)
    assert error.param == "top_k"


@pytest.mark.parametrize(
    ("status", "kind", "message", "expected", "wire"),
    [
        (400, "invalid_request_error", "bad grammar", RequestError, 400),
        (501, "not_supported_error", "no embeddings", UnsupportedParameterError, 400),
        (500, "server_error", "image input is not supported", UnsupportedParameterError, 400),
        (500, "server_error", "input is too large to process", ContextTooLongError, 400),
        (500, "server_error", "Context size has been exceeded.", ContextTooLongError, 400),
        (500, "server_error", "got exception: boom", EngineError, 502),
        (503, "unavailable_error", "Loading model", CapacityError, 503),
        (401, "authentication_error", "Invalid API Key", EngineError, 502),
    ],
)
def test_each_type_has_its_error(
    status: int, kind: str, message: str, expected: type[PilotlightError], wire: int
) -> None:
    error = refusal(status, message=message, type=kind)
    assert type(error) is expected
    assert error.status == wire
    assert message in error.message


@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b'{"error": 3}', b'{"error": null}', b"7"])
def test_any_body_has_an_error(body: bytes) -> None:
    assert type(translate(404, body)) is RequestError
    assert type(translate(500, body)) is EngineError


LOG = """0.00.000.303 I srv          init: initializing ...
0.00.007.232 I srv    load_model: loading model 'bad.gguf'
0.00.006.857 E gguf_init_from_reader: invalid magic characters: '????', expected 'GGUF'
0.00.006.957 E llama_model_load: error loading model: failed to load model from bad.gguf
0.00.006.959 E llama_model_load_from_file_impl: failed to load model
0.00.006.960 E cmn  common_init_: failed to load model 'bad.gguf'
0.00.006.962 I srv    operator(): operator(): cleaning up before exit...
0.00.007.162 E srv          init: exiting due to model loading error"""


def test_the_cause_is_found_among_the_echoes() -> None:
    words = meaning(" | ".join(LOG.splitlines()))
    assert words.startswith("gguf_init_from_reader: invalid magic characters")
    assert "exiting due to" not in words
    assert "initializing" not in words
    assert "load_model_from_file_impl" not in words


def test_a_broken_assertion_is_a_cause() -> None:
    log = "0.00.000.303 I srv init: hello | ggml.c:7: GGML_ASSERT(a > b) failed | more"
    assert meaning(log) == "ggml.c:7: GGML_ASSERT(a > b) failed"


def test_a_log_without_errors_gives_its_last_line() -> None:
    assert meaning("one | two") == "two"
    assert meaning("") == ""


class Ended:
    """A process that is gone, and the end of its log."""

    def __init__(self, *lines: str) -> None:
        self._lines = lines

    def last_words(self, lines: int = 5) -> str:
        return " | ".join(self._lines[-lines:])


@pytest.mark.parametrize(
    ("line", "how", "hint"),
    [
        (
            "0.00.053.907 E ggml_backend_cpu_buffer_type_alloc_buffer: failed to allocate buffer "
            "of size 94371840000",
            "could not load",
            "lower the options context or parallel",
        ),
        (
            "terminate called after throwing an instance of 'std::bad_alloc'",
            "signal SIGABRT",
            "lower",
        ),
        ("loading", "the engine ended: signal SIGKILL", "want of memory"),
        (
            "0.00.010.000 E CUDA error: out of memory",
            "the engine ended: signal SIGABRT",
            "lower the options context or parallel",
        ),
    ],
)
async def test_a_load_out_of_memory_says_what_would_be_less(line: str, how: str, hint: str) -> None:
    process: Any = Ended("0.00.000.001 I starting", line)
    error = await start_error(process, "m", how)
    assert "'m' failed to load" in error.message
    assert how in error.last_words
    assert hint in str(error.hint)


async def test_a_wheel_for_another_python_says_how_to_have_the_right_one(
    tmp_path: Path, fleet: LocalFleet, machine: Machine
) -> None:
    site = tmp_path / "site"
    (site / "xllamacpp").mkdir(parents=True)
    (site / "xllamacpp" / "__init__.py").write_text(
        "raise ImportError('xllamacpp.so: undefined symbol: PyUnicode_New')"
    )
    engine = WheelEngine("1", site, machine, lambda: False)
    model = write(tmp_path / "m.gguf", {"general.architecture": "llama"}, {})
    job = ModelJob("m", model, engine.options({"context": 512}))
    process = await fleet.launch(engine.command(fleet.seat("m-1"), job))
    with pytest.raises(EngineStartError) as caught:
        await engine.load(process, job)
    assert "undefined symbol" in caught.value.last_words
    assert "--force-reinstall" in str(caught.value.hint)
    await process.stop()
