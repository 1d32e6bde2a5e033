"""Request fields beyond the core set that OpenAI's own API honours, by operation.

From https://platform.openai.com/docs/api-reference. Another endpoint's are given with the
option `parameters`; whom a client asks for (`user`, `safety_identifier`, `metadata`) stays here.
"""

from __future__ import annotations

from collections.abc import Mapping

from pilotlight.core import Operation

PARAMETERS: Mapping[Operation, frozenset[str]] = {
    Operation.CHAT: frozenset({
        "parallel_tool_calls", "tool_choice.function", "reasoning_effort", "verbosity", "store",
        "service_tier", "prediction", "modalities", "audio", "web_search_options",
        "prompt_cache_retention", "image_url.remote",
    }),
    Operation.COMPLETIONS: frozenset({"best_of", "echo", "suffix"}),
    Operation.EMBEDDINGS: frozenset({"dimensions"}),
    Operation.RESPONSES: frozenset({
        "text.format", "reasoning.effort", "tool_choice.function", "parallel_tool_calls",
        "image_url.remote",
    }),
    Operation.RERANK: frozenset(),
}  # fmt: skip
