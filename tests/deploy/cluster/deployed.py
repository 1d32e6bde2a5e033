"""A release as it stands in a cluster, and what a test asks of it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pilotlight.config import Seconds
from pilotlight.deploy.kubernetes.options import KubernetesOptions
from pilotlight.deploy.release import Release
from pilotlight.deploy.size import Scaling, Size

from ..image.built import MODEL, REF
from .client import Client, until
from .tool import Cluster

GIB = 2**30
NAME, NAMESPACE = "chat", "pilotlight-test"
IDLE_S = 8.0
SETTLED_S = 120.0


def release(
    cluster: Cluster, image: str, keys: Mapping[str, Any], **options: Any
) -> Release[KubernetesOptions]:
    """Small enough for two nodes that share two cores; from zero, and soon back to it."""
    return Release(
        name=NAME,
        serve={"models": {MODEL: {"ref": REF, "options": {"context": 2048, "parallel": 4}}}},
        image=image,
        size=Size(vcpus=1.0, memory_bytes=GIB, disk_bytes=GIB),
        scaling=Scaling(
            concurrency=4, minimum=0, maximum=1, idle_s=IDLE_S, request_timeout_s=120.0
        ),
        keys=keys,
        options=KubernetesOptions(
            # The tool goes by the variable alone where several clusters are up.
            kubectl=f"env KUBECONFIG={cluster.kubeconfig} {cluster.program} kubectl",
            namespace=NAMESPACE,
            pull_policy="Never",
            gateway_vcpus=0.1,
            dead_node=Seconds(5.0),
            drain=Seconds(20.0),
            wait=Seconds(60.0),
            **options,
        ),
    )


@dataclass(slots=True)
class Deployed:
    cluster: Cluster
    release: Release[KubernetesOptions]
    namespace: str
    gateway: str
    """The Deployment's name, and the engine's."""

    engine: str
    client: Client
    figures: dict[str, str] = field(default_factory=dict)
    """What was measured, to be shown at the end."""

    def pods(self, deployment: str) -> list[dict[str, Any]]:
        """Those that were not told to go."""
        return [p for p in self.all_pods(deployment) if "deletionTimestamp" not in p["metadata"]]

    def all_pods(self, deployment: str) -> list[dict[str, Any]]:
        labels = self.cluster.get("deployment", deployment, self.namespace)["spec"]["selector"]
        selector = ",".join(f"{key}={value}" for key, value in labels["matchLabels"].items())
        return self.cluster.items("pods", self.namespace, selector)

    def replicas(self) -> int:
        """How many pods of the engine there shall be."""
        spec = self.cluster.get("deployment", self.engine, self.namespace)["spec"]
        return int(spec["replicas"])

    def node(self, deployment: str) -> str:
        (pod,) = self.pods(deployment)
        return str(pod["spec"]["nodeName"])

    async def zero(self) -> float:
        """Seconds until no pod of the engine is left."""
        return await until(lambda: self.replicas() == 0 and not self.pods(self.engine), SETTLED_S)

    async def roll(self, deployment: str) -> None:
        """A new version of it: every pod is replaced."""
        words = ("rollout", "restart", f"deployment/{deployment}", "-n", self.namespace)
        await asyncio.to_thread(self.cluster.kubectl, *words)
        words = ("rollout", "status", f"deployment/{deployment}", "-n", self.namespace)
        await asyncio.to_thread(self.cluster.kubectl, *words, timeout_s=SETTLED_S)

    async def phases_ms(self) -> dict[str, float]:
        """Of the last cold start, by name."""
        starts = (await self.client.get("/pilotlight/v1/cold-starts"))["cold_starts"]
        return {phase["name"]: phase["duration_ms"] for phase in starts[-1]["phases"]}

    def note(self, what: str, figure: str) -> None:
        self.figures[what] = figure

    def logs(self) -> str:
        words = ("logs", f"deployment/{self.gateway}", "-n", self.namespace, "--tail", "50")
        return self.cluster.kubectl(*words)


def shown(phases: Mapping[str, float]) -> str:
    return json.dumps({name: round(each) for name, each in phases.items()})
