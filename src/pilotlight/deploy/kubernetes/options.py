"""What can be set about the Kubernetes target alone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pilotlight.config import Bytes, Seconds, setting
from pilotlight.deploy.settings import Common

SERVICES = ("ClusterIP", "NodePort", "LoadBalancer")
GPU_LABELS = ("gke", "nvidia", "none")
SCALERS = ("gateway", "keda")


@dataclass(frozen=True, slots=True, kw_only=True)
class Tenant:
    """Models that one team pays for, in a namespace of their own with a quota."""

    models: tuple[str, ...] = setting(help="names of the models that are its own")
    vcpus: float | None = setting(None, help="most that its pods may ask for; else what they need")
    memory: Bytes | None = setting(None, help="most that its pods may ask for; else their need")
    gpus: int | None = setting(None, help="most that its pods may ask for; else their need")
    pods: int | None = setting(None, help="most of its pods; else as many as its models may have")


@dataclass(frozen=True, slots=True, kw_only=True)
class KubernetesOptions(Common):
    # Which cluster, and where in it.
    context: str | None = setting(None, help="of kubectl's configuration; else its current one")
    kubeconfig: Path | None = setting(
        None, help="kubectl's configuration; else $KUBECONFIG or its own", example="~/.kube/config"
    )
    kubectl: str = setting("kubectl", help="the program, or the words that run it")
    namespace: str | None = setting(None, help="of all of it; else the deployment's name")
    create_namespace: bool = setting(
        True, help="make the namespace, and have it refuse pods that aren't restricted"
    )
    # The gateway.
    service: str = setting("ClusterIP", help="ClusterIP, NodePort or LoadBalancer")
    url: str | None = setting(
        None,
        help="where `status` and `bench` find it, such as a tunnel; else the Service's own address",
        example="http://127.0.0.1:18080",
    )
    gateways: int = setting(1, help="pods of the gateway")
    gateway_vcpus: float = setting(1.0, help="of each of them")
    gateway_memory: Bytes = setting(Bytes(2**30), help="of each of them")
    environment_secret: str | None = setting(
        None,
        help="Secret of yours whose keys become the gateway's variables, such as the API keys of "
        "engines elsewhere",
    )
    # Pods of engines, and the nodes they run on.
    machine: str | None = setting(
        None,
        help="GKE machine type that engines run on; else the smallest with their GPUs",
        example="g2-standard-8",
    )
    gpu_labels: str = setting(
        "gke", help="how nodes say which GPU they have: gke, nvidia (feature discovery) or none"
    )
    spot: bool = setting(False, help="whether engines run on GKE's spot nodes")
    engine_images: Mapping[str, Any] = setting(
        dict,
        help="image of an engine by its kind, instead of the one known here",
        example={"vllm": "registry.example.com/vllm@sha256:" + "0123456789abcdef" * 4},
    )
    pull_policy: str = setting("IfNotPresent", help="Always, IfNotPresent or Never")
    pull_secrets: tuple[str, ...] = setting((), help="Secrets of yours with registries' logins")
    load_timeout: Seconds = setting(
        Seconds(900.0), help="time after which an engine's pod that isn't ready is restarted"
    )
    drain: Seconds = setting(Seconds(60.0), help="time that requests get when their pod must go")
    dead_node: Seconds | None = setting(
        None,
        help="time after which pods leave a node that is lost; else the cluster's, mostly 5 min",
    )
    # Where weights are, with models: mount.
    storage_class: str | None = setting(
        None, help="of a volume that all nodes share; else a directory of each node"
    )
    cache_path: str = setting("/var/lib/pilotlight", help="that directory")
    cache_size: Bytes = setting(Bytes(200 * 2**30), help="room for models, on each node")
    hf_token_secret: str | None = setting(
        None, help="Secret of yours whose key `token` is the hub's token, for gated models"
    )
    # Who may reach whom.
    network_policies: bool = setting(True, help="refuse all traffic but what is needed")
    ingress_namespaces: tuple[str, ...] = setting(
        (), help="namespaces whose pods may reach the gateway; else anybody may who has a key"
    )
    # Who scales, and who looks.
    scaler: str = setting("gateway", help="gateway, or keda where its operator runs")
    prometheus: str = setting(
        "http://prometheus-operated.monitoring:9090", help="where KEDA asks for the queue"
    )
    service_monitor: bool = setting(
        False, help="have Prometheus' operator scrape the gateway, where it runs"
    )
    metrics_secret: str | None = setting(
        None, help="Secret of yours whose key `key` is an API key for scraping /metrics"
    )
    # Who pays.
    quota: bool = setting(True, help="bound each namespace to what its models need at most")
    tenants: Mapping[str, Any] = setting(
        dict,
        help="models in namespaces of their own by tenant, each with a quota",
        example={"research": {"models": ["chat"], "gpus": 4}},
    )
    wait: Seconds = setting(
        Seconds(600.0), help="time after which an update that isn't ready is taken back"
    )
