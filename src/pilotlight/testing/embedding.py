"""Embeddings: unit vectors drawn from a hash of the text."""

from __future__ import annotations

import base64
import hashlib
import math
import struct
from collections.abc import Mapping
from typing import Any

from pilotlight.testing import prompt, tokens
from pilotlight.testing.answer import Answer, Refusal, invalid, whole


def embed(model: str, length: int, context: int, body: Mapping[str, Any]) -> Answer:
    texts = _texts(body.get("input"))
    counts = [tokens.count(text) for text in texts]
    if max(counts) > context:
        raise Refusal(
            400,
            "exceed_context_size_error",
            f"input ({max(counts)} tokens) is larger than the context size ({context} tokens)",
            n_prompt_tokens=max(counts),
            n_ctx=context,
        )
    encode = _encoder(body.get("encoding_format") or "float")
    data = [
        {"object": "embedding", "index": index, "embedding": encode(vector(text, length))}
        for index, text in enumerate(texts)
    ]
    usage = {"prompt_tokens": sum(counts), "total_tokens": sum(counts)}
    payload = {"object": "list", "model": model, "data": data, "usage": usage}
    return whole(payload, tokens=max(1, sum(counts)))


def vector(text: str, length: int) -> list[float]:
    """Of norm 1; the same text always has the same one."""
    raw = hashlib.shake_128(text.encode()).digest(length)
    around_zero = [byte - 127.5 for byte in raw]  # never zero, so the norm isn't either
    norm = math.sqrt(sum(value * value for value in around_zero))
    return [value / norm for value in around_zero]


def _texts(given: Any) -> list[str]:
    if isinstance(given, str):
        return [given]
    if not isinstance(given, list) or not given:
        raise invalid(f"'input' is {given!r}, expected a text or a non-empty array")
    if type(given[0]) is int:
        return [prompt.text_of(given)]
    return [item if isinstance(item, str) else prompt.text_of(item) for item in given]


def _encoder(name: Any) -> Any:
    encoders = {"float": list, "base64": _base64}
    if name not in encoders:
        raise invalid(f"'encoding_format' is {name!r}, expected one of float, base64")
    return encoders[name]


def _base64(values: list[float]) -> str:
    return base64.b64encode(struct.pack(f"<{len(values)}f", *values)).decode()
