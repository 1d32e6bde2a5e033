"""The numbers of one stage, by the definitions in docs/measuring.md."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from pilotlight.bench.figures import Distribution, Estimate
from pilotlight.bench.record import ErrorKind, Record

Verdict = Literal["stable", "unstable", "too short", "not steady"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Numbers:
    """Of the requests that were due inside the window, without warm-up and cold ones.

    Latencies are of answers that came whole. Rates are over the window's seconds: what of a request
    lies outside isn't counted. `study_tokens_per_s` alone is over all of the run.
    """

    requests: int
    completed: int
    errors: Mapping[str, int] = field(default_factory=dict)

    ttft_ms: Distribution | None = None
    """From when the request was due."""

    ttft_from_send_ms: Distribution | None = None
    itl_ms: Distribution | None = None
    """Every gap between reads, over the tokens that a read brought in the mean of its answer."""

    tpot_ms: Distribution | None = None
    e2e_ms: Distribution | None = None
    """From when the request was due."""

    server_queue_ms: Distribution | None = None
    server_ttft_ms: Distribution | None = None
    request_output_tokens_per_s: Distribution | None = None
    """Each answer's tokens over its seconds from sending to end: what one user sees."""

    input_tokens: Distribution | None = None
    output_tokens: Distribution | None = None
    cached_tokens: Distribution | None = None

    requests_per_s: Estimate | None = None
    """Answered whole."""

    output_tokens_per_s: Estimate | None = None
    total_tokens_per_s: Estimate | None = None
    """Prompt and output."""

    goodput_per_s: Estimate | None = None
    """Requests a second that met the service level; None without one."""

    slo_share: Estimate | None = None
    """Of all requests; errors are misses."""

    study_tokens_per_s: float | None = None
    """The serverless study's TPS: all tokens of all answers over the wall time of the whole run."""

    concurrency: float | None = None
    """In flight, in the mean over the window."""

    def rate(self, name: str) -> Estimate | None:
        """One of the figures that have an interval, by its field's name."""
        found: Estimate | None = getattr(self, name)
        return found

    def percentile(self, name: str, at: float) -> Estimate | None:
        """One percentile, 0 to 100, of one of the distributions."""
        found: Distribution | None = getattr(self, name)
        return None if found is None else found.at(at)


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """The part of one run that the numbers are of, on that run's clock."""

    start_s: float
    end_s: float
    how: str
    """In words, for the report: how it was found and what it leaves out."""

    @property
    def seconds(self) -> float:
        return self.end_s - self.start_s

    def counts(self, record: Record) -> bool:
        """Whether the numbers hold it: due in here, and neither warm-up nor cold."""
        inside = self.start_s <= record.scheduled_s <= self.end_s
        return inside and not record.warmup and not record.cold


@dataclass(frozen=True, slots=True, kw_only=True)
class Excluded:
    """Requests that the numbers leave out, by why."""

    warmup: int = 0
    cold: int = 0
    before_window: int = 0
    after_window: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class ColdRequest:
    """One request that waited for the model to load."""

    run: int
    scheduled_s: float
    ttft_ms: float | None
    e2e_ms: float
    error: ErrorKind | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Stability:
    """Whether the run says what it seems to say.

    `half_width` is that of the interval of `figure` over its value; `goal` what it has to be for
    a stable run. `more_runs` of the same length would reach it, going by the spread so far; None
    where more of the same wouldn't help, or nobody can tell.
    """

    verdict: Verdict
    why: str
    figure: str
    """What is judged: the output rate of a closed loop (of answers, where the server doesn't count
    tokens), the time of a request in an open one."""

    runs: int
    goal: float
    half_width: float | None = None
    more_runs: int | None = None

    @property
    def stable(self) -> bool:
        return self.verdict == "stable"
