"""On a cluster that is there: weights kept on nodes, tenants, and failures taken back."""

from __future__ import annotations

import json
import os
import urllib.request
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from deploy.cluster.tool import Cluster, up
from deploy.image.built import MODEL, REF, built_image, environment, make_keys
from deploy.kubernetes.made import GIB
from pilotlight.config import Bytes, Seconds
from pilotlight.deploy.kubernetes.layout import KubernetesRelease
from pilotlight.deploy.kubernetes.options import KubernetesOptions
from pilotlight.deploy.kubernetes.verbs import KubernetesTarget
from pilotlight.deploy.release import Release
from pilotlight.deploy.resources import Change, changes
from pilotlight.deploy.size import Scaling, Size
from pilotlight.errors import DeployError

pytestmark = pytest.mark.platforms

TARGET = KubernetesTarget()
NAME, SECOND = "parts", "second"
ANSWER_S = 180.0
KEYS, SECRET = make_keys()


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    with up(nodes=1) as made:
        yield made


@pytest.fixture(scope="module")
def image(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> str:
    built = os.environ.get("CLUSTER_IMAGE") or built_image("wheel")
    return cluster.load(built, tmp_path_factory.mktemp("image"), environment())


def release(cluster: Cluster, image: str, **options: Any) -> KubernetesRelease:
    entry = {"ref": REF, "options": {"context": 2048, "parallel": 4}}
    chosen: dict[str, Any] = {
        # The tool asks this variable which of its clusters is meant.
        "kubectl": f"env KUBECONFIG={cluster.kubeconfig} {cluster.program} kubectl",
        "kubeconfig": cluster.kubeconfig,
        "pull_policy": "Never", "gateway_vcpus": 0.1, "gateway_memory": Bytes(GIB // 2),
        "drain": Seconds(5.0), "wait": Seconds(120.0), **options,
    }  # fmt: skip
    return Release(
        name=NAME,
        serve={"models": {MODEL: entry, SECOND: entry}},
        image=image,
        size=Size(vcpus=0.5, memory_bytes=GIB, disk_bytes=GIB),
        scaling=Scaling(concurrency=4, minimum=0, maximum=1, idle_s=60, request_timeout_s=ANSWER_S),
        models="mount" if options.get("models") == "mount" else "image",
        keys=json.loads(KEYS),
        options=KubernetesOptions(**chosen),
    )


@pytest.fixture
def plain(cluster: Cluster, image: str) -> Iterator[KubernetesRelease]:
    made = release(cluster, image)
    try:
        yield made
    finally:
        TARGET.delete(replace(made, image=None), lambda line: None)
        assert TARGET.live(made) == {}, "nothing is left behind"


def todo(wanted: KubernetesRelease) -> list[Change]:
    return list(changes(TARGET.live(wanted), TARGET.wanted(wanted)))


def put_up(wanted: KubernetesRelease) -> None:
    assert not TARGET.check(wanted)
    assert TARGET.apply(wanted, todo(wanted), lambda line: None).state == "ready"
    assert todo(wanted) == [], "what was applied is what is wanted"


def ask(wanted: KubernetesRelease, model: str) -> str:
    body = {"model": model, "max_tokens": 8, "messages": [{"role": "user", "content": "Hi"}]}
    request = urllib.request.Request(
        f"{TARGET.status(wanted).url}/v1/chat/completions",
        json.dumps(body).encode(),
        {"Authorization": f"Bearer {SECRET}", "Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=ANSWER_S) as answer:
        return str(json.load(answer)["choices"][0]["message"]["content"])


def test_a_tenant_comes_and_what_fails_is_taken_back(
    cluster: Cluster, image: str, plain: KubernetesRelease
) -> None:
    put_up(plain)
    assert ask(plain, SECOND)
    tenants = {"tenants": {"team": {"models": [SECOND]}}}
    shared = release(cluster, image, **tenants)
    put_up(shared)
    assert ask(shared, SECOND), "in its own namespace now, with a key of its own"
    assert ask(shared, MODEL)
    broken = replace(
        release(cluster, image, wait=Seconds(15.0), **tenants), image="localhost/no-such:1"
    )
    with pytest.raises(DeployError, match="ErrImageNeverPull"):
        TARGET.apply(broken, todo(broken), lambda line: None)
    assert todo(shared) == [], "as it was before"
    assert ask(shared, SECOND)
    put_up(plain)
    assert ask(plain, SECOND)
    spaces = json.loads(cluster.kubectl("get", "namespaces", "-o", "json"))["items"]
    assert f"{NAME}-team" not in {each["metadata"]["name"] for each in spaces}


def _seed(cluster: Cluster, image: str) -> None:
    """As a fetch would have: the nodes here have no way out to fetch by."""
    container = {
        "name": "seed", "image": image, "imagePullPolicy": "Never",
        "command": ["sh", "-c", "cp -a /models/. /cache/"],
        "resources": {"requests": {"cpu": "50m", "memory": "64Mi"}, "limits": {"memory": "1Gi"}},
        "volumeMounts": [{"name": "cache", "mountPath": "/cache"}],
    }  # fmt: skip
    claim = {"name": "cache", "persistentVolumeClaim": {"claimName": f"{NAME}-cache"}}
    overrides = {
        "spec": {
            "containers": [container], "volumes": [claim],
            "securityContext": {"runAsUser": 10001, "runAsNonRoot": True},
        }
    }  # fmt: skip
    words = ("run", "seed", "-n", NAME, f"--image={image}", "--restart=Never", "--attach", "--rm")
    cluster.kubectl(*words, f"--overrides={json.dumps(overrides)}", "--quiet", timeout_s=120.0)


def test_weights_are_kept_on_the_node_and_only_read_by_engines(
    cluster: Cluster, image: str, tmp_path: Path
) -> None:
    """The directory is the node's own; a helper hands it over, and pods stay restricted."""
    folder = tmp_path / "cache"
    wanted = release(
        cluster, image, models="mount", cache_path=str(folder), cache_size=Bytes(2 * GIB)
    )
    try:
        put_up(wanted)
        _seed(cluster, image)
        assert ask(wanted, MODEL)
        [pod] = cluster.items("pods", NAME, "pilotlight.dev/model=smollm2-135m")
        [fetch] = pod["status"]["initContainerStatuses"]
        assert fetch["state"]["terminated"]["exitCode"] == 0
        writes = "touch /cache/x 2>&1 || true"
        words = ("exec", "-n", NAME, pod["metadata"]["name"], "--", "sh", "-c", writes)
        assert "Read-only file system" in cluster.kubectl(*words)
    finally:
        TARGET.delete(wanted, lambda line: None)
    assert TARGET.live(wanted) == {}
