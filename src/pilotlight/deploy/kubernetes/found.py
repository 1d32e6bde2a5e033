"""What of a release is in a cluster, wherever it is."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from pilotlight.deploy.kubernetes.document import Body
from pilotlight.deploy.kubernetes.kubectl import Kubectl, is_absent, is_forbidden
from pilotlight.deploy.kubernetes.layout import RELEASE, Layout
from pilotlight.errors import DeployError

NAMESPACED = (
    "deployments", "daemonsets", "services", "poddisruptionbudgets", "networkpolicies",
    "rolebindings", "roles", "serviceaccounts", "configmaps", "secrets", "resourcequotas",
    "limitranges", "persistentvolumeclaims",
)  # fmt: skip
"""In the order in which they may go: whoever runs first, what it needs last."""

OPERATORS = {
    "keda.sh/v1alpha1": "scaledobjects.keda.sh",
    "monitoring.coreos.com/v1": "servicemonitors.monitoring.coreos.com",
}
"""Kinds that only a cluster with their operator has."""

CLUSTER = ("namespaces", "persistentvolumes")


def selector(layout: Layout) -> str:
    return f"{RELEASE}={layout.name}"


def objects(kubectl: Kubectl, layout: Layout) -> Iterator[Body]:
    whole = list(of_cluster(kubectl, layout))
    yield from whole
    kinds = ",".join(kinds_of(kubectl.versions()))
    for namespace in namespaces(layout, whole):
        yield from kubectl.items(kinds, namespace, selector(layout))


def of_cluster(kubectl: Kubectl, layout: Layout) -> Iterator[Body]:
    """What is in no namespace. None where we may not even look: then none of it can be ours."""
    try:
        yield from kubectl.items(",".join(CLUSTER), None, selector(layout))
    except DeployError as error:
        if not is_forbidden(error):
            raise


def kinds_of(versions: frozenset[str]) -> tuple[str, ...]:
    return (*(kind for version, kind in OPERATORS.items() if version in versions), *NAMESPACED)


def namespaces(layout: Layout, whole: Sequence[Body]) -> tuple[str, ...]:
    """Those that it is to have, and those that it has: a tenant may have left the file."""
    there = [each["metadata"]["name"] for each in whole if each["kind"] == "Namespace"]
    return tuple(dict.fromkeys((*layout.namespaces, *there)))


def removed(kubectl: Kubectl, *words: str, wait_s: float) -> str:
    """`kubectl delete`, of what may be gone already."""
    try:
        return kubectl.run("delete", *words, f"--timeout={wait_s:.0f}s", wait_s=wait_s)
    except DeployError as error:
        if is_absent(error):
            return ""
        raise
