"""The documents as a Helm chart: the same ones, with holes where values are put in.

Nothing is written twice. Each hole takes its value out of a document and into values.yaml, so a
chart with its own values makes the documents that it was made of.
"""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pilotlight.deploy.kubernetes import engine_key, pods
from pilotlight.deploy.kubernetes.document import Document, commented, dumped
from pilotlight.deploy.kubernetes.engine import ENGINE
from pilotlight.deploy.kubernetes.gateway import GATEWAY
from pilotlight.deploy.kubernetes.layout import COMPONENT, MODEL, NAMESPACE_LABEL, RELEASE, Layout

CHART = "chart"
VERSION = "0.1.0"
_TOKEN = re.compile(r"^(?P<before>\s*(?:- )*[^\n]*?)'?HOLE(?P<index>\d+)HOLE'?$", re.MULTILINE)

Path = tuple[str | int, ...]
_CONTAINERS: Path = ("spec", "template", "spec", "containers")
_FIRST: Path = (*_CONTAINERS, 0)
_POD: Path = ("spec", "template", "spec")


@dataclass(frozen=True, slots=True)
class Hole:
    expression: str
    block: bool = False
    """The value has lines of its own below its key."""


@dataclass(slots=True)
class _Chart:
    """Values as they are found, and the holes that they left."""

    values: dict[str, Any] = field(default_factory=dict)
    holes: list[Hole] = field(default_factory=list)

    def put(self, hole: Hole) -> str:
        self.holes.append(hole)
        return f"HOLE{len(self.holes) - 1}HOLE"

    def take(self, body: Any, path: Path, value: Path, *, form: str = "") -> None:
        """Move what is at `path` of `body` to `value` of the values."""
        target = _inside(body, path[:-1])
        key = path[-1]
        if target is None or not _has(target, key):
            return
        found = target[key]
        _set(self.values, value, found)
        block = isinstance(found, dict | list)
        expression = form.format(_expression(value)) if form else _expression(value)
        target[key] = self.put(Hole(expression if form or not block else f"toYaml {expression}",
                                    block))  # fmt: skip


def files(layout: Layout, documents: Sequence[Document]) -> Iterator[tuple[str, str]]:
    chart = _Chart()
    _set(chart.values, ("image",), layout.image)
    _set(chart.values, ("pullPolicy",), layout.options.pull_policy)
    templates = {each.resource: _template(layout, chart, each) for each in documents}
    yield f"{CHART}/Chart.yaml", _chart_file(layout)
    yield f"{CHART}/values.yaml", commented(_VALUES, dumped(chart.values))
    yield f"{CHART}/templates/engine-key.yaml", _key_template(layout)
    for group in dict.fromkeys(each.group for each in documents):
        texts = [templates[each.resource] for each in documents if each.group == group]
        yield f"{CHART}/templates/{group}.yaml", "---\n".join(text for text in texts if text)


_VALUES = """\
What can be chosen at `helm install`; each value is what the plan and the configuration said.
Models, their options and their ConfigMaps are rendered from pilotlight.yaml: render the chart anew
for those."""


def _chart_file(layout: Layout) -> str:
    return dumped({
        "apiVersion": "v2",
        "name": layout.name,
        "description": f"Pilotlight: {', '.join(layout.entries)} behind one address",
        "type": "application",
        "version": VERSION,
        "kubeVersion": ">=1.21.0-0",
    })  # fmt: skip


def _template(layout: Layout, chart: _Chart, document: Document) -> str:
    if document.kind == "Namespace" and document.name == layout.home:
        # Helm's own: `helm install --create-namespace`.
        return "# The release's own namespace is made by `helm install --create-namespace`.\n"
    body = copy.deepcopy(document.body)
    for path, value, form in _openings(layout, document):
        chart.take(body, path, value, form=form)
    _open_everywhere(layout, chart, body)
    return commented(document.why, _filled(_escaped(dumped(body)), chart.holes))


def _openings(layout: Layout, document: Document) -> Iterator[tuple[Path, Path, str]]:
    """What of this document is a value: where it stands, where it goes, and in what form."""
    labels = document.body["metadata"]["labels"]
    component, kind = labels.get(COMPONENT), document.kind
    if kind == "Deployment" and component == GATEWAY:
        yield ("spec", "replicas"), ("gateway", "replicas"), ""
        yield (*_FIRST, "resources"), ("gateway", "resources"), ""
    elif kind == "Deployment" and component == ENGINE:
        yield from _engine_openings(document, ("models", labels[MODEL]), layout)
    elif kind == "Service":
        yield ("spec", "type"), ("gateway", "service"), ""
    elif kind == "Secret":
        yield ("stringData", pods.KEYS_KEY), ("keys",), "{} | quote"
    elif kind == "ResourceQuota":
        tenant = _tenant(layout, document)
        place: Path = ("quota",) if tenant is None else ("tenants", tenant, "quota")
        yield ("spec", "hard"), place, ""


def _engine_openings(
    document: Document, place: Path, layout: Layout
) -> Iterator[tuple[Path, Path, str]]:
    namespace = _quoted_namespace(layout, str(document.namespace))
    # An upgrade must not send away the pods that the gateway has started.
    live = f'(lookup "apps/v1" "Deployment" {namespace} {json.dumps(document.name)})'
    yield ("spec", "replicas"), (*place, "replicas"), f'dig "spec" "replicas" {{}} {live}'
    first = _inside(document.body, _FIRST)
    if first["image"] != layout.image:
        yield (*_FIRST, "image"), (*place, "image"), ""
    yield (*_FIRST, "resources"), (*place, "resources"), ""
    yield (*_POD, "nodeSelector"), (*place, "nodeSelector"), ""
    yield (*_POD, "tolerations"), (*place, "tolerations"), ""


def _tenant(layout: Layout, document: Document) -> str | None:
    return next((t for t in layout.tenants if layout.namespace_of(t) == document.namespace), None)


def _open_everywhere(layout: Layout, chart: _Chart, value: Any) -> None:
    """Our image, its pull policy and the release's namespace, wherever they stand."""
    if isinstance(value, list):
        for inner in value:
            _open_everywhere(layout, chart, inner)
        return
    if not isinstance(value, dict):
        return
    for key, inner in value.items():
        if key == "image" and inner == layout.image:
            value[key] = chart.put(Hole(".Values.image"))
        elif key == "imagePullPolicy":
            value[key] = chart.put(Hole(".Values.pullPolicy"))
        elif key in ("namespace", NAMESPACE_LABEL) and inner == layout.home:
            value[key] = chart.put(Hole(".Release.Namespace"))
        else:
            _open_everywhere(layout, chart, inner)


def _escaped(text: str) -> str:
    """Braces of ours, such as those of Grafana's legends, are none of Helm's."""
    return text.replace("{{", '{{ "{{" }}')


def _filled(text: str, holes: Sequence[Hole]) -> str:
    def fill(match: re.Match[str]) -> str:
        hole = holes[int(match["index"])]
        before = match["before"]
        if not hole.block:
            return f"{before}{{{{ {hole.expression} }}}}"
        indent = len(before) - len(before.lstrip(" -")) + 2
        below = f"{' ' * indent}{{{{- {hole.expression} | nindent {indent} }}}}"
        return f"{before.rstrip()}\n{below}"

    return _TOKEN.sub(fill, text)


def _expression(path: Path) -> str:
    """A key with a dash can't be written with a dot."""
    if all(re.fullmatch(r"\w+", str(part)) for part in path):
        return ".Values." + ".".join(map(str, path))
    return f"(index .Values {' '.join(json.dumps(part) for part in path)})"


def _inside(body: Any, path: Path) -> Any:
    for part in path:
        if not _has(body, part):
            return None
        body = body[part]
    return body


def _has(body: Any, part: str | int) -> bool:
    if isinstance(part, int):
        return isinstance(body, list) and len(body) > part
    return isinstance(body, Mapping) and part in body


def _set(tree: dict[str, Any], path: Path, value: Any) -> None:
    for part in path[:-1]:
        tree = tree.setdefault(str(part), {})
    tree[str(path[-1])] = copy.deepcopy(value)


def _quoted_namespace(layout: Layout, namespace: str) -> str:
    return ".Release.Namespace" if namespace == layout.home else json.dumps(namespace)


_KEY_HEAD = """\
# The key that engines ask their gateway for: at random at the first install, the same ever after.
"""


def _key_template(layout: Layout) -> str:
    parts = [_KEY_HEAD]
    for tenant in layout.places:
        where = [place for place in engine_key.places(layout) if place.tenant == tenant]
        parts.append(_key_of(layout, where))
    return "".join(parts)


def _key_of(layout: Layout, where: Sequence[engine_key.KeyPlace]) -> str:
    first = _quoted_namespace(layout, where[0].namespace)
    lines = [
        f'{{{{- $live := lookup "v1" "Secret" {first} {json.dumps(where[0].name)} }}}}',
        "{{- $id := randAlphaNum 8 | lower }}",
        "{{- $secret := randAlphaNum 43 }}",
        '{{- $key := dict "id" $id "name" "gateway" "role" "user" "created_s" 0 '
        '"digest" (sha256sum $secret) }}',
        '{{- $file := dict "version" 1 "keys" (list $key) | toJson | b64enc }}',
        '{{- $made := dict "key" (printf "pl-%s-%s" $id $secret | b64enc) '
        f'"{pods.KEYS_KEY}" $file }}}}',
    ]
    for place in where:
        namespace = _quoted_namespace(layout, place.namespace)
        lines += [
            "---",
            "apiVersion: v1",
            "kind: Secret",
            "metadata:",
            f"  name: {place.name}",
            f"  namespace: {{{{ {namespace} }}}}",
            "  labels:",
            f"    {RELEASE}: {layout.name}",
            "type: Opaque",
            "data:",
            '  {{- dig "data" $made $live | toYaml | nindent 2 }}',
        ]
    return "\n".join([*lines, ""])
