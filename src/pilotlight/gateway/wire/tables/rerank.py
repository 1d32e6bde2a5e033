"""Reranking as Jina and Cohere write it: documents ordered by how well they answer a query."""

from __future__ import annotations

from pilotlight.gateway.wire.checks import INT32_MAX, array, boolean, filled_string, integer
from pilotlight.gateway.wire.table import Table
from pilotlight.gateway.wire.tables.handled import END_USER, MODEL

RERANK = Table(
    required=("model", "query", "documents"),
    core={
        "query": filled_string,
        "documents": array(filled_string, at_least=1),
        "top_n": integer(1, INT32_MAX),
    },
    # Engines differ on what they send back, so the gateway puts the documents in itself.
    handled={**MODEL, **END_USER, "return_documents": boolean},
)
