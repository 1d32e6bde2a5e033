"""What a cluster has, seen as what is wanted of it: only those fields, in that form."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable, Mapping
from typing import Any

from pilotlight.deploy.kubernetes import engine_key
from pilotlight.deploy.kubernetes.document import Body, resource_name
from pilotlight.deploy.kubernetes.documents import documents
from pilotlight.deploy.kubernetes.engine import ENGINE
from pilotlight.deploy.kubernetes.layout import COMPONENT, Layout

LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"
"""Annotation in which `kubectl apply` keeps what it was given, to know later what is gone."""

_EMPTY: tuple[Any, ...] = (False, 0, "", [], {})
"""Values that an API server leaves out of what it answers."""


def wanted(layout: Layout) -> dict[str, Body]:
    """Every document by name, the engines' key among them, as the API server would hold it."""
    made = {each.resource: _held(each.body) for each in documents(layout)}
    keys = {resource_name(s): s for s in _stubs(layout)}
    spaces = {name: body for name, body in made.items() if body["kind"] == "Namespace"}
    rest = {name: body for name, body in made.items() if name not in spaces}
    return {**spaces, **keys, **rest}


def _stubs(layout: Layout) -> list[Body]:
    return [engine_key.stub(layout, place) for place in engine_key.places(layout)]


def _held(body: Body) -> Body:
    """Texts of a Secret are kept encoded."""
    if "stringData" not in body:
        return body
    data = {k: base64.b64encode(v.encode()).decode() for k, v in body["stringData"].items()}
    return {**{key: value for key, value in body.items() if key != "stringData"}, "data": data}


def is_key(body: Mapping[str, Any]) -> bool:
    return body.get("data") == engine_key.MADE


def seen(found: Iterable[Body], wanted: Mapping[str, Body]) -> dict[str, Body]:
    """The live ones in `wanted`'s form and order; what nobody wants follows, spaces first."""
    live = {resource_name(each): each for each in found}
    known = {name: _as(body, live[name]) for name, body in wanted.items() if name in live}
    rest = [name for name in live if name not in wanted]
    rest.sort(key=lambda name: live[name]["kind"] != "Namespace")
    return {**known, **{name: _bare(live[name]) for name in rest}}


def _as(wanted: Body, live: Body) -> Body:
    if is_key(wanted):
        return wanted
    form: Body = projected(live, wanted, last_applied(live))
    # An old server has a kind in an old version; which one is no difference.
    form["apiVersion"] = wanted["apiVersion"]
    if is_scaled(wanted):
        # How many there are is the gateway's to say, not ours.
        form["spec"]["replicas"] = wanted["spec"]["replicas"]
    return form


def is_scaled(body: Mapping[str, Any]) -> bool:
    labels = body["metadata"].get("labels") or {}
    return body["kind"] == "Deployment" and labels.get(COMPONENT) == ENGINE


def last_applied(live: Mapping[str, Any]) -> Body | None:
    """As it was last applied; None where `kubectl apply` didn't make it."""
    text = (live["metadata"].get("annotations") or {}).get(LAST_APPLIED)
    return None if text is None else dict(json.loads(text))


def projected(live: Any, wanted: Any, applied: Any = None) -> Any:
    """`live`'s values at `wanted`'s places; a server's own defaults are no part of it.

    What was `applied` before and isn't wanted any more is: it has to go.
    """
    if isinstance(wanted, dict) and isinstance(live, dict):
        before = applied if isinstance(applied, dict) else {}
        kept = {
            key: projected(live[key], inner, before.get(key)) if key in live else inner
            for key, inner in wanted.items()
            if key in live or inner in _EMPTY
        }
        gone = [key for key in before if key not in wanted and before[key] not in _EMPTY]
        return {**kept, **{key: live[key] for key in gone if key in live}}
    if isinstance(wanted, list) and isinstance(live, list) and len(wanted) == len(live):
        alike = isinstance(applied, list) and len(applied) == len(live)
        earlier = applied if alike else [None] * len(live)
        return [projected(*each) for each in zip(live, wanted, earlier, strict=True)]
    return live


def _bare(live: Body) -> Body:
    metadata = live["metadata"]
    kept = {key: metadata[key] for key in ("name", "namespace", "labels") if key in metadata}
    return {"apiVersion": live["apiVersion"], "kind": live["kind"], "metadata": kept}


OLD_VERSIONS: Mapping[str, str] = {"policy/v1": "policy/v1beta1"}
"""Of kinds whose older form is the same in every field that is used here."""


def for_server(body: Body, versions: frozenset[str]) -> Body:
    """In a version that the server has."""
    version = body["apiVersion"]
    old = OLD_VERSIONS.get(version)
    if version not in versions and old in versions:
        return {**body, "apiVersion": old}
    return body
