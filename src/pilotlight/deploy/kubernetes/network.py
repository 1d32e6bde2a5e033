"""Who may reach whom: everybody the gateway, the gateway its engines, nobody else anything."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from urllib.parse import urlsplit

from pilotlight.deploy.instance_file import PORT
from pilotlight.deploy.kubernetes import cache
from pilotlight.deploy.kubernetes.document import Body, Document, metadata
from pilotlight.deploy.kubernetes.engine import ENGINE
from pilotlight.deploy.kubernetes.gateway import GATEWAY
from pilotlight.deploy.kubernetes.layout import NAMESPACE_LABEL, RELEASE, Layout, runs_elsewhere

_HTTPS, _API_SERVER, _DNS = 443, 6443, 53


def documents(layout: Layout) -> Iterator[Document]:
    if not layout.options.network_policies:
        return
    for tenant in dict.fromkeys((None, *layout.places)):
        namespace = layout.namespace_of(tenant)
        yield Document(
            "network", "What no other policy allows is refused.", _deny(layout, namespace)
        )
        if layout.of(tenant):
            yield Document(
                "network",
                "Engines answer the gateway alone. Where nothing enforces policies, they still\n"
                "ask for a key that only the gateway has.",
                _engines(layout, tenant),
            )
    yield Document("network", _WHY_GATEWAY, _gateway(layout))
    if cache.needs_helper(layout):
        helper = cache.helper_namespace(layout)
        yield Document("network", "The cache's helper talks to nobody.", _deny(layout, helper))


_WHY_GATEWAY = """\
The gateway is asked by clients, asks engines, and talks to the API server to scale them. HTTPS to
anywhere is that server on most clusters, and engines elsewhere; those may have other ports."""


def _deny(layout: Layout, namespace: str) -> Body:
    # A namespace that isn't ours holds pods that are none of our business.
    own = {} if layout.options.create_namespace else {"matchLabels": {RELEASE: layout.name}}
    return _policy(layout, namespace, "deny", own, {"policyTypes": ["Ingress", "Egress"]})


def _gateway(layout: Layout) -> Body:
    engines = [
        {
            "namespaceSelector": _namespace(layout.namespace_of(tenant)),
            "podSelector": {"matchLabels": layout.selector(ENGINE)},
        }
        for tenant in layout.places
    ]
    egress = [
        _dns(),
        {"ports": [_tcp(port) for port in sorted({_HTTPS, _API_SERVER, *_elsewhere(layout)})]},
        *([{"to": engines, "ports": [_tcp(PORT)]}] if engines else []),
    ]
    ingress: Body = {"ports": [_tcp(PORT)]}
    if layout.options.ingress_namespaces:
        ingress["from"] = [
            {"namespaceSelector": _namespace(name)} for name in layout.options.ingress_namespaces
        ]
    rules = {"policyTypes": ["Ingress", "Egress"], "ingress": [ingress], "egress": egress}
    selector = {"matchLabels": layout.selector(GATEWAY)}
    return _policy(layout, layout.home, "gateway", selector, rules)


def _elsewhere(layout: Layout) -> Iterator[int]:
    """Ports of engines that run already, wherever that is."""
    for entry in layout.entries.values():
        options = entry.get("options") or {}
        url = options.get("endpoint") or options.get("base_url")
        if url and runs_elsewhere(entry):
            parts = urlsplit(str(url))
            with suppress(ValueError):  # no port at all, which the gateway says of its file
                yield parts.port or (80 if parts.scheme == "http" else _HTTPS)


def _engines(layout: Layout, tenant: str | None) -> Body:
    gateway = {
        "namespaceSelector": _namespace(layout.home),
        "podSelector": {"matchLabels": layout.selector(GATEWAY)},
    }
    rules: Body = {
        "policyTypes": ["Ingress", "Egress"],
        "ingress": [{"from": [gateway], "ports": [_tcp(PORT)]}],
    }
    if any(engine.source != "image" for engine in layout.of(tenant)):
        # Weights come over HTTPS, and only before the engine is there.
        rules["egress"] = [_dns(), {"ports": [_tcp(_HTTPS)]}]
    selector = {"matchLabels": layout.selector(ENGINE)}
    return _policy(layout, layout.namespace_of(tenant), "engines", selector, rules)


def _policy(layout: Layout, namespace: str, name: str, selector: Body, rules: Body) -> Body:
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": metadata(f"{layout.name}-{name}", namespace, layout.labels(name)),
        "spec": {"podSelector": selector, **rules},
    }


def _namespace(name: str) -> Body:
    return {"matchLabels": {NAMESPACE_LABEL: name}}


def _dns() -> Body:
    ports = [{"protocol": protocol, "port": _DNS} for protocol in ("UDP", "TCP")]
    return {"to": [{"namespaceSelector": _namespace("kube-system")}], "ports": ports}


def _tcp(port: int) -> Body:
    return {"protocol": "TCP", "port": port}
