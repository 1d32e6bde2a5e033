"""Whether a stage can be believed, and how many more runs it would take."""

from __future__ import annotations

import math
from collections.abc import Sequence

from pilotlight.bench.figures import Estimate
from pilotlight.bench.numbers import Stability, Verdict
from pilotlight.bench.statistics.student import mean_of, needed

FEWEST_REQUESTS = 20


def stability(
    *,
    figure: str,
    pooled: Estimate | None,
    by_run: Sequence[float],
    requests: int,
    drifts: Sequence[str],
    goal: float,
) -> Stability:
    """`figure` is what is judged, of which `pooled` is the estimate and `by_run` each run's value.

    `drifts` says of each run that wasn't steady what moved. From two runs on, the spread between
    them decides; with one, the bounds that resampling gives.
    """
    spread = mean_of(by_run) if len(by_run) > 1 else pooled
    half = None if spread is None else half_width(spread)
    more = _more(by_run, half, goal)

    def verdict(of: Verdict, why: str, more_runs: int | None = None) -> Stability:
        return Stability(
            verdict=of, why=why, figure=figure, runs=max(len(by_run), 1), goal=goal,
            half_width=half, more_runs=more_runs,
        )  # fmt: skip

    if drifts:
        return verdict("not steady", "; ".join(drifts))
    if requests < FEWEST_REQUESTS:
        return verdict("too short", f"{requests} requests count; it takes {FEWEST_REQUESTS}")
    if half is None:
        return verdict("too short", f"too few samples to bound {figure}")
    known = f"{figure} is known to ±{half:.1%}"
    if half <= goal:
        return verdict("stable", f"{known}, within ±{goal:.1%}", 0)
    return verdict("unstable", f"{known}, wanted within ±{goal:.1%}", more)


def half_width(estimate: Estimate) -> float | None:
    """Of its bounds, relative to it; the wider side."""
    if estimate.low is None or estimate.high is None or estimate.value <= 0:
        return None
    reach = max(estimate.high - estimate.value, estimate.value - estimate.low)
    return reach / estimate.value


def _more(by_run: Sequence[float], half: float | None, goal: float) -> int | None:
    """Bounds shrink with the root of the runs; from two on Student's t is solved for them."""
    if half is None:
        return None
    if len(by_run) < 2:
        return max(math.ceil((half / goal) ** 2) - 1, 1)
    whole = needed(by_run, goal)
    return None if whole is None else whole - len(by_run)
