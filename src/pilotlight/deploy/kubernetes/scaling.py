"""KEDA in the gateway's place: the same numbers of pods, by the same queue, from its operator."""

from __future__ import annotations

import math
from collections.abc import Iterator

from pilotlight.deploy.kubernetes.document import Body, Document, metadata
from pilotlight.deploy.kubernetes.engine import ENGINE
from pilotlight.deploy.kubernetes.layout import Engine, Layout


def documents(layout: Layout) -> Iterator[Document]:
    if layout.options.scaler != "keda":
        return
    for engine in layout.engines:
        yield Document(
            "keda",
            f"As many pods as {engine.model} has requests for, those that wait among them.",
            _scaled(layout, engine),
        )


def _scaled(layout: Layout, engine: Engine) -> Body:
    scaling = layout.release.scaling
    return {
        "apiVersion": "keda.sh/v1alpha1",
        "kind": "ScaledObject",
        "metadata": metadata(engine.name, engine.namespace, layout.labels(ENGINE, engine.label)),
        "spec": {
            "scaleTargetRef": {"name": engine.name},
            "minReplicaCount": scaling.minimum,
            "maxReplicaCount": scaling.maximum,
            "pollingInterval": 5,
            "cooldownPeriod": math.ceil(scaling.idle_s),
            "triggers": [
                {
                    "type": "prometheus",
                    "metadata": {
                        "serverAddress": layout.options.prometheus,
                        "query": query(layout, engine),
                        "threshold": str(scaling.concurrency),
                        "activationThreshold": "0",
                    },
                }
            ],
        },
    }


def query(layout: Layout, engine: Engine) -> str:
    """Requests of this model that any pod of the gateway has."""
    of = f'{{namespace="{layout.home}",model="{engine.model}"}}'
    return f"sum(pilotlight_queued{of}) + sum(pilotlight_in_flight{of} or vector(0))"
