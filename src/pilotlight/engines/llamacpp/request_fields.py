"""Request fields of llama.cpp's own that it truly honours, by operation.

From tools/server/server-schema.cpp and server-common.cpp. Left out are those
that reach another request's state (``id_slot``, ``lora``), that show what the
server keeps to itself (``verbose``), that llama.cpp uses between its own parts
(``grammar_lazy``, ``chat_parser``, ``generation_prompt``, …) and that only its
native endpoint answers to (``return_tokens``, ``response_fields``).
"""

from __future__ import annotations

from collections.abc import Mapping

from pilotlight.core import Operation

_SAMPLING = frozenset({
    "top_k", "min_p", "top_n_sigma", "typical_p", "xtc_probability", "xtc_threshold",
    "dynatemp_range", "dynatemp_exponent", "repeat_last_n", "repeat_penalty", "dry_multiplier",
    "dry_base", "dry_allowed_length", "dry_penalty_last_n", "dry_sequence_breakers", "mirostat",
    "mirostat_tau", "mirostat_eta", "adaptive_target", "adaptive_decay", "samplers", "min_keep",
    "ignore_eos", "logit_bias",
})  # fmt: skip
_CONSTRAINTS = frozenset({"grammar", "json_schema"})
_ANSWER = frozenset({
    "n_predict", "n_keep", "n_discard", "t_max_predict_ms", "n_indent", "n_probs",
    "post_sampling_probs", "timings_per_token", "return_progress",
})  # fmt: skip
_CACHE = frozenset({"cache_prompt", "n_cache_reuse"})
_TEMPLATE = frozenset({
    "chat_template_kwargs", "reasoning_format", "reasoning_effort", "reasoning_budget_tokens",
    "thinking_budget_tokens", "reasoning_budget_message", "parallel_tool_calls",
    "add_generation_prompt", "continue_final_message",
})  # fmt: skip

_GENERATE = _SAMPLING | _CONSTRAINTS | _ANSWER | _CACHE

PARAMETERS: Mapping[Operation, frozenset[str]] = {
    Operation.CHAT: _GENERATE | _TEMPLATE | {"response_format.schema"},
    Operation.COMPLETIONS: _GENERATE,
    # Anthropic's shape is rebuilt field by field; these pass and nothing else.
    Operation.MESSAGES: frozenset({"top_k", "chat_template_kwargs"}),
    Operation.COUNT_TOKENS: frozenset({"chat_template_kwargs"}),
    Operation.EMBEDDINGS: frozenset({"embd_normalize"}),
    Operation.TOKENIZE: frozenset({"add_special", "parse_special", "with_pieces"}),
    Operation.DETOKENIZE: frozenset(),
    Operation.RERANK: frozenset(),
}
