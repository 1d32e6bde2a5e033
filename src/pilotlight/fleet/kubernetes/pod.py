"""One pod as the API last told of it: what we look at, and nothing else. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

CLAIM = "claim.pilotlight.dev/"
"""Prefix of an annotation: the gateway named behind it uses this pod, as of the time in it."""

LEAVING = "pilotlight.dev/leaving"
"""Annotation of a pod that a gateway is taking away: nobody claims it any more."""

DELETION_COST = "controller.kubernetes.io/pod-deletion-cost"


@dataclass(frozen=True, slots=True)
class Waiting:
    """Why a container doesn't run, or how it last ended."""

    container: str
    reason: str
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Pod:
    name: str
    uid: str
    version: str
    created: str
    phase: str = "Pending"
    address: str | None = None
    node: str | None = None
    terminating: bool = False
    scheduled: bool = False
    ready: bool = False
    started: bool = False
    """Every container runs."""

    lost: bool = False
    """Its containers were well when its node was last heard of."""

    restarts: int = 0
    unscheduled: str = ""
    """The scheduler's words while it has no node."""

    why: str = ""
    """The pod's own reason where it failed, such as an eviction."""

    waiting: tuple[Waiting, ...] = ()
    ended: tuple[Waiting, ...] = ()
    claims: Mapping[str, str] = field(default_factory=dict)
    leaving: str | None = None

    @property
    def living(self) -> bool:
        """Counts towards the Deployment's scale."""
        return not self.terminating and self.phase in ("Pending", "Running", "Unknown")


def read(document: Mapping[str, Any]) -> Pod:
    metadata, status = document["metadata"], document.get("status", {})
    annotations = metadata.get("annotations") or {}
    conditions = {each["type"]: each for each in status.get("conditions") or ()}
    containers = status.get("containerStatuses") or ()
    everyone = [*(status.get("initContainerStatuses") or ()), *containers]
    scheduled, ready = conditions.get("PodScheduled", {}), conditions.get("Ready", {})
    return Pod(
        name=metadata["name"],
        uid=metadata["uid"],
        version=metadata["resourceVersion"],
        created=metadata.get("creationTimestamp", ""),
        phase=status.get("phase", "Pending"),
        address=status.get("podIP"),
        node=document.get("spec", {}).get("nodeName"),
        terminating="deletionTimestamp" in metadata,
        scheduled=scheduled.get("status") == "True",
        ready=ready.get("status") == "True",
        started=bool(containers) and all("running" in each.get("state", {}) for each in containers),
        lost=_is_lost(ready, containers),
        restarts=sum(each.get("restartCount", 0) for each in containers),
        unscheduled=scheduled.get("message", "") if scheduled.get("status") == "False" else "",
        why=": ".join(filter(None, (status.get("reason"), status.get("message")))),
        waiting=tuple(_states(everyone, "state", "waiting")),
        ended=tuple(_states(everyone, "lastState", "terminated"))
        + tuple(_states(everyone, "state", "terminated")),
        claims={
            name.removeprefix(CLAIM): stamp
            for name, stamp in annotations.items()
            if name.startswith(CLAIM)
        },
        leaving=annotations.get(LEAVING),
    )


def _is_lost(ready: Mapping[str, Any], containers: Any) -> bool:
    """The node's controller clears a pod's readiness alone; a kubelet, the containers' too."""
    unready = ready.get("status") in ("False", "Unknown")
    return unready and bool(containers) and all(each.get("ready") for each in containers)


def _states(containers: Any, when: str, kind: str) -> list[Waiting]:
    found = []
    for each in containers:
        state = (each.get(when) or {}).get(kind)
        if state is not None:
            found.append(Waiting(each["name"], _reason(state), state.get("message", "")))
    return found


def _reason(state: Mapping[str, Any]) -> str:
    reason: str = state.get("reason") or "?"
    return f"{reason}, exit code {state['exitCode']}" if state.get("exitCode") else reason
