"""All documents of a release, in the order in which a cluster can take them."""

from __future__ import annotations

from collections.abc import Iterator

from pilotlight.deploy.kubernetes import (
    access,
    cache,
    engine,
    gateway,
    monitoring,
    network,
    scaling,
    tenancy,
)
from pilotlight.deploy.kubernetes.document import Document
from pilotlight.deploy.kubernetes.layout import Layout


def documents(layout: Layout) -> tuple[Document, ...]:
    """Without the engines' key, which no file has."""
    return tuple(_documents(layout))


def _documents(layout: Layout) -> Iterator[Document]:
    yield from tenancy.namespaces(layout)
    yield from tenancy.quotas(layout)
    yield from network.documents(layout)
    yield gateway.keys(layout)
    yield from access.documents(layout)
    if cache.needs_helper(layout):
        # Wherever an engine may run.
        yield cache.helper(layout, engine.node_selector(layout), engine.tolerations(layout))
    yield from cache.claims(layout)
    # Engines go before the gateway: it finds their Deployments as it starts.
    for each in layout.engines:
        yield from engine.documents(layout, each)
    yield from scaling.documents(layout)
    yield from gateway.documents(layout)
    yield from monitoring.documents(layout)
