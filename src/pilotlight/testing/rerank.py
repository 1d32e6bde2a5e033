"""Reranking: a document scores the share of the query's words that it holds."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pilotlight.testing import tokens
from pilotlight.testing.answer import Answer, invalid, whole


def rerank(model: str, body: Mapping[str, Any]) -> Answer:
    query, documents = body.get("query"), body.get("documents")
    if not isinstance(query, str) or not query:
        raise invalid('"query" must be a string')
    if not isinstance(documents, list) or not documents:
        raise invalid('"documents" must be a non-empty string array')
    scored = [
        {"index": index, "relevance_score": _score(query, document)}
        for index, document in enumerate(documents)
    ]
    scored.sort(key=lambda entry: -entry["relevance_score"])
    count = sum(tokens.count(query) + tokens.count(document) for document in documents)
    payload = {
        "model": body.get("model", model),
        "object": "list",
        "usage": {"prompt_tokens": count, "total_tokens": count},
        "results": scored[: body.get("top_n") or len(scored)],
    }
    return whole(payload, tokens=max(1, count))


def _score(query: str, document: str) -> float:
    wanted = set(query.lower().split())
    return len(wanted & set(document.lower().split())) / len(wanted)
