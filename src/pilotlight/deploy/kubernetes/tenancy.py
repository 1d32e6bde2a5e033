"""Namespaces, and what the pods of each may ask for together."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from pilotlight.deploy.kubernetes import cache, quantity
from pilotlight.deploy.kubernetes.document import Body, Document, metadata
from pilotlight.deploy.kubernetes.engine import GUARD_BYTES, GUARD_VCPUS
from pilotlight.deploy.kubernetes.layout import Engine, Layout

NAMESPACE = "namespace"


@dataclass(frozen=True, slots=True)
class Amount:
    vcpus: float = 0.0
    memory_bytes: int = 0
    gpus: int = 0
    pods: int = 0

    def __add__(self, other: Amount) -> Amount:
        return Amount(
            self.vcpus + other.vcpus,
            self.memory_bytes + other.memory_bytes,
            self.gpus + other.gpus,
            self.pods + other.pods,
        )

    def times(self, count: int) -> Amount:
        return Amount(
            self.vcpus * count, self.memory_bytes * count, self.gpus * count, self.pods * count
        )


def pod_of(layout: Layout, engine: Engine) -> Amount:
    size = layout.release.size
    guard = (GUARD_VCPUS, GUARD_BYTES) if engine.image.guarded else (0.0, 0)
    return Amount(size.vcpus + guard[0], size.memory_bytes + guard[1], size.gpus, 1)


def need(layout: Layout, tenant: str | None) -> Amount:
    """At the most: an update has one pod more than usual of each model, and of the gateway."""
    most = layout.release.scaling.maximum + 1
    total = Amount()
    for engine in layout.of(tenant):
        total += pod_of(layout, engine).times(most)
    if tenant is None:
        options = layout.options
        gateway = Amount(options.gateway_vcpus, options.gateway_memory, 0, 1)
        total += gateway.times(options.gateways + 1)
    return total


def allowed(layout: Layout, tenant: str | None) -> Amount:
    needed = need(layout, tenant)
    if tenant is None:
        return needed
    given = layout.tenants[tenant]
    return Amount(
        needed.vcpus if given.vcpus is None else given.vcpus,
        needed.memory_bytes if given.memory is None else given.memory,
        needed.gpus if given.gpus is None else given.gpus,
        needed.pods if given.pods is None else given.pods,
    )


def namespaces(layout: Layout) -> Iterator[Document]:
    if not layout.options.create_namespace:
        return
    for tenant in (None, *layout.tenants):
        whose = "the gateway" if tenant is None else f"{tenant}'s engines"
        yield Document(
            NAMESPACE,
            f"Of {whose}. Pods that want to be root, or to see their node, are refused in it.",
            _namespace(layout, layout.namespace_of(tenant), "restricted"),
        )
    if cache.needs_helper(layout):
        yield Document(
            NAMESPACE,
            "Of the one helper that must see nodes' directories: see cache.",
            _namespace(layout, cache.helper_namespace(layout), "privileged"),
        )


def _namespace(layout: Layout, name: str, level: str) -> Body:
    standard = {f"pod-security.kubernetes.io/{mode}": level for mode in ("enforce", "warn")}
    return {
        "apiVersion": "v1",
        "kind": "Namespace",
        "metadata": metadata(name, None, {**layout.labels(NAMESPACE), **standard}),
    }


def quotas(layout: Layout) -> Iterator[Document]:
    if not layout.options.quota:
        return
    for tenant in (None, *layout.tenants):
        namespace = layout.namespace_of(tenant)
        yield Document(
            "quota",
            "The bill's upper bound. Pods that don't fit in it wait, and the gateway says so.",
            _quota(layout, namespace, allowed(layout, tenant)),
        )
        yield Document(
            "quota",
            "What a pod gets that asks for nothing; with the quota it couldn't start at all.",
            _limit_range(layout, namespace),
        )


def _quota(layout: Layout, namespace: str, most: Amount) -> Body:
    memory = quantity.memory(most.memory_bytes)
    hard = {
        "requests.cpu": quantity.cpu(most.vcpus),
        "requests.memory": memory,
        "limits.memory": memory,
        **({"requests.nvidia.com/gpu": str(most.gpus)} if most.gpus else {}),
        "pods": str(most.pods),
    }
    return {
        "apiVersion": "v1",
        "kind": "ResourceQuota",
        "metadata": metadata(layout.name, namespace, layout.labels("quota")),
        "spec": {"hard": hard},
    }


def _limit_range(layout: Layout, namespace: str) -> Body:
    return {
        "apiVersion": "v1",
        "kind": "LimitRange",
        "metadata": metadata(layout.name, namespace, layout.labels("quota")),
        "spec": {
            "limits": [
                {
                    "type": "Container",
                    "default": {"memory": "512Mi"},
                    "defaultRequest": {"cpu": "100m", "memory": "512Mi"},
                }
            ]
        },
    }
