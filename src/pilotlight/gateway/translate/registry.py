"""Which translation carries which request."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from pilotlight.core import Capabilities, Operation
from pilotlight.gateway.translate import ollama_chat, ollama_embed, ollama_generate
from pilotlight.gateway.translate.base import Context, Translation
from pilotlight.gateway.translate.messages import messages
from pilotlight.gateway.translate.rerank import rerank
from pilotlight.gateway.translate.responses import responses
from pilotlight.gateway.wire.tables.ollama import OllamaRequest

Make = Callable[[Mapping[str, Any], Capabilities, Context], Translation]

TRANSLATIONS: Mapping[Operation, Make] = {
    Operation.MESSAGES: messages,
    Operation.RESPONSES: responses,
}
"""Operations that an engine without them still serves, over chat."""

COMPLETED: Mapping[Operation, Callable[[Any, Capabilities, Context], Translation | None]] = {
    Operation.RERANK: rerank,
}
"""Operations of the engine's own whose answers may lack something that the client asked for."""

OLLAMA: Mapping[OllamaRequest, Make] = {
    OllamaRequest.CHAT: ollama_chat.chat,
    OllamaRequest.GENERATE: ollama_generate.generate,
    OllamaRequest.EMBED: ollama_embed.embed,
    OllamaRequest.EMBEDDINGS: ollama_embed.embeddings,
}

_LOADS: Mapping[OllamaRequest, Callable[[Mapping[str, Any]], bool]] = {
    OllamaRequest.CHAT: ollama_chat.is_load,
    OllamaRequest.GENERATE: ollama_generate.is_load,
    OllamaRequest.EMBED: ollama_embed.is_load,
    OllamaRequest.EMBEDDINGS: ollama_embed.is_load,
}


def is_load_request(request: OllamaRequest, body: Mapping[str, Any]) -> bool:
    """Whether an Ollama request only loads the model (or, with ``keep_alive: 0``, lets it go)."""
    return _LOADS[request](body)
