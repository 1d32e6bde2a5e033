"""A release as files: one source, three ways to put it up without us."""

from __future__ import annotations

from pilotlight.deploy.kubernetes import chart, engine_key, kustomize
from pilotlight.deploy.kubernetes.document import stream
from pilotlight.deploy.kubernetes.documents import documents
from pilotlight.deploy.kubernetes.layout import Layout
from pilotlight.deploy.kubernetes.monitoring import dashboard_text
from pilotlight.deploy.kubernetes.readme import readme
from pilotlight.deploy.resources import Files


def render(layout: Layout) -> Files:
    made = documents(layout)
    return {
        "README.md": readme(layout, made),
        "engine-key.sh": engine_key.script(layout),
        "manifests.yaml": stream(made),
        **dict(kustomize.files(layout, made)),
        **dict(chart.files(layout, made)),
        "grafana/dashboard.json": dashboard_text(layout),
    }
