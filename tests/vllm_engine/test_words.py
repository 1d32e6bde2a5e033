"""vLLM's own words in ours: why it didn't start, what it refused, how far it came."""

from __future__ import annotations

import json
from typing import Any

import pytest

from pilotlight.engines.vllm import VllmEngine, failure, progress
from pilotlight.errors import (
    CapacityError,
    ContextTooLongError,
    EngineError,
    PilotlightError,
    RequestError,
    UnsupportedParameterError,
)

CORE = "(EngineCore pid=13671) ERROR 11-20 07:22:21 [core.py:1510] "
ECHO = (
    "RuntimeError: Engine core initialization failed. See root cause above. Failed core proc(s): {}"
)

# Cut from the logs of vLLM 0.32.0; each failed start ends with more than one traceback.
STARTS: dict[str, tuple[list[str], str, str]] = {
    "memory": (
        [
            f"{CORE}    raise ValueError(",
            f"{CORE}ValueError: Available memory on node 0 (9.41/11.96 GiB) on kv cache allocation "
            "is less than requested memory for kv (55.88 GiB). Decrease --kv-cache-memory-bytes.",
            "Process EngineCore:",
            "Traceback (most recent call last):",
            "ValueError: Available memory on node 0 (9.41/11.96 GiB) on kv cache allocation",
            ECHO,
        ],
        "requested memory for kv (55.88 GiB)",
        "lower kv_cache_memory_bytes",
    ),
    "cache": (
        [
            f"{CORE}ValueError: To serve at least one request with the model's max seq len (8192), "
            "(0.18 GiB KV cache is needed, which is larger than the available KV cache memory",
            ECHO,
        ],
        "To serve at least one request",
        "lower max_model_len",
    ),
    "context": (
        [
            "Traceback (most recent call last):",
            "pydantic_core._pydantic_core.ValidationError: 1 validation error for ModelConfig",
            "Value error, User-specified max_model_len (100000) is greater than the derived "
            "max_model_len (max_position_embeddings=8192.0). [type=value_error, input_value=Args",
            "For further information visit https://errors.pydantic.dev/2.14/v/value_error",
        ],
        "User-specified max_model_len (100000)",
        "what the model was made for",
    ),
    "architecture": (
        [
            "(APIServer pid=1) ERROR 11-20 07:23:12 [repo_utils.py:126] Error parsing config",
            "pydantic_core._pydantic_core.ValidationError: 1 validation error for ModelConfig",
            "Value error, The checkpoint you are trying to load has model type `alien` but "
            "Transformers does not recognize this architecture.",
        ],
        "model type `alien`",
        "too old",
    ),
    "usage": (
        ["usage: host.py [-h]", "host.py: error: argument --dtype: invalid choice: 'potato'"],
        "argument --dtype: invalid choice: 'potato'",
        "",
    ),
    "parser": (
        [
            "    raise KeyError(",
            "KeyError: 'invalid tool call parser: nonesuch (chose from { … })'",
        ],
        "KeyError: 'invalid tool call parser: nonesuch",
        "tool_call_parser",
    ),
    "quantization": (
        [
            "pydantic_core._pydantic_core.ValidationError: 1 validation error for VllmConfig",
            "Value error, Cannot find the config file for awq [type=value_error, input_value=…]",
        ],
        "Cannot find the config file for awq",
        "drop the option quantization",
    ),
    "gpu": (
        [f"{CORE}torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2.00 GiB.", ECHO],
        "OutOfMemoryError: CUDA out of memory",
        "lower the options",
    ),
    "cut": (
        [f"{CORE}safetensors_rust.SafetensorError: incomplete metadata", ECHO],
        "SafetensorError: incomplete metadata",
        "fetch the model again",
    ),
    "python": (
        [
            "Traceback (most recent call last):",
            "ModuleNotFoundError: No module named 'vllm'",
        ],
        "ModuleNotFoundError: No module named 'vllm'",
        "engines install vllm --force",
    ),
    "silent": (["(APIServer pid=1) INFO 11-20 07:23:12 [a.py:1] hello", ""], "hello", ""),
}


@pytest.mark.parametrize("name", STARTS)
def test_a_failed_start_says_why(name: str) -> None:
    lines, words, hint = STARTS[name]
    meaning = failure.meaning(" | ".join(lines))
    assert words in meaning
    assert "[type=" not in meaning
    assert hint in (failure.hint_for(meaning) or "")


def test_a_long_cause_is_cut() -> None:
    assert len(failure.meaning("ValueError: " + "x" * 5000)) == 400


# vLLM 0.32.0's answers.
REFUSALS: list[tuple[int, dict[str, Any] | str, type[PilotlightError], str, str | None]] = [
    (
        400,
        {
            "message": "This model's maximum context length is 1024 tokens. However, your prompt "
            "contains at least 1025 input tokens, which exceeds this limit even without any "
            "output tokens. (parameter=input_tokens, value=1025)",
            "param": "input_tokens",
        },
        ContextTooLongError,
        "the prompt has 1025 tokens or more and the model's context 1024",
        None,
    ),
    (
        400,
        {
            "message": "This model's maximum context length is 1024 tokens. However, you requested "
            "1000 output tokens and your prompt contains at least 31 input tokens"
        },
        ContextTooLongError,
        "1000 output tokens",
        None,
    ),
    (
        400,
        {"message": "max_tokens=2000 cannot be greater than max_model_len=1024. Please request"},
        ContextTooLongError,
        "an answer of 2000 tokens is over the model's context of 1024",
        None,
    ),
    (
        400,
        {"message": '"auto" tool choice requires --enable-auto-tool-choice and --tool-call-parser'},
        UnsupportedParameterError,
        "tool choice",
        None,
    ),
    (
        400,
        {"message": "temperature must be non-negative. (parameter=t, value=-1.0)", "param": "t"},
        RequestError,
        "temperature must be non-negative.",
        "t",
    ),
    (
        400,
        {"message": "1 validation error", "param": "body.prompt"},
        RequestError,
        "1 validation error",
        "prompt",
    ),
    (401, '{"error": "Unauthorized"}', EngineError, "refused the gateway", None),
    (404, '{"detail": "Not Found"}', RequestError, "404", None),
    (429, {"message": "busy"}, CapacityError, "busy", None),
    (500, {"message": "EngineCore encountered an issue."}, EngineError, "EngineCore", None),
    (502, "<html>", EngineError, "<html>", None),
]


@pytest.mark.parametrize(("status", "error", "kind", "words", "param"), REFUSALS)
def test_a_refusal_has_its_own_error(
    engine: VllmEngine,
    status: int,
    error: dict[str, Any] | str,
    kind: type[PilotlightError],
    words: str,
    param: str | None,
) -> None:
    body = error if isinstance(error, str) else json.dumps({"error": error})
    found = engine.error(status, body.encode())
    assert type(found) is kind
    assert words in found.message
    assert getattr(found, "param", None) == param
    assert "parameter=" not in found.message


def test_the_last_phase_is_told() -> None:
    log = "Starting to load model /m... | Loading weights took 0.62 seconds | Warming up model for "
    assert progress.phase(log) == "weights are loaded"
    assert progress.phase(f"{log}the compilation...") == "compiling"
    assert progress.phase("nothing yet") is None


def test_steps_and_tokens_are_progress() -> None:
    metrics = """
# HELP vllm:generation_tokens_total Number of generation tokens processed.
vllm:prompt_tokens_total{engine="0",model_name="m"} 100.0
vllm:prompt_tokens_created{engine="0",model_name="m"} 1.795158661181425e+09
vllm:generation_tokens_total{engine="0",model_name="m"} 30.0
vllm:iteration_tokens_total_count{engine="0",model_name="m"} 12.0
vllm:request_success_total{engine="0",finished_reason="stop",model_name="m"} 1.0
vllm:request_success_total{engine="0",finished_reason="length",model_name="m"} 2.0
"""
    assert progress.steps(metrics) == 145
