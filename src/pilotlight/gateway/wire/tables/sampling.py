"""Fields that choose the next token, shared by chat and completions."""

from __future__ import annotations

from typing import Any

from pilotlight.errors import FieldError
from pilotlight.gateway.wire.checks import (
    INT32_MAX,
    anything,
    array,
    boolean,
    integer,
    json_object,
    number,
    one_of,
    shape,
    stop,
    string,
    strings,
)

LOOK_BACK_MAX = 2**20
"""More than any context here; llama.cpp allocates what it is asked to look back on."""

_bias = number(-100, 100)


def _logit_bias(path: str, value: Any) -> None:
    json_object(path, value)
    for token, bias in value.items():
        if not token.lstrip("-").isdigit():
            raise FieldError(f"{path}.{token}", token, "a token id as the key")
        _bias(f"{path}.{token}", bias)


SAMPLING = {
    "max_tokens": integer(1, INT32_MAX),
    "temperature": number(0, 2),
    "top_p": number(0, 1),
    "frequency_penalty": number(-2, 2),
    "presence_penalty": number(-2, 2),
    "seed": integer(),
    "stop": stop,
    "n": integer(1, 128),
    "logit_bias": _logit_bias,
}

# Types of what some engines add; an engine that lists a name not here checks it itself.
EXTRAS = {
    "top_k": integer(-1, INT32_MAX),
    "min_p": number(0, 1),
    "typical_p": number(0, 1),
    "repeat_penalty": number(0, 100),
    "repetition_penalty": number(0, 100),
    "repeat_last_n": integer(0, LOOK_BACK_MAX),
    "mirostat": integer(0, 2),
    "mirostat_tau": number(0),
    "mirostat_eta": number(0),
    "dynatemp_range": number(0),
    "dynatemp_exponent": number(0),
    "xtc_probability": number(0, 1),
    "xtc_threshold": number(0, 1),
    "dry_multiplier": number(0),
    "dry_base": number(0),
    "dry_allowed_length": integer(0, INT32_MAX),
    "dry_penalty_last_n": integer(0, LOOK_BACK_MAX),
    "dry_sequence_breakers": strings,
    "top_n_sigma": number(),
    "min_keep": integer(0, INT32_MAX),
    "min_tokens": integer(0, INT32_MAX),
    "n_predict": integer(-1, INT32_MAX),
    "n_keep": integer(-1, INT32_MAX),
    "n_probs": integer(0, 100),
    "t_max_predict_ms": integer(0, INT32_MAX),
    "ignore_eos": boolean,
    "cache_prompt": boolean,
    "timings_per_token": boolean,
    "return_tokens": boolean,
    "return_progress": boolean,
    "post_sampling_probs": boolean,
    "stop_token_ids": array(integer(0, INT32_MAX)),
    "grammar": string,
    "json_schema": json_object,
    "samplers": anything,
    "lora": array(shape({"id": integer(0), "scale": number()}, "id", "scale")),
    "reasoning_effort": one_of("none", "minimal", "low", "medium", "high", "xhigh", "max"),
    "reasoning_format": one_of("none", "auto", "deepseek", "deepseek-legacy"),
    "reasoning_budget_tokens": integer(-1, INT32_MAX),
    "thinking_budget_tokens": integer(-1, INT32_MAX),
    "chat_template_kwargs": json_object,
    "add_generation_prompt": boolean,
    "continue_final_message": anything,
    "parallel_tool_calls": boolean,
    "response_format": json_object,
}
