"""Request fields that Ollama's OpenAI-compatible API honours, and those of the usual it lacks.

From openai/openai.go of Ollama: what its request structs don't name is dropped in silence.
"""

from __future__ import annotations

from collections.abc import Mapping

from pilotlight.core import Operation

PARAMETERS: Mapping[Operation, frozenset[str]] = {
    Operation.CHAT: frozenset({"reasoning_effort"}),
    Operation.COMPLETIONS: frozenset({"suffix"}),
    Operation.EMBEDDINGS: frozenset({"dimensions"}),
}

LACKS: Mapping[Operation, frozenset[str]] = {
    Operation.CHAT: frozenset({
        "n", "logit_bias", "logprobs", "top_logprobs", "tool_choice", "max_completion_tokens",
    }),
    Operation.COMPLETIONS: frozenset({"n", "logit_bias", "logprobs"}),
}  # fmt: skip
