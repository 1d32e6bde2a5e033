"""Request fields beyond the core set that host/ honours, by operation; see host/reading.py."""

from __future__ import annotations

from collections.abc import Mapping

from pilotlight.core import Operation

_GENERATE = frozenset({
    "top_k", "min_p", "typical_p", "repetition_penalty", "min_tokens", "ignore_eos",
    "stop_token_ids",
})  # fmt: skip
_TEMPLATE = frozenset({
    "chat_template_kwargs", "add_generation_prompt", "continue_final_message",
    "tool_choice.function",
})  # fmt: skip

PARAMETERS: Mapping[Operation, frozenset[str]] = {
    Operation.CHAT: _GENERATE | _TEMPLATE | {"response_format.schema"},
    Operation.COMPLETIONS: _GENERATE,
    Operation.EMBEDDINGS: frozenset(),
    Operation.TOKENIZE: frozenset({"add_special", "parse_special", "with_pieces"}),
    Operation.DETOKENIZE: frozenset(),
}
