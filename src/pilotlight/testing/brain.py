"""The fake's mind: a request in, the exact bytes of its answer out. Pure, without delay.

Like llama.cpp's server it passes over fields that it doesn't know: refusing
those by name is the gateway's work. It has no Responses and no Messages of its
own, so that both reach it through the gateway's translation.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec

from pilotlight.core import Operation
from pilotlight.testing import prompt, tokens
from pilotlight.testing.answer import Answer, Refusal, invalid, whole
from pilotlight.testing.chat import Persona, chat, completion
from pilotlight.testing.embedding import embed
from pilotlight.testing.options import FakeOptions
from pilotlight.testing.rerank import rerank

ENDPOINTS: Mapping[Operation, str] = {
    Operation.CHAT: "/v1/chat/completions",
    Operation.COMPLETIONS: "/v1/completions",
    Operation.EMBEDDINGS: "/v1/embeddings",
    Operation.TOKENIZE: "/tokenize",
    Operation.DETOKENIZE: "/detokenize",
    Operation.RERANK: "/v1/rerank",
}

ADAPTERS_PATH = "/adapters"

_REMEMBERED = 256
"""Answers kept by request, so that a benchmark's upstream costs little more than its writes."""


@dataclass(slots=True)
class Brain:
    """Answers for one served model."""

    model: str
    options: FakeOptions
    adapters: frozenset[str] = frozenset()
    _memory: dict[tuple[str, bytes], Answer] = field(default_factory=dict, repr=False)

    def answer(self, path: str, body: bytes) -> Answer:
        """Never raises: what is wrong with a request is an answer too."""
        if path == ADAPTERS_PATH:
            return self._answer(lambda: self.exchange(_read(body)))
        known = self._memory.get((path, body))
        if known is not None:
            return known
        answer = self._answer(lambda: self._think(path, _read(body)))
        if len(self._memory) < _REMEMBERED:
            self._memory[path, body] = answer
        return answer

    def _answer(self, think: Callable[[], Answer]) -> Answer:
        try:
            return think()
        except Refusal as refusal:
            return refusal.answer()
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            return invalid(f"the request has a wrong shape: {error!r}").answer()

    def _think(self, path: str, body: Mapping[str, Any]) -> Answer:
        think = _THOUGHTS.get(path)
        if think is None:
            raise Refusal(404, "not_found_error", f"File Not Found: {path}")
        if "adapter" in body and body["adapter"] not in self.adapters:
            raise Refusal(404, "not_found_error", f"no adapter {body['adapter']!r} is loaded")
        return think(self, body)

    def exchange(self, body: Mapping[str, Any]) -> Answer:
        """Other adapters from now on. One whose name begins with ``odd`` is refused."""
        wanted = frozenset(body["adapters"])
        if odd := [name for name in sorted(wanted) if name.startswith("odd")]:
            raise invalid(f"the adapter {odd[0]!r} has no weights")
        self.adapters = wanted
        self._memory.clear()
        return whole({"adapters": sorted(wanted)})

    def persona(self) -> Persona:
        options = self.options
        return Persona(
            self.model,
            options.context,
            options.words,
            options.vision,
            options.tools,
            options.counts,
        )


def _read(body: bytes) -> Mapping[str, Any]:
    try:
        read = msgspec.json.decode(body)
    except msgspec.DecodeError as error:
        raise invalid(f"the body is not JSON: {error}") from None
    if not isinstance(read, dict):
        raise invalid(f"the body is {read!r}, expected an object")
    return read


def _embeddings(brain: Brain, body: Mapping[str, Any]) -> Answer:
    return embed(brain.model, brain.options.embedding_length, brain.options.context, body)


def _tokenize(brain: Brain, body: Mapping[str, Any]) -> Answer:
    content = body.get("content")
    if not isinstance(content, str):
        raise invalid(f"'content' is {content!r}, expected a text")
    ids = [tokens.token_id(piece) for piece in tokens.pieces(content)]
    if body.get("with_pieces") is True:
        return whole({"tokens": [{"id": id_, "piece": tokens.piece_of(id_)} for id_ in ids]})
    return whole({"tokens": ids})


def _detokenize(brain: Brain, body: Mapping[str, Any]) -> Answer:
    return whole({"content": prompt.text_of(body.get("tokens"))})


_THOUGHTS: Mapping[str, Callable[[Brain, Mapping[str, Any]], Answer]] = {
    ENDPOINTS[Operation.CHAT]: lambda brain, body: chat(brain.persona(), body),
    ENDPOINTS[Operation.COMPLETIONS]: lambda brain, body: completion(brain.persona(), body),
    ENDPOINTS[Operation.EMBEDDINGS]: _embeddings,
    ENDPOINTS[Operation.TOKENIZE]: _tokenize,
    ENDPOINTS[Operation.DETOKENIZE]: _detokenize,
    ENDPOINTS[Operation.RERANK]: lambda brain, body: rerank(brain.model, body),
}
