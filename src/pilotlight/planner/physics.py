"""The physics gate: no reported figure can beat what the hardware reads, multiplies and draws.

A bound takes the peaks as printed, a full step for every token, and nothing but the work that must
be done; so a report that beats one is wrong, or measured something else. Tokens that come several
a step (speculation, a reused prompt) are the something else: say so with `tokens_per_step` and
`cached_prompt_tokens`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from pilotlight.metrics import Metrics, Spread
from pilotlight.planner.device import Device, Precision
from pilotlight.planner.requirements import Lengths
from pilotlight.planner.work import Matrices, Work

MARGIN = 1.02
"""Past a bound by this factor before a figure is flagged: rounding and boosted clocks."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """What a report says of how it was measured; what it doesn't say is None or the usual."""

    work: Work
    device: Device
    devices: int = 1
    lengths: Lengths | None = None
    concurrency: float | None = None
    tokens_per_step: float = 1.0
    """Of one sequence, in the mean; above 1 with speculative decoding."""

    cached_prompt_tokens: int = 0
    request_ms: float | None = None
    """A whole request, as the same report has it."""

    @property
    def bandwidth_bytes_s(self) -> float:
        return self.device.bandwidth_bytes_s * self.devices


@dataclass(frozen=True, slots=True)
class Flag:
    """One figure that can't be. `metric` is its name in `Metrics`; `arithmetic` is the bound in
    numbers, to be checked by hand."""

    metric: str
    reported: float
    bound: float
    arithmetic: str

    @property
    def text(self) -> str:
        return f"{self.metric} of {self.reported:,.4g} can't be: {self.arithmetic}"


def check(metrics: Metrics, run: Run) -> tuple[Flag, ...]:
    """The figures of `metrics` that beat a bound, each with why."""
    return tuple(flag for bound in BOUNDS for flag in bound(metrics, run))


def _tpot(metrics: Metrics, run: Run) -> Iterator[Flag]:
    """All weights that a step uses are read in it, and of each sequence the cache."""
    if metrics.tpot_ms is None:
        return
    weights = run.work.read_bytes(1)
    cache = run.work.sequence_bytes(run.lengths.input_tokens) if run.lengths else 0.0
    least_ms = _read_s(run, weights + cache) * 1000 / run.tokens_per_step
    kept = f" + {_gb(cache)} of cache" if cache else ""
    yield from _least(
        "tpot_ms",
        metrics.tpot_ms,
        least_ms,
        f"a step reads {_gb(weights)} of weights{kept}, and {_memory(run)} reads that in "
        f"{least_ms * run.tokens_per_step:.2f} ms{_per_step(run)}",
    )


def _ttft(metrics: Metrics, run: Run) -> Iterator[Flag]:
    """A prompt is multiplied with every weight, and each weight is read at least once."""
    if metrics.ttft_ms is None or run.lengths is None:
        return
    tokens = max(run.lengths.input_tokens - run.cached_prompt_tokens, 1)
    flop = _prompt_flop(run.work, tokens, run.cached_prompt_tokens)
    peak = _peak_flop_s(run)
    multiply_ms = flop / peak * 1000
    read_ms = _read_s(run, run.work.read_bytes(1)) * 1000
    if multiply_ms >= read_ms:
        why = (
            f"{tokens} tokens take {flop / 1e12:,.3g} TFLOP, and {_units(run)} that in "
            f"{multiply_ms:.2f} ms"
        )
    else:
        size = _gb(run.work.read_bytes(1))
        why = f"a step reads {size} of weights, and {_memory(run)} reads that in {read_ms:.2f} ms"
    yield from _least("ttft_ms", metrics.ttft_ms, max(multiply_ms, read_ms), why)


def _output_rate(metrics: Metrics, run: Run) -> Iterator[Flag]:
    """Every token that comes out was multiplied with the weights it passes."""
    if metrics.output_tokens_per_s is None:
        return
    each = 2 * (run.work.token_parameters + run.work.head_parameters) / run.tokens_per_step
    most = _peak_flop_s(run) / each
    yield from _most(
        "output_tokens_per_s",
        metrics.output_tokens_per_s,
        most,
        f"a token takes {each / 1e9:,.3g} GFLOP, and {_units(run)} at most {most:,.0f} tokens/s",
    )


def _batch_rate(metrics: Metrics, run: Run) -> Iterator[Flag]:
    """So many sequences get one token each from a step, and a step reads all weights it uses."""
    if metrics.output_tokens_per_s is None or run.concurrency is None:
        return
    size = run.work.read_bytes(1)
    if run.lengths:
        size += run.concurrency * run.work.sequence_bytes(run.lengths.input_tokens)
    step_s = _read_s(run, size)
    most = run.concurrency * run.tokens_per_step / step_s if step_s else math.inf
    yield from _most(
        "output_tokens_per_s",
        metrics.output_tokens_per_s,
        most,
        f"a step reads {_gb(size)}, in {step_s * 1000:.2f} ms, for {run.concurrency:g} sequences: "
        f"at most {most:,.0f} tokens/s",
    )


def _total_rate(metrics: Metrics, run: Run) -> Iterator[Flag]:
    """Prompts are multiplied as answers are, unless they were reused."""
    if metrics.total_tokens_per_s is None or run.cached_prompt_tokens:
        return
    each = 2 * run.work.token_parameters / run.tokens_per_step
    most = _peak_flop_s(run) / each
    yield from _most(
        "total_tokens_per_s",
        metrics.total_tokens_per_s,
        most,
        f"a token takes {each / 1e9:,.3g} GFLOP, and {_units(run)} at most {most:,.0f} tokens/s",
    )


def _request(metrics: Metrics, run: Run) -> Iterator[Flag]:
    """A request is its first token and then OSL - 1 times TPOT: a report must agree with itself."""
    if metrics.tpot_ms is None or run.request_ms is None or run.lengths is None:
        return
    later = run.lengths.output_tokens - 1
    first_ms = metrics.ttft_ms.median if metrics.ttft_ms else 0.0
    if later < 1:
        return
    own_ms = (run.request_ms - first_ms) / later
    yield from _least(
        "tpot_ms",
        metrics.tpot_ms,
        own_ms / CONSISTENT,
        f"its own requests take {run.request_ms:,.0f} ms, {first_ms:,.0f} of them to the first "
        f"token, and so {own_ms:.2f} ms for each of {later} later tokens",
    )


def _crowd(metrics: Metrics, run: Run) -> Iterator[Flag]:
    """By Little's law, requests at once are their rate times their time: OSL - 1 times TPOT, at
    least."""
    if metrics.output_tokens_per_s is None or metrics.tpot_ms is None or run.concurrency is None:
        return
    answered = run.lengths.output_tokens if run.lengths else UNKNOWN_ANSWER
    if answered < 2 or metrics.tpot_ms.low <= 0:
        return
    most = run.concurrency * 1000 / metrics.tpot_ms.low * answered / (answered - 1)
    yield from _most(
        "output_tokens_per_s",
        metrics.output_tokens_per_s,
        most * CONSISTENT,
        f"{run.concurrency:g} sequences with a token every {metrics.tpot_ms.low:.2f} ms give at "
        f"most {most:,.0f} tokens/s",
    )


def _power(metrics: Metrics, run: Run) -> Iterator[Flag]:
    """Joules a token times tokens a second are watts."""
    joules, rate, tdp_w = (
        metrics.joules_per_output_token,
        metrics.output_tokens_per_s,
        run.device.tdp_w,
    )
    if joules is None or rate is None or tdp_w is None or rate.median <= 0:
        return
    most = tdp_w * run.devices / rate.median
    yield from _most(
        "joules_per_output_token",
        joules,
        most * POWER_MARGIN,
        f"at {rate.median:,.0f} tokens/s that is {joules.median * rate.median:,.0f} W, and "
        f"{run.devices} x {run.device.name} may draw {tdp_w * run.devices:,.0f} W",
    )


BOUNDS: tuple[Callable[[Metrics, Run], Iterator[Flag]], ...] = (
    _tpot, _ttft, _output_rate, _batch_rate, _total_rate, _request, _crowd, _power,
)  # fmt: skip

CONSISTENT = 1.3
"""Medians of one report needn't multiply: the factor by which they may miss each other."""

UNKNOWN_ANSWER = 16
"""Tokens; a report that doesn't say is hardly of shorter ones."""

POWER_MARGIN = 1.1
"""Boards pass their rating for moments; a mean over a run doesn't by a tenth."""


CPU_CACHE_BYTES = 1.2e9
"""The largest that a processor has: 1,152 MB of L3 in an EPYC 9684X."""


def _read_s(run: Run, size: float) -> float:
    """At least; what may lie in a processor's own caches needn't come from memory at all."""
    if run.device.kind == "cpu" and size <= CPU_CACHE_BYTES * run.devices:
        return 0.0
    return size / run.bandwidth_bytes_s


def _least(metric: str, found: Spread, bound: float, why: str) -> Iterator[Flag]:
    if found.median * MARGIN < bound:
        yield Flag(metric, found.median, bound, why)


def _most(metric: str, found: Spread, bound: float, why: str) -> Iterator[Flag]:
    if found.median > bound * MARGIN:
        yield Flag(metric, found.median, bound, why)


def _prompt_flop(work: Work, tokens: int, past: int) -> float:
    linear = 2 * (tokens * work.token_parameters + work.head_parameters)
    return linear + work.pairs(tokens, past) * work.prefill_pair_flop


def _peak_flop_s(run: Run) -> float:
    """The fastest arithmetic that the device has and its weights could use.

    FP16 with FP16 sums runs at half the rate of INT8; the catalog has it with FP32 sums, which
    GeForce cards do at half of that. A processor's peak is nobody's to print: there is no bound.
    """
    parts = (*run.work.dense, *run.work.experts)
    most = max(parts, key=lambda part: part.parameters)
    known = run.device.flop_s
    peaks = [known[each] for each in _usable(most) if each in known]
    peaks.append(known.get("int8", 0.0) / 2)
    return max(peaks) * run.devices or math.inf


def _usable(part: Matrices) -> tuple[Precision, ...]:
    """Weights of few bits may be multiplied in any precision at least as wide."""
    if part.bits > 9:
        return ("fp16",)
    if part.bits > 6:
        return ("fp16", "fp8", "int8")
    return ("fp16", "fp8", "int8", "fp4")


def _gb(size: float) -> str:
    return f"{size / 1e9:,.3g} GB"


def _memory(run: Run) -> str:
    return f"{run.devices} x {run.device.name} at {run.device.bandwidth_bytes_s / 1e9:,.0f} GB/s"


def _units(run: Run) -> str:
    """As far as "do", which an amount or a rate follows."""
    peak = _peak_flop_s(run) / run.devices / 1e12
    return f"{run.devices} x {run.device.name} at {peak:,.0f} TFLOP/s do"


def _per_step(run: Run) -> str:
    if run.tokens_per_step == 1:
        return ""
    return f", for {run.tokens_per_step:g} tokens of each sequence"
