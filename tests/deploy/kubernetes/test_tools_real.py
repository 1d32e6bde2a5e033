"""The rendered files as their own tools read them: helm, kustomize, terraform, a shell."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from deploy.kubernetes.goldens import CLUSTERS
from deploy.kubernetes.made import RELEASES
from pilotlight.deploy.kubernetes.cluster import render as render_cluster
from pilotlight.deploy.kubernetes.documents import documents
from pilotlight.deploy.kubernetes.layout import Layout
from pilotlight.deploy.kubernetes.verbs import KubernetesTarget

pytestmark = pytest.mark.platforms

LIMIT_S = 120


def tool(name: str) -> str:
    found = shutil.which(name)
    if found is None:
        pytest.skip(f"{name} is not installed")
    return found


def written(files: Mapping[str, str], folder: Path) -> Path:
    for path, text in files.items():
        place = folder / path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(text)
    return folder


def run(*words: str, folder: Path) -> str:
    done = subprocess.run(
        words, cwd=folder, capture_output=True, text=True, timeout=LIMIT_S, check=False
    )
    assert done.returncode == 0, f"{' '.join(words)}: {done.stdout}{done.stderr}"
    return done.stdout


def by_name(text: str) -> dict[str, Any]:
    found = [each for each in yaml.safe_load_all(text) if each]
    names = [(b["kind"], b["metadata"].get("namespace"), b["metadata"]["name"]) for b in found]
    assert len(names) == len(set(names))
    return {"/".join(map(str, n)): body for n, body in zip(names, found, strict=True)}


def wanted(name: str) -> dict[str, Any]:
    made = documents(Layout(RELEASES[name]))
    return {f"{d.kind}/{d.namespace}/{d.name}": d.body for d in made}


@pytest.fixture
def helm() -> str:
    return tool("helm")


@pytest.mark.parametrize("name", RELEASES)
def test_the_chart_with_its_own_values_is_the_manifests(
    name: str, tmp_path: Path, helm: str
) -> None:
    """But for the namespace, which Helm makes, and the engines' key, which it makes at random."""
    folder = written(KubernetesTarget().render(RELEASES[name]), tmp_path)
    home = Layout(RELEASES[name]).home
    run(helm, "lint", "chart", folder=folder)
    made = by_name(run(helm, "template", "chat", "chart", "--namespace", home, folder=folder))
    keys = {key: made.pop(key) for key in list(made) if "-engine-key" in key}
    assert keys
    for body in keys.values():
        assert set(body["data"]) == {"key", "keys.json"}
    expected = wanted(name)
    del expected[f"Namespace/None/{home}"]
    assert made == expected


def test_values_of_the_chart_are_taken(tmp_path: Path, helm: str) -> None:
    folder = written(KubernetesTarget().render(RELEASES["tenants"]), tmp_path)
    values = {
        "image": "registry.example.com/other:2",
        "gateway": {"replicas": 3, "service": "LoadBalancer"},
        "models": {
            "small": {"replicas": 2, "resources": {"limits": {"memory": "9Gi"}}},
            "big-model": {"nodeSelector": {"pool": "mine"}, "image": "vllm:mine"},
        },
        "tenants": {"research": {"quota": {"pods": "9"}}},
    }
    (folder / "mine.yaml").write_text(json.dumps(values))
    words = (helm, "template", "chat", "chart", "-n", "elsewhere", "-f", "mine.yaml")
    made = by_name(run(*words, folder=folder))
    gateway = made["Deployment/elsewhere/chat"]["spec"]
    assert gateway["replicas"] == 3
    assert gateway["template"]["spec"]["containers"][0]["image"] == "registry.example.com/other:2"
    assert made["Service/elsewhere/chat"]["spec"]["type"] == "LoadBalancer"
    small = made["Deployment/elsewhere/chat-small"]["spec"]
    assert small["replicas"] == 2
    assert small["template"]["spec"]["containers"][0]["resources"]["limits"]["memory"] == "9Gi"
    big = made["Deployment/models-research/chat-big-model"]["spec"]["template"]["spec"]
    assert big["nodeSelector"]["pool"] == "mine"
    assert big["containers"][0]["image"] == "vllm:mine"
    assert made["ResourceQuota/models-research/chat"]["spec"]["hard"]["pods"] == "9"
    [subject] = made["RoleBinding/models-research/chat-scaler"]["subjects"]
    assert subject["namespace"] == "elsewhere"


@pytest.mark.parametrize("name", RELEASES)
def test_the_overlay_is_the_manifests(name: str, tmp_path: Path) -> None:
    kubectl = tool("kubectl")
    folder = written(KubernetesTarget().render(RELEASES[name]), tmp_path)
    if subprocess.run(
        [kubectl, "kustomize", "--help"], capture_output=True, check=False
    ).returncode:
        pytest.skip("this kubectl has no kustomize")
    made = by_name(run(kubectl, "kustomize", "kustomize/overlays/chat", folder=folder))
    assert made == wanted(name)


@pytest.mark.parametrize("name", RELEASES)
def test_the_plain_file_is_the_documents(name: str) -> None:
    assert by_name(KubernetesTarget().render(RELEASES[name])["manifests.yaml"]) == wanted(name)


def _models() -> Mapping[str, Any]:
    """The operators' own kinds, as somebody generated them from their definitions."""
    keda = pytest.importorskip("cloudcoil.models.keda.v1alpha1", reason="no cloudcoil.models.keda")
    prometheus = pytest.importorskip(
        "cloudcoil.models.prometheus_operator.v1", reason="no cloudcoil.models.prometheus-operator"
    )
    return {"ScaledObject": keda.ScaledObject, "ServiceMonitor": prometheus.ServiceMonitor}


def _understood(model: Any, body: Any) -> Any:
    """What is left of `body` once it was read: such a model drops what it doesn't know."""
    return model.model_validate(body).model_dump(by_alias=True, exclude_unset=True, mode="json")


def test_operators_understand_every_field_of_their_kinds() -> None:
    models = _models()
    found = [body for body in wanted("tenants").values() if body["kind"] in models]
    assert len(found) == 3
    for body in found:
        model = models[body["kind"]]
        assert _understood(model, body) == body
        wrong = {**body, "spec": {**body["spec"], "pollingIntervall": 5}}
        assert _understood(model, wrong) != wrong


@pytest.mark.parametrize("name", CLUSTERS)
def test_terraform_finds_its_files_well_formed(name: str, tmp_path: Path) -> None:
    terraform = tool("terraform")
    folder = written(render_cluster(CLUSTERS[name]), tmp_path)
    run(terraform, "fmt", "-check", "-diff", "terraform", folder=folder)
    started = subprocess.run(
        [terraform, "-chdir=terraform", "init", "-backend=false", "-input=false"],
        cwd=folder, capture_output=True, text=True, timeout=LIMIT_S, check=False,
    )  # fmt: skip
    if started.returncode:
        pytest.skip("terraform has no google provider here; only its form was checked")
    run(terraform, "-chdir=terraform", "validate", folder=folder)


@pytest.mark.parametrize("name", CLUSTERS)
def test_gcloud_knows_every_flag(name: str) -> None:
    """Its own linter, which asks nobody: neither Google nor for credentials."""
    gcloud = tool("gcloud")
    text = render_cluster(CLUSTERS[name])["cluster.sh"].replace("\\\n", " ")
    commands = [line.strip() for line in text.splitlines() if line.strip().startswith("gcloud")]
    assert len(commands) == 3
    for command in commands:
        for variable, value in {"$ZONE": "z", "$CLUSTER": "c", "$PROJECT": "p"}.items():
            command = command.replace(variable, value)
        words = (gcloud, "meta", "lint-gcloud-commands", f"--command-string={command}")
        printed = run(*words, "--format=json", folder=Path("/"))
        found, _ = json.JSONDecoder().raw_decode(printed)
        assert [each["success"] for each in found] == [True], command


@pytest.mark.parametrize("name", CLUSTERS)
def test_the_clusters_scripts_call_what_there_is(name: str, tmp_path: Path) -> None:
    """gcloud, kubectl and pilotlight are stood in for, and write down what they are told."""
    folder = written(render_cluster(CLUSTERS[name]), tmp_path)
    told = tmp_path / "told"
    for program in ("gcloud", "kubectl", "pilotlight"):
        place = tmp_path / "bin" / program
        place.parent.mkdir(exist_ok=True)
        place.write_text(
            f'#!/bin/sh\necho "{program} $*" >> {told}\n'
            'case "$*" in *describe*) exit 1;; *get\\ service*) echo chat chat;; esac\n'
        )
        place.chmod(0o755)
    environment = {"PATH": f"{tmp_path}/bin:/usr/bin:/bin", "PROJECT": "my-project"}
    done = subprocess.run(
        ["sh", "run.sh"], cwd=folder, env=environment, capture_output=True, text=True,
        timeout=LIMIT_S, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    steps = [" ".join(line.split()[:4]) for line in told.read_text().splitlines()]
    assert [step for step in steps if "describe" not in step and "kubectl" not in step] == [
        "gcloud container clusters create",
        "gcloud container node-pools create",
        "gcloud container clusters get-credentials",
        "pilotlight deploy apply kubernetes",
        "pilotlight deploy bench kubernetes",
    ]
    assert "--set kubernetes.url=http://127.0.0.1:18080" in told.read_text()
    wrong = subprocess.run(
        ["sh", "run.sh", "destroy"], cwd=folder, env=environment, capture_output=True, text=True,
        timeout=LIMIT_S, check=False,
    )  # fmt: skip
    assert wrong.returncode == 2
    assert "no step 'destroy'" in wrong.stderr
