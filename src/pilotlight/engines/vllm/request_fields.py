"""Request fields of vLLM's own that it truly honours, by operation.

From its protocol classes (vllm/entrypoints/openai/*/protocol.py, pooling/*/protocol.py).
Left out are those that reach past the request (``request_id``, ``kv_transfer_params``,
``session_id``, ``vllm_xargs``), that only its render endpoints answer to, and a
``chat_template`` of the client's, which is code.
"""

from __future__ import annotations

from collections.abc import Mapping

from pilotlight.core import Operation
from pilotlight.engines.vllm.options import Options
from pilotlight.store.checkpoint import Checkpoint

_SAMPLING = frozenset({
    "top_k", "min_p", "repetition_penalty", "min_tokens", "ignore_eos", "stop_token_ids",
    "include_stop_str_in_output", "allowed_token_ids", "bad_words", "use_beam_search",
    "length_penalty", "repetition_detection", "structured_outputs",
})  # fmt: skip
_ANSWER = frozenset({
    "skip_special_tokens", "spaces_between_special_tokens", "prompt_logprobs", "logprob_token_ids",
    "return_tokens_as_token_ids", "return_token_ids", "stream_interval",
})  # fmt: skip
_PROMPT = frozenset({
    "add_special_tokens", "truncate_prompt_tokens", "truncation_side", "cache_salt", "echo",
})  # fmt: skip
_TEMPLATE = frozenset({
    "add_generation_prompt", "continue_final_message", "documents", "chat_template_kwargs",
    "return_prompt_text",
})  # fmt: skip
_THOUGHTS = frozenset({"reasoning_effort", "include_reasoning", "thinking_token_budget"})
_POOLING = frozenset({"truncate_prompt_tokens", "truncation_side", "use_activation", "cache_salt"})

LACKS: Mapping[Operation, frozenset[str]] = {
    # Its tokenizer always reads special tokens as such, and has no pieces to show.
    Operation.TOKENIZE: frozenset({"parse_special", "with_pieces"}),
}


def parameters(options: Options, checkpoint: Checkpoint) -> Mapping[Operation, frozenset[str]]:
    generate = _SAMPLING | _ANSWER | _PROMPT
    if options.scheduling_policy == "priority":
        generate |= {"priority"}
    return {
        Operation.CHAT: generate | _TEMPLATE | _of_chat(options, checkpoint),
        Operation.COMPLETIONS: generate | {"response_format"},
        Operation.COUNT_TOKENS: frozenset({"chat_template_kwargs"}),
        Operation.EMBEDDINGS: _POOLING | _of_embeddings(checkpoint),
        Operation.RERANK: _POOLING,
    }


def _of_chat(options: Options, checkpoint: Checkpoint) -> frozenset[str]:
    found: frozenset[str] = frozenset()
    if options.reasoning_parser:
        found |= _THOUGHTS
    if options.tool_call_parser:
        found |= {"parallel_tool_calls", "tool_choice.function"}
    if is_multimodal(checkpoint):
        found |= {"mm_processor_kwargs"}
        if options.allowed_media_domains:
            found |= {"image_url.remote"}
    return found


def is_multimodal(checkpoint: Checkpoint) -> bool:
    return isinstance(checkpoint.config.get("vision_config"), dict)


def _of_embeddings(checkpoint: Checkpoint) -> frozenset[str]:
    """Only a model trained for it (Matryoshka) can be asked for fewer dimensions."""
    config = checkpoint.config
    able = config.get("is_matryoshka") or config.get("matryoshka_dimensions")
    return frozenset({"dimensions"}) if able else frozenset()
