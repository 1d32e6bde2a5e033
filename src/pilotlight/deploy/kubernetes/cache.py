"""Where fetched weights are kept: on each node, once for all of its pods and for the next ones.

Pods that are restricted mount no directory of their node. Here a PersistentVolume is that
directory, the same path on every node, so pods mount a claim and need no right for it; what the
kubelet makes is root's, so a DaemonSet in a namespace of its own hands it over, and does nothing
else.
"""

from __future__ import annotations

from collections.abc import Iterator

from pilotlight.deploy.instance_file import CACHE_DIR, USER
from pilotlight.deploy.kubernetes import pods, quantity
from pilotlight.deploy.kubernetes.document import Body, Document, metadata
from pilotlight.deploy.kubernetes.layout import Engine, Layout

MOUNT = CACHE_DIR
LINK = "/run/model"
MODEL = f"{LINK}/current"
CACHE = "cache"


def kept(engine: Engine) -> bool:
    """Whether its weights outlive its pods."""
    return engine.source == "mount"


def volume(layout: Layout, engine: Engine) -> Body:
    if kept(engine):
        return {"name": CACHE, "persistentVolumeClaim": {"claimName": _claim(layout)}}
    return {
        "name": CACHE,
        "emptyDir": {"sizeLimit": quantity.memory(layout.release.size.disk_bytes)},
    }


def mount(*, writable: bool) -> Body:
    return {"name": CACHE, "mountPath": MOUNT, "readOnly": not writable}


def link_volume() -> Body:
    return {"name": "model", "emptyDir": {"sizeLimit": "1Mi"}}


def link_mount() -> Body:
    return {"name": "model", "mountPath": LINK}


def _claim(layout: Layout) -> str:
    return f"{layout.name}-cache"


def helper_namespace(layout: Layout) -> str:
    return f"{layout.home}-node"


def claims(layout: Layout) -> Iterator[Document]:
    for tenant in layout.places:
        if any(kept(engine) for engine in layout.of(tenant)):
            namespace = layout.namespace_of(tenant)
            if layout.options.storage_class is None:
                yield Document(CACHE, _WHY_VOLUME, _node_volume(layout, namespace))
            yield Document(CACHE, "What pods mount of it.", _claim_of(layout, namespace))


_WHY_VOLUME = (
    "A directory of whichever node a pod runs on. Reserved for one namespace: tenants don't share."
)


def _directory(layout: Layout, namespace: str) -> str:
    return f"{layout.options.cache_path.rstrip('/')}/{namespace}"


def _node_volume(layout: Layout, namespace: str) -> Body:
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolume",
        "metadata": metadata(f"{namespace}-{_claim(layout)}", None, layout.labels(CACHE)),
        "spec": {
            "capacity": {"storage": quantity.memory(layout.options.cache_size)},
            "accessModes": ["ReadWriteMany"],
            "persistentVolumeReclaimPolicy": "Retain",
            "storageClassName": "",
            "claimRef": {"namespace": namespace, "name": _claim(layout)},
            "hostPath": {"path": _directory(layout, namespace), "type": "DirectoryOrCreate"},
        },
    }


def _claim_of(layout: Layout, namespace: str) -> Body:
    storage_class = layout.options.storage_class
    own = {"volumeName": f"{namespace}-{_claim(layout)}"} if storage_class is None else {}
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": metadata(_claim(layout), namespace, layout.labels(CACHE)),
        "spec": {
            "accessModes": ["ReadWriteMany"],
            "storageClassName": storage_class or "",
            **own,
            "resources": {"requests": {"storage": quantity.memory(layout.options.cache_size)}},
        },
    }


def needs_helper(layout: Layout) -> bool:
    return layout.options.storage_class is None and any(map(kept, layout.engines))


def helper(layout: Layout, node_selector: dict[str, str], tolerations: list[Body]) -> Document:
    """The DaemonSet that hands each node's directories over."""
    where = dict.fromkeys(engine.namespace for engine in layout.engines if kept(engine))
    labels = layout.selector(CACHE)
    spec = pods.pod_spec(
        layout,
        account=None,
        nodeSelector=node_selector,
        tolerations=tolerations,
        initContainers=[_chown(layout, tuple(where))],
        containers=[_rest(layout)],
        volumes=[
            {
                "name": "nodes",
                "hostPath": {"path": layout.options.cache_path, "type": "DirectoryOrCreate"},
            }
        ],
    )
    return Document(
        CACHE,
        "Makes each node's cache directory the engines' own; its one container that is root has\n"
        "no other right than to do that, and ends. Engines never run in this namespace.",
        {
            "apiVersion": "apps/v1",
            "kind": "DaemonSet",
            "metadata": metadata(_claim(layout), helper_namespace(layout), layout.labels(CACHE)),
            "spec": {
                "selector": {"matchLabels": labels},
                "template": {
                    "metadata": {"labels": layout.labels(CACHE)},
                    "spec": {key: value for key, value in spec.items() if value not in ([], {})},
                },
            },
        },
    )


def _chown(layout: Layout, namespaces: tuple[str, ...]) -> Body:
    paths = " ".join(f"/nodes/{namespace}" for namespace in namespaces)
    security = pods.container_security()
    security["capabilities"] = {"drop": ["ALL"], "add": ["CHOWN", "DAC_OVERRIDE"]}
    return {
        "name": "own",
        "image": layout.image,
        "imagePullPolicy": layout.options.pull_policy,
        "command": ["sh", "-c", f"mkdir -p {paths} && chown {USER}:{USER} {paths}"],
        "resources": _least(),
        "securityContext": {**security, "runAsUser": 0, "runAsGroup": 0, "runAsNonRoot": False},
        "volumeMounts": [{"name": "nodes", "mountPath": "/nodes"}],
    }


def _rest(layout: Layout) -> Body:
    """A DaemonSet's pod has to stay; this one waits to be ended."""
    return {
        "name": "rest",
        "image": layout.image,
        "imagePullPolicy": layout.options.pull_policy,
        "command": ["sh", "-c", "trap 'exit 0' TERM; sleep infinity & wait"],
        "resources": _least(),
        "securityContext": pods.container_security(),
    }


def _least() -> Body:
    return {"requests": {"cpu": "10m", "memory": "16Mi"}, "limits": {"memory": "64Mi"}}
