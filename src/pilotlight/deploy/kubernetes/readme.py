"""The page that stands beside the rendered files."""

from __future__ import annotations

from collections.abc import Sequence

from pilotlight.deploy.kubernetes import cache
from pilotlight.deploy.kubernetes.document import Document
from pilotlight.deploy.kubernetes.gateway import SERVICE_PORT
from pilotlight.deploy.kubernetes.layout import Layout
from pilotlight.quantities import about_bytes, about_seconds


def readme(layout: Layout, documents: Sequence[Document]) -> str:
    parts = (_head(layout), _by_hand(layout, documents), _asking(layout), _facts(layout))
    return "\n".join(parts)


def _head(layout: Layout) -> str:
    return f"""\
# {layout.name} on Kubernetes

Written by `pilotlight deploy render kubernetes`: change what it is made from, not these files.
`pilotlight deploy apply kubernetes` does all of what follows, and takes it back when it fails.

| file | is |
| --- | --- |
| `manifests.yaml` | everything, for `kubectl apply` |
| `kustomize/` | the same as a base and an overlay for this deployment |
| `chart/` | the same as a Helm chart |
| `engine-key.sh` | makes the engines' key, which no file holds |
| `grafana/dashboard.json` | the dashboard, to import by hand |
"""


def _by_hand(layout: Layout, documents: Sequence[Document]) -> str:
    first = [each for each in documents if each.group == "namespace"]
    ready = "" if not first else (
        "kubectl apply -f kustomize/overlays/" + f"{layout.name}/namespace.yaml\n"
    )  # fmt: skip
    return f"""\
## By hand

One of these three:

```sh
{ready}sh engine-key.sh && kubectl apply -f manifests.yaml
```

```sh
{ready}sh engine-key.sh && kubectl apply -k kustomize/overlays/{layout.name}
```

```sh
helm install {layout.name} chart --namespace {layout.home} --create-namespace
```

Applied by hand again, `manifests.yaml` sets each engine back to `replicas: \
{layout.release.scaling.minimum}`;
the gateway starts them again when they are asked. The chart and `deploy apply` leave the number
alone.
"""


def _asking(layout: Layout) -> str:
    model = next(iter(layout.entries), "MODEL")
    return f"""\
## Asking it

```sh
kubectl rollout status -n {layout.home} deployment/{layout.name}
kubectl port-forward -n {layout.home} service/{layout.name} 8080:{SERVICE_PORT} &
curl http://127.0.0.1:8080/v1/chat/completions -H "Authorization: Bearer $PILOTLIGHT_API_KEY" \\
  -H 'Content-Type: application/json' \\
  -d '{{"model": "{model}", "messages": [{{"role": "user", "content": "Hello"}}]}}'
```
"""


def _facts(layout: Layout) -> str:
    scaling, size = layout.release.scaling, layout.release.size
    lines = [
        "## What it is",
        "",
        f"- {layout.options.gateways} × gateway; {_counted(layout)}",
        f"- each pod of an engine has {size.vcpus:g} vCPUs, {about_bytes(size.memory_bytes)}"
        + (f" and {size.gpus} × {size.gpu}" if size.gpus else "")
        + f", and is given {scaling.concurrency} requests at once",
        f"- a pod without requests goes after {about_seconds(scaling.idle_s)}",
    ]
    if layout.machine is not None:
        lines.append(f"- engines run on {layout.machine.name} or any node with its label")
    if cache.needs_helper(layout):
        lines.append(
            f"- weights are kept on each node in `{layout.options.cache_path}`; nobody removes them"
            " but you"
        )
    return "\n".join([*lines, ""])


def _counted(layout: Layout) -> str:
    scaling = layout.release.scaling
    return "; ".join(
        f"{scaling.minimum} to {scaling.maximum} × {engine.model} ({engine.image.title})"
        for engine in layout.engines
    )
