"""A Deployment's scale: read, changed without losing another's change, and what is in its way."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pilotlight.fleet.kubernetes.api import Api, RefusedError

MOST_TRIES = 10
"""Against others who change the same Deployment, such as its own controller in a rollout."""

COSTS_SINCE = (1, 22)
"""The Kubernetes in which pod-deletion-cost counts by default."""


class Scale:
    """Raises as `Api`."""

    def __init__(self, api: Api, namespace: str, deployment: str) -> None:
        self._api = api
        self._deployment = f"/apis/apps/v1/namespaces/{namespace}/deployments/{deployment}"
        self._knows_costs: bool | None = None

    async def selector(self) -> str:
        """Which pods are the Deployment's, as the API wants it in a query."""
        scale = await self._api.get(f"{self._deployment}/scale")
        return str(scale["status"]["selector"])

    async def read(self) -> int:
        return _replicas(await self._api.get(f"{self._deployment}/scale"))

    async def change(self, to: Callable[[int], int]) -> bool:
        """`to` says from what there is what there should be. Whether that was a change."""
        for _ in range(MOST_TRIES):
            scale = await self._api.get(f"{self._deployment}/scale")
            wanted = to(_replicas(scale))
            if wanted == _replicas(scale):
                return False
            version = scale["metadata"]["resourceVersion"]
            change = {"metadata": {"resourceVersion": version}, "spec": {"replicas": wanted}}
            try:
                await self._api.patch(f"{self._deployment}/scale", change)
                return True
            except RefusedError as error:
                if error.status != 409:
                    raise
        raise RefusedError(409, "Conflict", f"its scale changed {MOST_TRIES} times meanwhile")

    async def hindrance(self) -> str:
        """Why it makes no pods, such as a quota, in the cluster's words; empty if it may."""
        deployment = await self._api.get(self._deployment)
        conditions = deployment.get("status", {}).get("conditions") or ()
        return " ".join(
            str(each.get("message", each.get("reason")))
            for each in conditions
            if each["type"] == "ReplicaFailure" and each["status"] == "True"
        )

    async def knows_costs(self) -> bool:
        """Whether the annotation of the cheapest pod to delete is heeded here."""
        if self._knows_costs is None:
            version = await self._api.get("/version")
            number = (int(version["major"]), int("".join(filter(str.isdigit, version["minor"]))))
            self._knows_costs = number >= COSTS_SINCE
        return self._knows_costs


def _replicas(scale: dict[str, Any]) -> int:
    """The field is left out where it is zero."""
    return int(scale["spec"].get("replicas", 0))
