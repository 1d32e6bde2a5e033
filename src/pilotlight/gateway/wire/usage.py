"""Tokens of a request, read from the last bytes of the engine's own answer.

The byte path never parses what it forwards. The count stands at the end of an
answer in one small object, so only that object is decoded.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from pilotlight.core import Operation, Usage

TAIL_BYTES = 4096
"""Enough of the end of an answer for `usage_of`: usage, timings and a few events more."""

HEAD_BYTES = 4096
"""Enough of its start, for answers that count there (see `usage_of`)."""

_OBJECT_BYTES = 2048
_decoder = json.JSONDecoder()


def usage_of(operation: Operation, tail: bytes, head: bytes = b"") -> Usage | None:
    """Tokens of an answer, streaming or not, or None where it doesn't say.

    `head` is the start of the answer. Two answers of llama.cpp need it: a stream
    of messages counts the prompt in `message_start` only, and embeddings count
    before their vectors.
    """
    read = _READERS.get(operation)
    return read(tail, head) if read else None


def _openai(tail: bytes, head: bytes) -> Usage | None:
    for found in _objects(tail, b'"usage"'):
        if usage := read_usage(found):
            return usage
    return _from_timings(tail)


def read_usage(found: Mapping[str, Any]) -> Usage | None:
    """Usage as OpenAI's operations spell it, or None for an object that isn't one."""
    prompt = _count(found, "prompt_tokens", "input_tokens")
    if prompt is None:
        return None
    details = found.get("prompt_tokens_details") or found.get("input_tokens_details")
    cached = _count(details, "cached_tokens") if isinstance(details, dict) else None
    # Embeddings complete nothing and say so by leaving the count out.
    completion = _count(found, "completion_tokens", "output_tokens") or 0
    return Usage(prompt, completion, cached)


def _from_timings(tail: bytes) -> Usage | None:
    """llama.cpp's own figures, which a stream carries even when nobody asked for usage."""
    for found in _objects(tail, b'"timings"'):
        cached = _count(found, "cache_n")
        read, predicted = _count(found, "prompt_n"), _count(found, "predicted_n")
        if read is not None and predicted is not None:
            return Usage(read + (cached or 0), predicted, cached)
    return None


def _embeddings(tail: bytes, head: bytes) -> Usage | None:
    return _openai(tail, b"") or _openai(head, b"")


def _messages(tail: bytes, head: bytes) -> Usage | None:
    counts: dict[str, int] = {}
    # The latest statement of a count wins; message_delta's are cumulative.
    for found in (*_objects(tail, b'"usage"'), *_objects(head, b'"usage"')):
        for name in _ANTHROPIC_COUNTS:
            value = _count(found, name)
            if value is not None:
                counts.setdefault(name, value)
    if "input_tokens" not in counts or "output_tokens" not in counts:
        return None
    cached = counts.get("cache_read_input_tokens")
    written = counts.get("cache_creation_input_tokens", 0)
    return Usage(counts["input_tokens"] + (cached or 0) + written, counts["output_tokens"], cached)


_ANTHROPIC_COUNTS = (
    "input_tokens",
    "output_tokens",
    "cache_read_input_tokens",
    "cache_creation_input_tokens",
)

_READERS: Mapping[Operation, Callable[[bytes, bytes], Usage | None]] = {
    Operation.CHAT: _openai,
    Operation.COMPLETIONS: _openai,
    Operation.RESPONSES: _openai,
    Operation.EMBEDDINGS: _embeddings,
    Operation.RERANK: _embeddings,
    Operation.MESSAGES: _messages,
}


def _objects(data: bytes, key: bytes) -> Iterator[Mapping[str, Any]]:
    """The objects that stand after `key`, last first.

    A model that writes the key in its answer can't forge one: inside a JSON
    string its quotes are escaped.
    """
    end = len(data)
    while (at := data.rfind(key, 0, end)) >= 0:
        end = at
        if at and data[at - 1 : at] == b"\\":
            continue
        text = data[at + len(key) : at + _OBJECT_BYTES].decode("utf-8", "replace").lstrip()
        if not text.startswith(":"):
            continue
        found = _object_at(text[1:].lstrip())
        if found is not None:
            yield found


def _object_at(text: str) -> Mapping[str, Any] | None:
    if not text.startswith("{"):
        return None  # vLLM streams "usage":null in every chunk but the last
    try:
        found, _ = _decoder.raw_decode(text)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def _count(found: Mapping[str, Any], *names: str) -> int | None:
    for name in names:
        value = found.get(name)
        if type(value) is int and value >= 0:
            return value
    return None
