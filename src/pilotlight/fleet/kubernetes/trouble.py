"""What keeps a pod from being ready, in words, and whether waiting longer could help. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from pilotlight.fleet.kubernetes.pod import Pod, Waiting


@dataclass(frozen=True, slots=True)
class Trouble:
    words: str
    fatal: bool
    """Nothing that the cluster does by itself ends it."""

    hint: str | None = None
    container: str | None = None
    """Whose log, from before it ended, says more."""


_PULL = "is the image's name right, and does the cluster have the credentials to pull it?"

# Reasons of a waiting container that last until somebody mends the Deployment; others, such as
# ContainerCreating or a first ErrImagePull, may pass.
_LASTING: Mapping[str, str] = {
    "ImagePullBackOff": _PULL,
    "ErrImageNeverPull": "load the image into the nodes, or allow it to be pulled",
    "InvalidImageName": "correct the image's name in the Deployment",
    "CreateContainerConfigError": "create the ConfigMap or Secret that the Deployment names",
}
CRASHING = "CrashLoopBackOff"


def trouble(pod: Pod) -> Trouble | None:
    """None where all goes as it should, however long it takes."""
    if pod.phase == "Failed":
        return Trouble(f"pod {pod.name} failed: {pod.why or _last_end(pod)}", True)
    for waiting in pod.waiting:
        if waiting.reason == CRASHING:
            return Trouble(
                f"container {waiting.container} of pod {pod.name} ends again and again: "
                f"{_last_end(pod, waiting.container)}",
                fatal=True,
                container=waiting.container,
            )
        if waiting.reason in _LASTING:
            return Trouble(_stuck(pod, waiting), fatal=True, hint=_LASTING[waiting.reason])
    if pod.unscheduled:
        # Not fatal: a cluster that scales its nodes brings one in a few minutes.
        return Trouble(f"no node can take pod {pod.name}: {pod.unscheduled}", fatal=False)
    stuck = next((each for each in pod.waiting if each.message), None)
    return Trouble(_stuck(pod, stuck), fatal=False) if stuck else None


def _stuck(pod: Pod, waiting: Waiting) -> str:
    message = f": {waiting.message}" if waiting.message else ""
    return f"container {waiting.container} of pod {pod.name}: {waiting.reason}{message}"


def _last_end(pod: Pod, container: str | None = None) -> str:
    ends = [each for each in pod.ended if container in (None, each.container)]
    return f"{ends[-1].reason} {ends[-1].message}".strip() if ends else "no reason given"


def progress(pod: Pod | None) -> str:
    """Where a start stands, for whoever lost patience with it."""
    if pod is None:
        return "the cluster has not made its pod yet"
    if found := trouble(pod):
        return found.words
    if not pod.scheduled:
        return f"pod {pod.name} has no node yet"
    if not pod.started:
        return f"pod {pod.name} on {pod.node} pulls its image or creates its containers"
    return f"pod {pod.name} on {pod.node} runs and is not ready"


def next_step(pod: Pod) -> str | None:
    """What the start waits for now, as a phase of its trace; None once it is ready."""
    if pod.ready:
        return None
    if not pod.scheduled:
        return "pod_scheduled"
    return "pod_ready" if pod.started else "pod_started"
