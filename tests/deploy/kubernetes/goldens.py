"""The rendered files as they are kept: `python -m deploy.kubernetes.goldens` writes them anew.

Whole for the smallest release; of the others, what is only theirs.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

from deploy.kubernetes.made import RELEASES
from pilotlight.deploy.kubernetes.cluster import ClusterOptions
from pilotlight.deploy.kubernetes.cluster import render as render_cluster
from pilotlight.deploy.kubernetes.verbs import KubernetesTarget

FOLDER = Path(__file__).parent / "goldens"
WHOLE = "small"
CLUSTERS = {
    "cluster-l4": ClusterOptions(),
    "cluster-tpu": ClusterOptions(
        name="tpu", project="my-project", machine="ct5lp-hightpu-8t", spot=True,
        authorized=("203.0.113.0/24",),
    ),
}  # fmt: skip


def files() -> Iterator[tuple[str, str]]:
    for name, release in RELEASES.items():
        for path, text in KubernetesTarget().render(release).items():
            if name == WHOLE or path in ("README.md", "manifests.yaml", "chart/values.yaml"):
                yield f"{name}/{path}", text
    for name, options in CLUSTERS.items():
        for path, text in render_cluster(options).items():
            yield f"{name}/{path}", text


def write() -> None:
    shutil.rmtree(FOLDER, ignore_errors=True)
    for path, text in files():
        place = FOLDER / path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(text)


if __name__ == "__main__":
    write()
