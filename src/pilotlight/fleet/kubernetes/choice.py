"""Which pod to use, how many there should be, and which may go: pure functions of a view."""

from __future__ import annotations

from dataclasses import dataclass

from pilotlight.fleet.kubernetes.pod import Pod


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """One Deployment's pods as this gateway sees them now; sets hold uids."""

    pods: tuple[Pod, ...]
    mine: frozenset[str] = frozenset()
    others: frozenset[str] = frozenset()
    """Held by other gateways, or just being taken away by one."""

    unwanted: frozenset[str] = frozenset()
    """Let go by this gateway, or used by nobody for long enough."""

    waiting: int = 0
    """Replicas of this gateway that have no pod yet."""


def candidate(view: View) -> Pod | None:
    """The best pod for one more replica. One that another gateway uses will do: while two
    gateways overlap, a second pod would need a second GPU, and perhaps there is none."""
    usable = [pod for pod in view.pods if _is_usable(pod) and pod.uid not in view.mine]
    # Newest first: in a rollout the older ones are about to go.
    usable.sort(key=lambda pod: pod.created, reverse=True)
    return min(usable, key=lambda p: (not p.ready, p.uid in view.others), default=None)


def _is_usable(pod: Pod) -> bool:
    return pod.living and pod.leaving is None and not pod.lost


def kept(view: View) -> int:
    """Pods that somebody uses, or that are ready for whoever asks next."""
    return sum(1 for p in view.pods if p.living and not p.leaving and _is_kept(view, p))


def _is_kept(view: View, pod: Pod) -> bool:
    if pod.uid in view.mine | view.others:
        return True
    # One on its way that nobody claims is a rollout's, and not worth keeping a scale for.
    return pod.ready and pod.uid not in view.unwanted


def scale_for(view: View) -> int:
    """At least so many pods should there be."""
    return kept(view) + view.waiting


def victims(view: View, scale: int) -> list[Pod]:
    """Pods to take away, those that aren't ready first.

    Never more than the scale has over what is needed: in a rollout the Deployment has more pods
    than its scale, and lowering that would end one in use.
    """
    going = [pod for pod in view.pods if pod.living and _may_go(view, pod)]
    going.sort(key=lambda pod: pod.ready)
    return going[: max(0, scale - scale_for(view))]


def _may_go(view: View, pod: Pod) -> bool:
    return pod.uid in view.unwanted and pod.uid not in view.mine | view.others


def goes_first(view: View, victim: Pod, *, knows_costs: bool) -> bool:
    """Whether a lower scale alone ends `victim`, and none but it.

    Where it is the only one; or where the cluster heeds what a pod costs to delete, which a
    ReplicaSet does only among pods that are ready: it ends the others before
    (kubernetes/pkg/controller: ActivePodsWithRanks).
    """
    others = [pod for pod in view.pods if pod.living and pod.uid != victim.uid]
    return not others or (knows_costs and victim.ready and all(pod.ready for pod in others))
