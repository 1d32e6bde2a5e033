"""How requests come: what arrivals are made of, and what a report says a run was."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

LoadKind = Literal["closed", "constant", "poisson", "gamma", "ramp", "replay"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """One stage of a run. Sweeps and searches are several of them.

    A closed loop has `concurrency` users, each of whom asks again when the answer is in; all other
    kinds send at times that nobody's answer moves.
    """

    kind: LoadKind
    concurrency: int | None = None
    requests_per_s: float | None = None
    to_requests_per_s: float | None = None
    """Where a ramp ends."""

    burstiness: float = 1.0
    """Of gamma: the gaps' squared coefficient of variation; 1 is Poisson, more is burstier."""

    speed: float = 1.0
    """Of a replay: how much faster than the trace."""

    duration_s: float | None = None
    requests: int | None = None
    """Ends at whichever of the two comes first."""

    most_at_once: int | None = None
    """An open loop's bound on requests in flight; what waits for it is late, and counted so."""

    warmup_requests: int = 0
    seed: int = 0
