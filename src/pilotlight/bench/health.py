"""Whether the generator kept up: a late generator measures itself, not the server."""

from __future__ import annotations

from array import array
from dataclasses import dataclass, field

LATE_MS = 5.0
LATE_SHARE = 0.1
"""Of what is measured: later than both, and the lateness is part of the result."""

CPU_LIMIT = 0.9
CPU_IDLE = 0.5
"""Late with less than this of a core: it wasn't busy itself, it had to wait for a processor."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GeneratorHealth:
    """`lag` is from when a request was due to when the generator turned to it.

    Waits that were asked for (`most_at_once`) or are the server's (to connect) are no lag of the
    generator; they are in the latencies from schedule all the same.
    """

    lag_p50_ms: float | None
    lag_p99_ms: float | None
    lag_max_ms: float | None
    """None where nothing was sent."""

    stall_p99_ms: float | None
    stall_max_ms: float | None
    """How late the event loop came to a regular beat: so late may a read have been stamped."""

    cpu_share: float | None
    """Processor time of the generator's process over wall time: 1 is a whole core."""

    held: int
    """Requests that waited for `most_at_once`."""

    reconnects: int
    """Connections made beyond those open at once: the server had closed others."""

    reasons: tuple[str, ...] = ()
    """Why the generator was the limit; empty when it wasn't."""

    @property
    def was_limit(self) -> bool:
        return bool(self.reasons)

    @property
    def verdict(self) -> str:
        """One line for a report."""
        if self.reasons:
            return "the generator was the limit: " + "; ".join(self.reasons)
        return "the generator kept up"


@dataclass(slots=True)
class Pulse:
    """What is noted of the generator while it runs; times in seconds."""

    lags_s: array[float] = field(default_factory=lambda: array("d"))
    stalls_s: array[float] = field(default_factory=lambda: array("d"))
    held: int = 0


def health(
    pulse: Pulse,
    *,
    cpu_s: float,
    wall_s: float,
    ttft_ms: float | None = None,
    reconnects: int = 0,
    exhausted: str | None = None,
) -> GeneratorHealth:
    """`ttft_ms` is the run's median; `exhausted` says why this side had no more connections."""
    lags, stalls = sorted(pulse.lags_s), sorted(pulse.stalls_s)
    lag_p99, stall_p99 = _at_ms(lags, 0.99), _at_ms(stalls, 0.99)
    cpu = cpu_s / wall_s if wall_s > 0 else None
    late_ms = max(LATE_MS, LATE_SHARE * (ttft_ms or 0.0))
    reasons = (
        _late("p99 dispatch lag", lag_p99, late_ms, cpu),
        _late("p99 stall of its event loop", stall_p99, late_ms, cpu),
        f"it took {cpu:.0%} of a core" if cpu is not None and cpu > CPU_LIMIT else None,
        None if exhausted is None else f"this machine has no more connections: {exhausted}",
    )
    return GeneratorHealth(
        lag_p50_ms=_at_ms(lags, 0.5),
        lag_p99_ms=lag_p99,
        lag_max_ms=_at_ms(lags, 1.0),
        stall_p99_ms=stall_p99,
        stall_max_ms=_at_ms(stalls, 1.0),
        cpu_share=cpu,
        held=pulse.held,
        reconnects=reconnects,
        reasons=tuple(reason for reason in reasons if reason is not None),
    )


def _late(name: str, value_ms: float | None, limit_ms: float, cpu: float | None) -> str | None:
    if value_ms is None or value_ms <= limit_ms:
        return None
    told = f"{name} is {value_ms:.1f} ms, over {limit_ms:.1f} ms"
    if cpu is None or cpu >= CPU_IDLE:
        return told
    return f"{told}, with {cpu:.0%} of a core used: others kept the processors busy"


def _at_ms(ordered: list[float], share: float) -> float | None:
    """The smallest value that `share` of all don't exceed."""
    if not ordered:
        return None
    place = max(0, -(-len(ordered) * round(share * 100) // 100) - 1)
    return ordered[place] * 1000
