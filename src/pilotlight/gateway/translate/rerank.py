"""A reranking with the documents themselves in its answer, which engines leave out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NoReturn

from pilotlight.core import Capabilities, Operation
from pilotlight.errors import EngineError
from pilotlight.gateway.translate.answer import Delta
from pilotlight.gateway.translate.base import Context, Translation
from pilotlight.gateway.wire.fields import engine_body


def rerank(
    body: Mapping[str, Any], capabilities: Capabilities, context: Context
) -> Translation | None:
    """None where the client has its documents already and the answer may pass untouched."""
    if not body.get("return_documents"):
        return None
    documents = body["documents"]

    def respond(payload: Mapping[str, Any]) -> dict[str, Any]:
        results = [_with_text(entry, documents) for entry in _results(payload)]
        return {**payload, "results": results}

    request = engine_body(Operation.RERANK, body, capabilities)
    return Translation(Operation.RERANK, request, respond, _no_stream, _no_stream_writer)


def _results(payload: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    results = payload.get("results")
    if not isinstance(results, list):
        raise EngineError(f"the engine's answer has no results, only {sorted(payload)!r}")
    return results


def _with_text(entry: Mapping[str, Any], documents: list[str]) -> dict[str, Any]:
    return {**entry, "document": {"text": documents[entry["index"]]}}


def _no_stream(payload: Mapping[str, Any]) -> Delta:
    raise EngineError("a reranking doesn't stream")


def _no_stream_writer() -> NoReturn:
    raise EngineError("a reranking doesn't stream")
