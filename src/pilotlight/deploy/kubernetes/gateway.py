"""The gateway: the one address, who may ask, and what scales the engines."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from pilotlight.config import ModelPolicy
from pilotlight.deploy.instance_file import PORT, instance_tree
from pilotlight.deploy.kubernetes import pods, quantity
from pilotlight.deploy.kubernetes.document import Body, Document, dumped, metadata
from pilotlight.deploy.kubernetes.layout import Engine, Layout, runs_elsewhere
from pilotlight.quantities import show_seconds

GATEWAY = "gateway"
SERVICE_PORT = 80

RESERVE = "128MiB"
"""Of a pod that only forwards: what is usually kept free would be all that it has."""

LEAST_BYTES = 256 * 2**20
"""Below it the gateway has no room for the requests that it holds."""

_PODS_OWN = frozenset({"min", "max", "keep_alive", "standby", "sleep_after"})
_POLICY = frozenset(ModelPolicy.__dataclass_fields__) - _PODS_OWN
_KEPT = _POLICY | {"aliases", "private", "overflow"}
"""What of a model's own entry still means something where its engine is in a pod."""

_SHOWN = ("operations", "tools", "vision", "parameters", "context")
"""Engine options that the gateway must know too, for it has no model file to look at."""


def configuration(layout: Layout) -> dict[str, Any]:
    """The pilotlight.yaml of the gateway: every model in pods, and those elsewhere as they are."""
    tree = instance_tree(layout.release, drain_s=layout.options.drain)
    tree["store"] = {"offline": True}
    tree["memory_reserve"] = RESERVE
    if defaults := tree.get("defaults"):
        # Nothing stands by in a gateway, and no pod sleeps: it is let go.
        tree["defaults"] = {
            k: v for k, v in defaults.items() if k not in ("standby", "sleep_after")
        }
    own = tree.pop("models")
    by_model = {engine.model: engine for engine in layout.engines}
    models = {
        name: own[name] if name not in by_model else _model(layout, by_model[name])
        for name in layout.entries
        if name in by_model or runs_elsewhere(layout.entries[name])
    }
    return {**tree, "models": models}


def _model(layout: Layout, engine: Engine) -> dict[str, Any]:
    scaling, options = layout.release.scaling, layout.options
    kept = {key: value for key, value in engine.entry.items() if key in _KEPT}
    return {
        "ref": f"openai:{engine.model}",
        "engine": "kubernetes",
        "min": scaling.minimum,
        "max": scaling.maximum,
        "keep_alive": show_seconds(scaling.idle_s),
        "load_timeout": show_seconds(options.load_timeout),
        # A node may have to be made first: who asked waits as long as a request may take.
        "hold": show_seconds(min(options.load_timeout, scaling.request_timeout_s)),
        **kept,
        "options": _options(layout, engine),
    }


def _options(layout: Layout, engine: Engine) -> dict[str, Any]:
    elsewhere = {} if engine.tenant is None else {"namespace": engine.namespace}
    shown = {key: engine.options[key] for key in _SHOWN if engine.options.get(key) is not None}
    made = {"deployment": engine.name, **elsewhere, "port": PORT, "server": engine.image.server}
    if layout.options.scaler == "keda":
        made["scales"] = False
    return {
        **made,
        "max_concurrency": layout.release.scaling.concurrency,
        "api_key_env": layout.key_variable(engine.tenant),
        "timeout": show_seconds(layout.release.scaling.request_timeout_s),
        **shown,
    }


def documents(layout: Layout) -> Iterator[Document]:
    text = _text(layout)
    yield Document(
        "gateway",
        "Which models there are and where their pods are; no secret is in it.",
        {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": _metadata(layout, f"{layout.name}-config"),
            "data": {pods.CONFIG_KEY: text},
        },
    )
    yield Document(
        "gateway",
        "A new pod is up and ready before an old one goes, and an old one ends its answers first.",
        _deployment(layout, text),
    )
    yield Document("gateway", "The one address of all models.", _service(layout))
    yield Document(
        "gateway",
        "Nodes are emptied one pod of the gateway at a time.",
        {
            "apiVersion": "policy/v1",
            "kind": "PodDisruptionBudget",
            "metadata": _metadata(layout, layout.name),
            "spec": {
                "maxUnavailable": 1,
                "selector": {"matchLabels": layout.selector(GATEWAY)},
            },
        },
    )


def keys(layout: Layout) -> Document:
    return Document(
        "keys",
        "The API keys' hashes, as `pilotlight keys create` keeps them; who has this has no key.",
        {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": _metadata(layout, layout.keys_secret),
            "type": "Opaque",
            "stringData": {pods.KEYS_KEY: json.dumps(layout.release.keys, separators=(",", ":"))},
        },
    )


def _text(layout: Layout) -> str:
    return dumped(configuration(layout))


def _metadata(layout: Layout, name: str) -> Body:
    return metadata(name, layout.home, layout.labels(GATEWAY))


def _deployment(layout: Layout, text: str) -> Body:
    labels = layout.selector(GATEWAY)
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": _metadata(layout, layout.name),
        "spec": {
            "replicas": layout.options.gateways,
            "revisionHistoryLimit": 2,
            "strategy": {
                "type": "RollingUpdate",
                "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0},
            },
            "selector": {"matchLabels": labels},
            "template": {
                "metadata": {
                    "labels": layout.labels(GATEWAY),
                    "annotations": {pods.CONFIG_STAMP: pods.stamp(text)},
                },
                "spec": _pod(layout, labels),
            },
        },
    }


def _pod(layout: Layout, labels: dict[str, str]) -> Body:
    spec = pods.pod_spec(
        layout,
        account=layout.name,
        nodeSelector=pods.architecture(layout),
        topologySpreadConstraints=pods.apart(labels),
        containers=[_container(layout)],
        volumes=[
            pods.etc_volume(f"{layout.name}-config", layout.keys_secret),
            pods.scratch_volume("1Gi"),
        ],
    )
    if found := pods.tolerations(layout):
        spec["tolerations"] = found
    return spec


def _container(layout: Layout) -> Body:
    options = layout.options
    memory = quantity.memory(options.gateway_memory)
    container: Body = {
        "name": GATEWAY,
        "image": layout.image,
        "imagePullPolicy": options.pull_policy,
        "ports": pods.http_port(),
        "env": [_key(layout, tenant) for tenant in layout.places],
        "resources": {
            # No limit on its processor: it moves bytes, and to be held back would be felt by all.
            "requests": {"cpu": quantity.cpu(options.gateway_vcpus), "memory": memory},
            "limits": {"memory": memory},
        },
        "securityContext": pods.container_security(),
        "startupProbe": pods.startup("/health", 60),
        "readinessProbe": pods.readiness("/ready"),
        "livenessProbe": pods.liveness("/health"),
        "lifecycle": pods.lifecycle(),
        "volumeMounts": [pods.etc_mount(), pods.scratch_mount()],
    }
    if options.environment_secret:
        container["envFrom"] = [{"secretRef": {"name": options.environment_secret}}]
    return {key: value for key, value in container.items() if value != []}


def _key(layout: Layout, tenant: str | None) -> Body:
    reference = {"name": layout.lent_secret(tenant), "key": "key"}
    return {"name": layout.key_variable(tenant), "valueFrom": {"secretKeyRef": reference}}


def _service(layout: Layout) -> Body:
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": _metadata(layout, layout.name),
        "spec": {
            "type": layout.options.service,
            "selector": layout.selector(GATEWAY),
            "ports": [
                {"name": "http", "port": SERVICE_PORT, "targetPort": "http", "protocol": "TCP"}
            ],
        },
    }
