"""How a release stands in its cluster, from what the cluster says. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from pilotlight.deploy.kubernetes.document import Body
from pilotlight.deploy.kubernetes.engine import ENGINE
from pilotlight.deploy.kubernetes.gateway import GATEWAY, SERVICE_PORT
from pilotlight.deploy.kubernetes.layout import COMPONENT, MODEL, Layout
from pilotlight.deploy.target import State, Status

HOPELESS = frozenset({
    "CrashLoopBackOff", "ImagePullBackOff", "ErrImagePull", "ErrImageNeverPull",
    "InvalidImageName", "CreateContainerConfigError", "CreateContainerError", "RunContainerError",
})  # fmt: skip
"""Reasons for waiting that waiting doesn't mend."""


def status(
    layout: Layout,
    deployments: Sequence[Body],
    pods: Sequence[Body],
    service: Body | None,
    node_address: str | None = None,
) -> Status:
    gateways = [each for each in deployments if component(each) == GATEWAY]
    if not gateways:
        return Status(state="absent")
    state = _state(gateways[0])
    troubles = tuple(trouble(pods))
    if state == "updating" and any(hopeless for hopeless, _ in troubles):
        state = "failed"
    return Status(
        state=state,
        url=layout.options.url or url(service, node_address),
        instances=sum(1 for pod in pods if component(pod) == ENGINE and is_ready(pod)),
        image=gateways[0]["spec"]["template"]["spec"]["containers"][0]["image"],
        detail="; ".join(text for _, text in troubles),
        facts=tuple(_facts(layout, deployments, service)),
    )


def component(body: Body) -> str | None:
    labels: Mapping[str, str] = body["metadata"].get("labels") or {}
    return labels.get(COMPONENT)


def _state(deployment: Body) -> State:
    spec, status = deployment["spec"], deployment.get("status") or {}
    wanted = spec.get("replicas", 1)
    seen = status.get("observedGeneration", 0) >= deployment["metadata"].get("generation", 0)
    counts = (status.get(name, 0) for name in ("updatedReplicas", "availableReplicas", "replicas"))
    if seen and all(count == wanted for count in counts):
        return "ready"
    for condition in status.get("conditions") or ():
        if condition.get("reason") == "ProgressDeadlineExceeded":
            return "failed"
    return "updating"


def is_ready(pod: Body) -> bool:
    conditions = (pod.get("status") or {}).get("conditions") or ()
    ready = any(c["type"] == "Ready" and c["status"] == "True" for c in conditions)
    return ready and "deletionTimestamp" not in pod["metadata"]


def trouble(pods: Iterable[Body]) -> Iterator[tuple[bool, str]]:
    """Of each pod that isn't ready, in the cluster's words, and whether it will pass by itself."""
    for pod in pods:
        if is_ready(pod) or "deletionTimestamp" in pod["metadata"]:
            continue
        name = pod["metadata"]["name"]
        for hopeless, words in _reasons(pod.get("status") or {}):
            yield hopeless, f"{name}: {words}"


def _reasons(status: Mapping[str, Any]) -> Iterator[tuple[bool, str]]:
    for condition in status.get("conditions") or ():
        if condition["type"] == "PodScheduled" and condition["status"] == "False":
            yield False, f"{condition.get('reason', '')}: {condition.get('message', '')}"
    containers = (status.get("initContainerStatuses") or []) + (
        status.get("containerStatuses") or []
    )
    for container in containers:
        waiting = (container.get("state") or {}).get("waiting")
        if waiting and waiting.get("reason") not in ("PodInitializing", "ContainerCreating"):
            reason = str(waiting.get("reason"))
            yield reason in HOPELESS, _said(container["name"], reason, waiting.get("message"))


def _said(container: str, reason: str, message: str | None) -> str:
    return f"{container} {reason}" + (f" ({message})" if message else "")


def url(service: Body | None, node_address: str | None) -> str | None:
    """Where it answers; a ClusterIP answers inside of its cluster only."""
    if service is None:
        return None
    kind, ports = service["spec"].get("type"), service["spec"].get("ports") or [{}]
    if kind == "LoadBalancer":
        ingress = ((service.get("status") or {}).get("loadBalancer") or {}).get("ingress") or []
        host = next((each.get("ip") or each.get("hostname") for each in ingress), None)
        return _address(host, SERVICE_PORT)
    if kind == "NodePort":
        return _address(node_address, ports[0].get("nodePort"))
    return _address(service["spec"].get("clusterIP"), SERVICE_PORT)


def _address(host: str | None, port: int | None) -> str | None:
    if not host or host == "None" or not port:
        return None
    name = f"[{host}]" if ":" in host else host
    return f"http://{name}" if port == SERVICE_PORT else f"http://{name}:{port}"


def _facts(
    layout: Layout, deployments: Sequence[Body], service: Body | None
) -> Iterator[tuple[str, str]]:
    for each in deployments:
        if component(each) == ENGINE:
            ready = (each.get("status") or {}).get("readyReplicas", 0)
            most = layout.release.scaling.maximum
            model = each["metadata"]["labels"].get(MODEL, each["metadata"]["name"])
            yield f"pods of {model}", f"{ready} of at most {most}"
    if service is not None and service["spec"].get("type") == "ClusterIP":
        yield (
            "from here",
            (f"kubectl port-forward -n {layout.home} service/{layout.name} 8080:{SERVICE_PORT}"),
        )
