"""Which claims of gateways still hold: by this gateway's own clock, so that clocks may differ.

As leader election has it: a claim lives for `LEASE_S` from when this gateway last saw it change.
A crashed gateway's claims therefore end by themselves, everywhere, a lease later.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator

from pilotlight.fleet.kubernetes.pod import Pod

LEASE_S = 60.0
RENEW_S = LEASE_S / 3

_Mark = tuple[str, str]
"""A pod's uid, and the gateway that marked it (or `_LEAVING`)."""

_LEAVING = "(leaving)"


class Leases:
    """Fed with every state of the pods; answers for the time it is asked about."""

    def __init__(self, identity: str) -> None:
        self._identity = identity
        self._seen: dict[_Mark, tuple[str, float]] = {}
        self._free_since: dict[str, float] = {}

    def observe(self, pods: Iterable[Pod], mine: frozenset[str], now: float) -> None:
        """`mine` are the uids of pods that this gateway uses."""
        marks = {mark: stamp for pod in pods for mark, stamp in self._marks(pod)}
        self._seen = {
            mark: known if (known := self._seen.get(mark)) and known[0] == stamp else (stamp, now)
            for mark, stamp in marks.items()
        }
        free = {p.uid for p in pods if p.uid not in mine and not self.is_held(p, now)}
        self._free_since = {uid: self._free_since.get(uid, now) for uid in free}

    def _marks(self, pod: Pod) -> Iterator[tuple[_Mark, str]]:
        for gateway, stamp in pod.claims.items():
            if gateway != self._identity:
                yield (pod.uid, gateway), stamp
        if pod.leaving is not None and pod.leaving != self._identity:
            yield (pod.uid, _LEAVING), pod.leaving

    def is_held(self, pod: Pod, now: float) -> bool:
        """Another gateway uses it, or is just taking it away."""
        return any(
            mark[0] == pod.uid and now < seen_s + LEASE_S
            for mark, (_, seen_s) in self._seen.items()
        )

    def expired(self, pod: Pod, now: float) -> list[str]:
        """Gateways whose claim on it ended without being taken back: they crashed."""
        return [
            gateway
            for (uid, gateway), (_, seen_s) in self._seen.items()
            if uid == pod.uid and gateway != _LEAVING and now >= seen_s + LEASE_S
        ]

    def is_forgotten(self, pod: Pod, linger_s: float, now: float) -> bool:
        """Nobody has used it for `linger_s`."""
        return now >= self._free_since.get(pod.uid, math.inf) + linger_s

    def next_s(self, linger_s: float, now: float) -> float:
        """When time alone changes one of these answers."""
        moments = [seen_s + LEASE_S for _, seen_s in self._seen.values()]
        moments += [since_s + linger_s for since_s in self._free_since.values()]
        return min((moment for moment in moments if moment > now), default=math.inf)
