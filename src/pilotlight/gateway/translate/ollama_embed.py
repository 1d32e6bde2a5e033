"""Ollama's /api/embed and the older /api/embeddings over embeddings."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any, NoReturn

from pilotlight.core import Capabilities, Operation
from pilotlight.errors import EngineError, FieldError
from pilotlight.gateway.translate import ollama
from pilotlight.gateway.translate.answer import Closing, Delta
from pilotlight.gateway.translate.base import NDJSON, Context, Translation
from pilotlight.gateway.wire.usage import read_usage

_Respond = Callable[[Mapping[str, Any]], Mapping[str, Any]]


def embed(body: Mapping[str, Any], capabilities: Capabilities, context: Context) -> Translation:
    dimensions = body.get("dimensions")

    def respond(payload: Mapping[str, Any]) -> dict[str, Any]:
        vectors = [shortened(vector, dimensions) for vector in _vectors(payload)]
        closing = Closing(read_usage(payload.get("usage") or {}))
        figures = ollama.durations(closing, context)
        figures.pop("eval_count", None)  # nothing was generated
        return {"model": context.model, "embeddings": vectors, **figures}

    def loaded() -> dict[str, Any]:
        return {"model": context.model, "embeddings": []}

    return _translation(body["input"], context, respond, loaded)


def embeddings(
    body: Mapping[str, Any], capabilities: Capabilities, context: Context
) -> Translation:
    def respond(payload: Mapping[str, Any]) -> dict[str, Any]:
        return {"embedding": _vectors(payload)[0]}

    return _translation(body.get("prompt") or "", context, respond, lambda: {"embedding": []})


def is_load(body: Mapping[str, Any]) -> bool:
    """Nothing to embed: only have the model ready."""
    return not (body.get("input") or body.get("prompt"))


def _translation(
    text: str | list[str],
    context: Context,
    respond: _Respond,
    loaded: Callable[[], Mapping[str, Any]],
) -> Translation:
    return Translation(
        operation=Operation.EMBEDDINGS,
        request={"model": context.model, "input": text, "encoding_format": "float"},
        respond=respond,
        read=_no_stream,
        writer=_no_stream_writer,
        content_type=NDJSON,
        loaded=loaded,
    )


def _no_stream(payload: Mapping[str, Any]) -> Delta:
    raise EngineError("embeddings don't stream")


def _no_stream_writer() -> NoReturn:
    raise EngineError("embeddings don't stream")


def _vectors(payload: Mapping[str, Any]) -> list[list[float]]:
    entries = payload.get("data")
    if not isinstance(entries, list) or not entries:
        raise EngineError(f"the engine's answer has no embeddings, only {sorted(payload)!r}")
    return [entry["embedding"] for entry in sorted(entries, key=lambda entry: entry["index"])]


def shortened(vector: list[float], dimensions: int | None) -> list[float]:
    """The first `dimensions` numbers at length one again, which is what Ollama does.

    Raises:
        FieldError: the model's vectors are shorter than that.
    """
    if dimensions is None or dimensions == len(vector):
        return vector
    if dimensions > len(vector):
        expected = f"at most {len(vector)}, the length of this model's vectors"
        raise FieldError("dimensions", dimensions, expected)
    cut = vector[:dimensions]
    length = math.sqrt(sum(number * number for number in cut))
    return [number / length for number in cut] if length else cut
