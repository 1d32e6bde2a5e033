"""The life of a replica: which state may follow which.

    cold → starting → loading → ready ⇄ asleep
                                  ↓        ↓
                               draining → stopped

Any living state may also end in `stopped` at once: engines get killed. A wake
goes asleep → loading → ready, so a load is a load wherever it started from.
"""

from __future__ import annotations

from collections.abc import Mapping

from pilotlight.core import ReplicaState as S

MOVES: Mapping[S, frozenset[S]] = {
    S.COLD: frozenset({S.STARTING, S.STOPPED}),
    S.STARTING: frozenset({S.LOADING, S.DRAINING, S.STOPPED}),
    S.LOADING: frozenset({S.READY, S.DRAINING, S.STOPPED}),
    S.READY: frozenset({S.ASLEEP, S.DRAINING, S.STOPPED}),
    S.ASLEEP: frozenset({S.LOADING, S.DRAINING, S.STOPPED}),
    S.DRAINING: frozenset({S.STOPPED}),
    S.STOPPED: frozenset(),
}


def can_move(origin: S, target: S) -> bool:
    return target in MOVES[origin]
