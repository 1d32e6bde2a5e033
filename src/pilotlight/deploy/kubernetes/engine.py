"""One model's engine: a Deployment whose pods the gateway starts, uses and lets go."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from pilotlight.deploy.instance_file import PORT, instance_tree
from pilotlight.deploy.kubernetes import cache, command, gateway, pods, quantity
from pilotlight.deploy.kubernetes.document import Body, Document, dumped, metadata
from pilotlight.deploy.kubernetes.layout import Engine, Layout

ENGINE = "engine"
GUARD_VCPUS, GUARD_BYTES = 0.25, 512 * 2**20
FETCH_CONFIG = "fetch.yaml"
FETCH_BYTES = SCRATCH_BYTES = 2**30


def documents(layout: Layout, engine: Engine) -> Iterator[Document]:
    files = config_files(layout, engine)
    group = f"engine-{engine.label}"
    yield Document(
        group,
        f"What a pod of {engine.model} runs.",
        {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": _metadata(layout, engine, engine.config),
            "data": files,
        },
    )
    yield Document(group, _why(layout, engine), _deployment(layout, engine, files))
    yield Document(
        group,
        "Nodes are emptied one of its pods at a time. A model without pods has nothing to keep.",
        {
            "apiVersion": "policy/v1",
            "kind": "PodDisruptionBudget",
            "metadata": _metadata(layout, engine, engine.name),
            "spec": {
                "maxUnavailable": 1,
                "selector": {"matchLabels": layout.selector(ENGINE, engine.label)},
            },
        },
    )


def _why(layout: Layout, engine: Engine) -> str:
    who = "KEDA scales" if layout.options.scaler == "keda" else "The gateway scales"
    lines = [
        f"{engine.image.title} with {engine.model}. {who} it; `replicas` is only how it begins.",
        "There is no Service: the gateway asks each pod at its own address.",
    ]
    if layout.release.size.gpus > 1:
        lines.append("A layer is spread over GPUs of one node alone: a pod has them all.")
    if layout.release.size.vcpus:
        lines.append(
            "The processor is limited so that the engine starts as many threads as it has."
        )
    return "\n".join(lines)


def _metadata(layout: Layout, engine: Engine, name: str) -> Body:
    return metadata(name, engine.namespace, layout.labels(ENGINE, engine.label))


def config_files(layout: Layout, engine: Engine) -> dict[str, str]:
    """The ConfigMap's: what our own container runs, and what is fetched before."""
    files: dict[str, str] = {}
    if tree := _instance(layout, engine):
        files[pods.CONFIG_KEY] = dumped(tree)
    if engine.source == "mount" or not engine.image.ours:
        pinned = {key: engine.entry[key] for key in ("ref", "digest") if key in engine.entry}
        files[FETCH_CONFIG] = dumped({"models": {engine.model: pinned}})
    return files


def _instance(layout: Layout, engine: Engine) -> dict[str, Any] | None:
    if engine.image.ours:
        entry = {key: value for key, value in engine.entry.items() if key not in ("min", "max")}
        one = replace(
            layout.release,
            serve={**layout.release.serve, "models": {engine.model: entry}},
            models=engine.source,
        )
        return instance_tree(one, drain_s=layout.options.drain)
    if engine.image.guarded:
        return _guard_file(layout, engine)
    return None


def _guard_file(layout: Layout, engine: Engine) -> dict[str, Any]:
    """A Pilotlight whose one model is the server beside it: it asks for the key, and shows nothing
    but models."""
    model = {"ref": f"openai:{command.served_name(engine)}", "engine": engine.kind}
    options = {
        "endpoint": f"http://127.0.0.1:{engine.image.port}",
        "parallel": layout.release.scaling.concurrency,
        **({"ready": engine.image.ready} if engine.image.ready else {}),
    }
    one = replace(
        layout.release,
        serve={"models": {engine.model: {**model, "options": options}}},
        models="image",
    )
    tree = instance_tree(one, drain_s=layout.options.drain)
    # The server beside it starts when it starts, and its weights take their time.
    wait = f"{math.ceil(layout.options.load_timeout)}s"
    reserve = {"memory_reserve": gateway.RESERVE}
    return {**tree, **reserve, "store": {"offline": True}, "defaults": {"load_timeout": wait}}


def _deployment(layout: Layout, engine: Engine, files: dict[str, str]) -> Body:
    labels = layout.selector(ENGINE, engine.label)
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": _metadata(layout, engine, engine.name),
        "spec": {
            "replicas": layout.release.scaling.minimum,
            "revisionHistoryLimit": 2,
            # A slow load is no failed update.
            "progressDeadlineSeconds": math.ceil(layout.options.load_timeout) + 60,
            "strategy": {
                "type": "RollingUpdate",
                "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0},
            },
            "selector": {"matchLabels": labels},
            "template": {
                "metadata": {
                    "labels": layout.labels(ENGINE, engine.label),
                    "annotations": {pods.CONFIG_STAMP: pods.stamp("".join(files.values()))},
                },
                "spec": _pod(layout, engine, labels),
            },
        },
    }


def _pod(layout: Layout, engine: Engine, labels: dict[str, str]) -> Body:
    spec = pods.pod_spec(
        layout,
        account=None,
        nodeSelector=node_selector(layout),
        tolerations=tolerations(layout),
        topologySpreadConstraints=pods.apart(labels),
        initContainers=_fetch(layout, engine),
        containers=_containers(layout, engine),
        volumes=_volumes(layout, engine),
    )
    return {key: value for key, value in spec.items() if value not in ([], {})}


def node_selector(layout: Layout) -> dict[str, str]:
    size, options, machine = layout.release.size, layout.options, layout.machine
    selector = pods.architecture(layout)
    if options.gpu_labels == "gke" and machine is not None:
        selector |= machine.selector
    if options.machine is not None:
        selector["node.kubernetes.io/instance-type"] = options.machine
    if options.gpu_labels == "nvidia" and size.gpu is not None:
        selector["nvidia.com/gpu.present"] = "true"
    if options.spot:
        selector["cloud.google.com/gke-spot"] = "true"
    return selector


def devices(layout: Layout) -> dict[str, str]:
    """Of one pod, by the resource's name."""
    size, machine = layout.release.size, layout.machine
    if machine is not None and machine.tpus:
        return {"google.com/tpu": str(machine.tpus)}
    return {"nvidia.com/gpu": str(size.gpus)} if size.gpus else {}


def tolerations(layout: Layout) -> list[Body]:
    """Nodes with accelerators turn away whoever doesn't say that it wants one."""
    wanted = [
        {"key": name, "operator": "Exists", "effect": "NoSchedule"} for name in devices(layout)
    ]
    if layout.options.spot:
        wanted.append({
            "key": "cloud.google.com/gke-spot",
            "operator": "Equal",
            "value": "true",
            "effect": "NoSchedule",
        })  # fmt: skip
    return [*wanted, *pods.tolerations(layout)]


def _fetch(layout: Layout, engine: Engine) -> list[Body]:
    """Before the engine: nothing is downloaded while somebody waits for a token."""
    if FETCH_CONFIG not in config_files(layout, engine):
        return []
    container: Body = {
        "name": "fetch",
        "image": layout.image,
        "imagePullPolicy": layout.options.pull_policy,
        "command": ["python3", "-c", command.FETCH],
        "env": [
            {"name": "PILOTLIGHT_DATA_DIR", "value": "/tmp/pilotlight"},
            {"name": "PILOTLIGHT_STORE_DIRECTORY", "value": cache.MOUNT},
        ],
        "resources": _fetching(layout),
        "securityContext": pods.container_security(),
        "volumeMounts": [
            pods.etc_mount(), cache.mount(writable=True), cache.link_mount(), pods.scratch_mount()
        ],
    }  # fmt: skip
    if layout.options.hf_token_secret:
        reference = {"name": layout.options.hf_token_secret, "key": "token"}
        container["env"].append(
            {"name": "PILOTLIGHT_STORE_HF_TOKEN", "valueFrom": {"secretKeyRef": reference}}
        )
    return [container]


def _fetching(layout: Layout) -> Body:
    """Never more than the engine after it, or a quota would count this instead."""
    size = layout.release.size
    memory = quantity.memory(min(FETCH_BYTES, size.memory_bytes))
    return {
        "requests": {"cpu": quantity.cpu(min(0.5, size.vcpus)), "memory": memory},
        "limits": {"memory": memory},
    }


def _containers(layout: Layout, engine: Engine) -> list[Body]:
    if engine.image.ours:
        return [_ours(layout, engine, ENGINE, resources(layout), "/ready")]
    if engine.image.guarded:
        small = {
            "requests": {"cpu": quantity.cpu(GUARD_VCPUS), "memory": quantity.memory(GUARD_BYTES)},
            "limits": {"memory": quantity.memory(GUARD_BYTES)},
        }
        return [_theirs(layout, engine), _ours(layout, engine, "guard", small, "/ready")]
    return [{**_theirs(layout, engine), **_served(layout, "/health")}]


def resources(layout: Layout) -> Body:
    size = layout.release.size
    amounts = {
        "cpu": quantity.cpu(size.vcpus),
        "memory": quantity.memory(size.memory_bytes),
        **devices(layout),
    }
    return {"requests": amounts, "limits": dict(amounts)}


def _served(layout: Layout, ready: str) -> Body:
    """Of the container that answers the gateway."""
    return {
        "ports": pods.http_port(),
        "startupProbe": pods.startup(ready, layout.options.load_timeout),
        "readinessProbe": pods.readiness(ready),
        "livenessProbe": pods.liveness("/health"),
        "lifecycle": pods.lifecycle(),
    }


def _ours(layout: Layout, engine: Engine, name: str, needs: Body, ready: str) -> Body:
    mounts = [pods.etc_mount(), pods.scratch_mount()]
    if name == ENGINE and engine.source == "mount":
        mounts.append(cache.mount(writable=False))
    image = layout.image_of(engine) if name == ENGINE else layout.image
    return {
        "name": name,
        "image": image,
        "imagePullPolicy": layout.options.pull_policy,
        **_served(layout, ready),
        "resources": needs,
        "securityContext": pods.container_security(),
        "volumeMounts": mounts,
    }


def _theirs(layout: Layout, engine: Engine) -> Body:
    """Another project's image: its own command line, a home in the scratch directory."""
    return {
        "name": ENGINE,
        "image": layout.image_of(engine) or "",
        "imagePullPolicy": layout.options.pull_policy,
        "command": list(command.argv(layout, engine)),
        "env": command.environment(layout, engine),
        "resources": resources(layout),
        "securityContext": pods.container_security(),
        "volumeMounts": [
            cache.mount(writable=False),
            cache.link_mount(),
            pods.scratch_mount(),
            {"name": "shm", "mountPath": "/dev/shm"},
        ],
    }


def _volumes(layout: Layout, engine: Engine) -> list[Body]:
    disk = quantity.memory(layout.release.size.disk_bytes + SCRATCH_BYTES)
    volumes = [pods.etc_volume(engine.config, layout.engine_secret), pods.scratch_volume(disk)]
    if FETCH_CONFIG in config_files(layout, engine):
        volumes += [cache.volume(layout, engine), cache.link_volume()]
    if not engine.image.ours:
        # GPUs of one pod exchange what they computed through it.
        volumes.append({"name": "shm", "emptyDir": {"medium": "Memory", "sizeLimit": "8Gi"}})
    return volumes


__all__ = [
    "ENGINE", "PORT", "config_files", "devices", "documents", "node_selector", "resources",
    "tolerations",
]  # fmt: skip
