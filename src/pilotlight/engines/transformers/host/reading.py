"""A request's body as what the model is asked for; what isn't honoured is refused by name."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from .constraint import Constraint, Constraints
from .loading import Loaded
from .refusal import Refusal, too_long, unsupported, wrong
from .sampling import Sampling

_TOKENS = frozenset({
    "temperature", "top_k", "top_p", "min_p", "typical_p", "repetition_penalty",
    "frequency_penalty", "presence_penalty", "logit_bias", "seed", "min_tokens",
})  # fmt: skip
_ANSWER = frozenset({
    "model", "stream", "stream_options", "max_tokens", "n", "stop", "stop_token_ids", "ignore_eos",
    "logprobs",
})  # fmt: skip
_GENERATE = _TOKENS | _ANSWER
COMPLETIONS = _GENERATE | {"prompt"}
CHAT = _GENERATE | {
    "messages", "max_completion_tokens", "top_logprobs", "response_format", "tools", "tool_choice",
    "chat_template_kwargs", "add_generation_prompt", "continue_final_message",
}  # fmt: skip
EMBEDDINGS = frozenset({"model", "input", "encoding_format"})
TOKENIZE = frozenset({"model", "content", "add_special", "parse_special", "with_pieces"})
DETOKENIZE = frozenset({"model", "tokens"})


@dataclass(frozen=True)
class Asked:
    """What is the same for all answers of one request."""

    sampling: Sampling
    limit: int | None
    count: int
    stop: tuple[str, ...]
    ends: tuple[int, ...]
    stream: bool
    counts_stream: bool

    def seed(self, index: int) -> int | None:
        """Answers of one request differ, and the first is the one that `n` = 1 gives."""
        return None if self.sampling.seed is None else self.sampling.seed + index


def reject_unknown(body: dict[str, Any], known: frozenset[str]) -> None:
    for name in body:
        if name not in known:
            raise unsupported(name, f"{name!r} is not honoured by transformers", "leave it out")


def read(loaded: Loaded, body: dict[str, Any], logprobs: int | None) -> Asked:
    given = {name: value for name, value in body.items() if value is not None}
    try:
        return _read(loaded, {**loaded.defaults, **given}, logprobs)
    except (TypeError, ValueError, AttributeError) as error:
        raise Refusal(f"a field has a wrong type: {error}") from None


def _read(loaded: Loaded, given: dict[str, Any], logprobs: int | None) -> Asked:
    chosen = {name: given[name] for name in _TOKENS & given.keys()}
    bias = {_token(loaded, key): float(v) for key, v in given.get("logit_bias", {}).items()}
    limit = given.get("max_completion_tokens", given.get("max_tokens"))
    stop = given.get("stop", ())
    ends = () if given.get("ignore_eos") else loaded.ends
    return Asked(
        sampling=Sampling(**{**chosen, "logit_bias": bias, "logprobs": logprobs}),
        limit=None if limit is None else int(limit),
        count=int(given.get("n", 1)),
        stop=(stop,) if isinstance(stop, str) else tuple(stop),
        ends=(*ends, *given.get("stop_token_ids", ())),
        stream=bool(given.get("stream")),
        counts_stream=bool((given.get("stream_options") or {}).get("include_usage")),
    )


def _token(loaded: Loaded, key: Any) -> int:
    token = int(key)
    if not 0 <= token < loaded.vocabulary:
        raise wrong("logit_bias", key, f"tokens from 0 to {loaded.vocabulary - 1}")
    return token


def limit_of(asked: Asked, prompt: list[int], context: int) -> int:
    """Tokens that the answer may have. Raises Refusal when the prompt leaves room for none."""
    if not prompt:
        raise Refusal("the prompt has no tokens", param="prompt")
    room = context - len(prompt)
    if room < 1:
        raise too_long(len(prompt), context)
    return room if asked.limit is None else min(asked.limit, room)


def shape_of(constraints: Constraints, body: dict[str, Any]) -> Callable[[], Constraint | None]:
    """What holds each answer to the shape that ``response_format`` asks for."""
    wanted = body.get("response_format") or {"type": "text"}
    kind = wanted.get("type")
    if kind == "text":
        return lambda: None
    if kind == "json_schema":
        schema = wanted["json_schema"]["schema"]
    elif kind == "json_object":
        schema = wanted.get("schema") or {"type": "object"}
    else:
        raise wrong("response_format.type", kind, "'text', 'json_object' or 'json_schema'")
    return lambda: constraints.schema(schema, "response_format")
