"""What the gateway may do at the API server: its own engines' number of pods, and no more."""

from __future__ import annotations

from collections.abc import Iterator

from pilotlight.deploy.kubernetes.document import Body, Document, metadata
from pilotlight.deploy.kubernetes.gateway import GATEWAY
from pilotlight.deploy.kubernetes.layout import Layout

_WHY = """\
Its own engines' Deployments, by name: to look at them and to set how many pods they have. Pods have
names that nobody knows beforehand, so all of this namespace: to find the engines', to mark the one
that goes next, to remove it, and to say why one doesn't start. No Secret, no other object."""


def documents(layout: Layout) -> Iterator[Document]:
    yield Document(
        "access",
        "Who the gateway is. Engines have no account that could do anything.",
        {
            "apiVersion": "v1",
            "kind": "ServiceAccount",
            "metadata": metadata(layout.name, layout.home, layout.labels(GATEWAY)),
            "automountServiceAccountToken": False,
        },
    )
    for tenant in layout.places:
        namespace = layout.namespace_of(tenant)
        names = [engine.name for engine in layout.of(tenant)]
        yield Document("access", _WHY, _role(layout, namespace, names))
        yield Document("access", "Given to the gateway alone.", _binding(layout, namespace))


def rules(names: list[str]) -> list[Body]:
    return [
        {
            "apiGroups": ["apps"],
            "resources": ["deployments"],
            "resourceNames": names,
            "verbs": ["get"],
        },
        {
            "apiGroups": ["apps"],
            "resources": ["deployments/scale"],
            "resourceNames": names,
            "verbs": ["get", "patch"],
        },
        {
            "apiGroups": [""],
            "resources": ["pods"],
            "verbs": ["list", "watch", "get", "patch", "delete"],
        },
        {"apiGroups": [""], "resources": ["pods/log"], "verbs": ["get"]},
    ]


def _role(layout: Layout, namespace: str, names: list[str]) -> Body:
    return {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "Role",
        "metadata": metadata(f"{layout.name}-scaler", namespace, layout.labels(GATEWAY)),
        "rules": rules(names),
    }


def _binding(layout: Layout, namespace: str) -> Body:
    return {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "RoleBinding",
        "metadata": metadata(f"{layout.name}-scaler", namespace, layout.labels(GATEWAY)),
        "roleRef": {
            "apiGroup": "rbac.authorization.k8s.io",
            "kind": "Role",
            "name": f"{layout.name}-scaler",
        },
        "subjects": [{"kind": "ServiceAccount", "name": layout.name, "namespace": layout.home}],
    }
