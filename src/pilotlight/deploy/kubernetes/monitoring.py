"""What watches it: Prometheus' operator is told where to look, Grafana what to show."""

from __future__ import annotations

import json
from collections.abc import Iterator

from pilotlight.deploy.kubernetes.dashboard import dashboard
from pilotlight.deploy.kubernetes.document import Body, Document, metadata
from pilotlight.deploy.kubernetes.gateway import GATEWAY
from pilotlight.deploy.kubernetes.layout import Layout


def documents(layout: Layout) -> Iterator[Document]:
    if layout.options.service_monitor:
        yield Document(
            "monitoring",
            "The gateway's metrics have every model, pod and key; nothing else needs scraping.",
            _service_monitor(layout),
        )
    yield Document(
        "monitoring",
        "Grafana's sidecar loads ConfigMaps with this label; without it, import the JSON by hand.",
        {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": metadata(
                f"{layout.name}-dashboard",
                layout.home,
                {**layout.labels("dashboard"), "grafana_dashboard": "1"},
            ),
            "data": {f"{layout.name}.json": dashboard_text(layout)},
        },
    )


def dashboard_text(layout: Layout) -> str:
    return json.dumps(dashboard(layout.name, layout.home), indent=1) + "\n"


def _service_monitor(layout: Layout) -> Body:
    endpoint: Body = {"port": "http", "path": "/metrics", "interval": "15s"}
    if layout.options.metrics_secret:
        endpoint["authorization"] = {
            "type": "Bearer",
            "credentials": {"name": layout.options.metrics_secret, "key": "key"},
        }
    return {
        "apiVersion": "monitoring.coreos.com/v1",
        "kind": "ServiceMonitor",
        "metadata": metadata(layout.name, layout.home, layout.labels(GATEWAY)),
        "spec": {
            "selector": {"matchLabels": layout.selector(GATEWAY)},
            "endpoints": [endpoint],
        },
    }
