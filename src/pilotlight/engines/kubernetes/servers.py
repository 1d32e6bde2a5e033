"""Which request fields beyond the usual the server in a pod honours, by the server's kind.

A gateway has no model file here to ask, and no process: it goes by what is declared.
"""

from __future__ import annotations

from collections.abc import Mapping

from pilotlight.core import Operation
from pilotlight.engines.llamacpp import request_fields as llamacpp
from pilotlight.engines.openai import request_fields as openai
from pilotlight.engines.presets import PRESETS

# https://docs.vllm.ai/en/latest/serving/openai_compatible_server.html; what depends on the
# model's own template and tokenizer is left to the option `parameters`.
_VLLM = frozenset({
    "top_k", "min_p", "repetition_penalty", "min_tokens", "ignore_eos", "stop_token_ids",
    "structured_outputs", "skip_special_tokens", "chat_template_kwargs",
})  # fmt: skip

_ALIKE: Mapping[str, frozenset[str]] = {
    "vllm": _VLLM,
    **{name: preset.parameters for name, preset in PRESETS.items() if name != "command"},
}
_BY_OPERATION: Mapping[str, Mapping[Operation, frozenset[str]]] = {
    "llamacpp": llamacpp.PARAMETERS,
    "openai": openai.PARAMETERS,
}

SERVERS = (*_BY_OPERATION, *_ALIKE)


def parameters(server: str, operation: Operation) -> frozenset[str]:
    if server in _BY_OPERATION:
        return _BY_OPERATION[server].get(operation, frozenset())
    return _ALIKE[server]
