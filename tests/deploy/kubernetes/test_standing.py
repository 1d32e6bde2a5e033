"""What a cluster's own words mean for a release."""

from __future__ import annotations

from typing import Any

import pytest

from deploy.kubernetes.made import layout
from pilotlight.deploy.kubernetes.standing import status, url

LAYOUT = layout()


def deployment(component: str, name: str, ready: int, wanted: int, **more: Any) -> dict[str, Any]:
    labels = {"app.kubernetes.io/component": component, "pilotlight.dev/model": "m"}
    return {
        "metadata": {"name": name, "labels": labels, "generation": 2},
        "spec": {
            "replicas": wanted,
            "template": {"spec": {"containers": [{"image": "registry.example.com/p:1"}]}},
        },
        "status": {
            "observedGeneration": 2, "replicas": wanted, "updatedReplicas": wanted,
            "availableReplicas": ready, "readyReplicas": ready, **more,
        },
    }  # fmt: skip


def pod(component: str, *, ready: bool, **status: Any) -> dict[str, Any]:
    labels = {"app.kubernetes.io/component": component}
    condition = {"type": "Ready", "status": "True" if ready else "False"}
    return {
        "metadata": {"name": f"{component}-pod", "labels": labels},
        "status": {"conditions": [condition, *status.pop("conditions", [])], **status},
    }


def waiting(reason: str, message: str) -> dict[str, Any]:
    state = {"waiting": {"reason": reason, "message": message}}
    return {"containerStatuses": [{"name": "engine", "state": state}]}


def service(**spec: Any) -> dict[str, Any]:
    ingress = spec.pop("ingress", [])
    return {"spec": spec, "status": {"loadBalancer": {"ingress": ingress}}}


def test_ready_with_its_pods() -> None:
    found = status(
        LAYOUT,
        [deployment("gateway", "chat", 1, 1), deployment("engine", "chat-m", 2, 2)],
        [pod("gateway", ready=True), pod("engine", ready=True), pod("engine", ready=False)],
        service(type="ClusterIP", clusterIP="10.0.0.7"),
    )
    assert (found.state, found.url, found.instances) == ("ready", "http://10.0.0.7", 1)
    assert found.image == "registry.example.com/p:1"
    assert ("pods of m", "2 of at most 4") in found.facts
    assert dict(found.facts)["from here"].startswith("kubectl port-forward -n chat")


def test_a_tunnel_is_where_it_answers() -> None:
    there = layout(url="http://127.0.0.1:18080")
    found = status(there, [deployment("gateway", "chat", 1, 1)], [], service(type="ClusterIP"))
    assert found.url == "http://127.0.0.1:18080"


def test_updating_until_every_pod_is_the_new_one() -> None:
    assert status(LAYOUT, [deployment("gateway", "chat", 0, 1)], [], None).state == "updating"
    unseen = deployment("gateway", "chat", 1, 1, observedGeneration=1)
    assert status(LAYOUT, [unseen], [], None).state == "updating"
    old = deployment("gateway", "chat", 1, 1, updatedReplicas=0)
    assert status(LAYOUT, [old], [], None).state == "updating"


@pytest.mark.parametrize(
    ("reason", "state"), [("ImagePullBackOff", "failed"), ("SomethingElse", "updating")]
)
def test_a_pod_that_will_never_start_is_a_failure(reason: str, state: str) -> None:
    stuck = pod("gateway", ready=False, **waiting(reason, "no such image"))
    found = status(LAYOUT, [deployment("gateway", "chat", 0, 1)], [stuck], None)
    assert found.state == state
    assert found.detail == f"gateway-pod: engine {reason} (no such image)"


def test_a_pod_that_fits_nowhere_says_why() -> None:
    words = "0/2 nodes are available: 2 Insufficient nvidia.com/gpu."
    condition = {
        "type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": words
    }  # fmt: skip
    stuck = pod("engine", ready=False, conditions=[condition])
    found = status(LAYOUT, [deployment("gateway", "chat", 1, 1)], [stuck], None)
    assert found.detail == f"engine-pod: Unschedulable: {words}"
    assert found.state == "ready", "the gateway answers; the engine may get its node yet"


def test_a_deadline_that_passed_is_a_failure() -> None:
    late = [{"type": "Progressing", "status": "False", "reason": "ProgressDeadlineExceeded"}]
    body = deployment("gateway", "chat", 0, 1, conditions=late)
    assert status(LAYOUT, [body], [], None).state == "failed"


@pytest.mark.parametrize(
    ("spec", "node", "expected"),
    [
        ({"type": "ClusterIP", "clusterIP": "fd00::1"}, None, "http://[fd00::1]"),
        ({"type": "ClusterIP", "clusterIP": "None"}, None, None),
        ({"type": "LoadBalancer", "ingress": [{"ip": "203.0.113.9"}]}, None, "http://203.0.113.9"),
        ({"type": "LoadBalancer", "ingress": [{"hostname": "lb.example"}]}, None,
         "http://lb.example"),
        ({"type": "LoadBalancer"}, None, None),
        ({"type": "NodePort", "ports": [{"nodePort": 30080}]}, "10.1.0.2", "http://10.1.0.2:30080"),
        ({"type": "NodePort", "ports": [{"nodePort": 30080}]}, None, None),
    ],
)  # fmt: skip
def test_where_it_answers(spec: dict[str, Any], node: str | None, expected: str | None) -> None:
    assert url(service(**spec), node) == expected
