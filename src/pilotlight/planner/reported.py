"""Other tools' reports, in this project's words.

The same name means different things in them: GuideLLM's "time per output token" has the first token
in it and divides by all, so its inter-token latency is what TPOT is here; AIPerf's inter-token
latency is TPOT too; inference-perf counts in seconds.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import msgspec

from pilotlight.errors import PlanError
from pilotlight.metrics import Metrics, Spread
from pilotlight.planner.requirements import Lengths

Tool = Literal["pilotlight", "vllm", "guidellm", "aiperf", "inference-perf"]
Document = Mapping[str, Any]

OWN_FORMAT = "pilotlight-report-1"
"""`bench.report.FORMAT`, which lies above the planner."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reported:
    """One run of one tool; what its file doesn't say is None."""

    tool: Tool
    metrics: Metrics
    lengths: Lengths | None = None
    concurrency: float | None = None
    request_ms: float | None = None


def read(document: Document) -> tuple[Reported, ...]:
    """Every run in a report that was decoded from JSON.

    Raises:
        PlanError: no known tool writes such a file.
    """
    for recognizes, reader in READERS:
        if recognizes(document):
            return tuple(reader(document))
    known = ", ".join(sorted(document)[:6]) or "nothing"
    raise PlanError(
        f"no benchmark report has these fields: {known}",
        hint="give the JSON of pilotlight, vllm bench serve, GuideLLM, AIPerf or inference-perf",
    )


def _own(document: Document) -> Iterator[Reported]:
    """A report of `bench`, stage by stage; the time of a request is the median one's."""
    stages = document.get("stages")
    for stage in stages if isinstance(stages, list) else ():
        numbers, load = part(stage, "numbers"), part(stage, "load")
        yield Reported(
            tool="pilotlight",
            metrics=_metrics(part(stage)),
            lengths=_lengths(
                number(part(numbers, "input_tokens"), "mean"),
                number(part(numbers, "output_tokens"), "mean"),
            ),
            concurrency=number(load, "concurrency") if load.get("kind") == "closed" else None,
            request_ms=number(part(numbers, "e2e_ms", "p50"), "value"),
        )


def _metrics(document: Document) -> Metrics:
    try:
        return msgspec.convert(document["metrics"], Metrics)
    except (KeyError, msgspec.ValidationError) as error:
        raise PlanError(
            f"the report's metrics aren't Pilotlight's: {error}",
            hint="give it the file as it was written",
        ) from error


def _bare(document: Document) -> Iterator[Reported]:
    """Metrics alone, as anybody may write them."""
    lengths = document.get("lengths")
    try:
        measured = msgspec.convert(lengths, Lengths) if lengths else None
    except msgspec.ValidationError as error:
        raise PlanError(
            f"the report's lengths aren't Pilotlight's: {error}",
            hint="give it the file as it was written",
        ) from error
    yield Reported(
        tool="pilotlight",
        metrics=_metrics(document),
        lengths=measured,
        concurrency=number(document, "concurrency"),
        request_ms=number(document, "request_ms"),
    )


def _vllm(document: Document) -> Iterator[Reported]:
    completed = number(document, "completed") or 1.0
    answered = (number(document, "total_output_tokens") or 0.0) / completed
    yield Reported(
        tool="vllm",
        metrics=Metrics(
            ttft_ms=_spread(document, "median_ttft_ms", "mean_ttft_ms"),
            tpot_ms=_spread(document, "median_tpot_ms", "mean_tpot_ms"),
            requests_per_s=_spread(document, "request_throughput"),
            output_tokens_per_s=_spread(document, "output_throughput"),
            total_tokens_per_s=_spread(document, "total_token_throughput"),
        ),
        lengths=_lengths((number(document, "total_input_tokens") or 0.0) / completed, answered),
        concurrency=_at_once(
            number(document, "request_rate"),
            number(document, "max_concurrency"),
            number(document, "request_throughput"),
            number(document, "mean_e2el_ms") or _request_ms(document, answered),
        ),
        request_ms=number(document, "median_e2el_ms", "mean_e2el_ms"),
    )


def _request_ms(document: Document, answered: float) -> float | None:
    """vLLM's mean one, whose end-to-end times are in its file only when asked for."""
    first, later = number(document, "mean_ttft_ms"), number(document, "mean_tpot_ms")
    if first is None or later is None:
        return None
    return first + later * max(answered - 1, 0)


def _at_once(
    rate: float | None, users: float | None, requests_per_s: float | None, request_ms: float | None
) -> float | None:
    """How many requests were in flight: the users of a closed loop.

    Where requests come at a `rate`, `users` only bounds them, and may be far from reached: then
    Little's law says it, by how many were answered and how long each took.
    """
    if rate is None:
        return users
    return requests_per_s * request_ms / 1000 if requests_per_s and request_ms else None


def _guidellm(document: Document) -> Iterator[Reported]:
    for run in document["benchmarks"]:
        found = {name: _successful(value) for name, value in part(run, "metrics").items()}
        request_s = number(part(found, "request_latency"), "median", "mean")
        yield Reported(
            tool="guidellm",
            metrics=Metrics(
                ttft_ms=_spread(part(found, "time_to_first_token_ms"), "median", "mean"),
                tpot_ms=_spread(part(found, "inter_token_latency_ms"), "median", "mean"),
                requests_per_s=_spread(part(found, "requests_per_second"), "mean"),
                output_tokens_per_s=_spread(part(found, "output_tokens_per_second"), "mean"),
                total_tokens_per_s=_spread(part(found, "tokens_per_second"), "mean"),
            ),
            lengths=_lengths(
                number(part(found, "prompt_token_count"), "mean"),
                number(part(found, "output_token_count"), "mean"),
            ),
            concurrency=number(part(found, "request_concurrency"), "mean"),
            request_ms=None if request_s is None else request_s * 1000,
        )


def _aiperf(document: Document) -> Iterator[Reported]:
    generator = part(document, "input_config", "loadgen")
    yield Reported(
        tool="aiperf",
        metrics=Metrics(
            ttft_ms=_spread(part(document, "time_to_first_token"), "p50", "avg"),
            tpot_ms=_spread(part(document, "inter_token_latency"), "p50", "avg"),
            requests_per_s=_spread(part(document, "request_throughput"), "avg"),
            output_tokens_per_s=_spread(part(document, "output_token_throughput"), "avg"),
            total_tokens_per_s=_spread(part(document, "total_token_throughput"), "avg"),
        ),
        lengths=_lengths(
            number(part(document, "input_sequence_length"), "avg"),
            number(part(document, "output_sequence_length"), "avg"),
        ),
        concurrency=_at_once(
            number(generator, "request_rate"),
            number(generator, "concurrency"),
            number(part(document, "request_throughput"), "avg"),
            number(part(document, "request_latency"), "avg"),
        ),
        request_ms=number(part(document, "request_latency"), "p50", "avg"),
    )


def _inference_perf(document: Document) -> Iterator[Reported]:
    done = part(document, "successes")
    latency, throughput = part(done, "latency"), part(done, "throughput")
    request_s = number(part(latency, "request_latency"), "median", "p50", "mean")
    yield Reported(
        tool="inference-perf",
        metrics=Metrics(
            ttft_ms=_seconds(part(latency, "time_to_first_token")),
            tpot_ms=_seconds(part(latency, "time_per_output_token")),
            requests_per_s=_spread(throughput, "requests_per_sec"),
            output_tokens_per_s=_spread(throughput, "output_tokens_per_sec"),
            total_tokens_per_s=_spread(throughput, "total_tokens_per_sec"),
        ),
        lengths=_lengths(
            number(part(done, "prompt_len"), "mean"),
            number(part(done, "output_len"), "mean"),
        ),
        request_ms=None if request_s is None else request_s * 1000,
    )


READERS: tuple[tuple[Callable[[Document], bool], Callable[[Document], Iterator[Reported]]], ...] = (
    (lambda found: "median_ttft_ms" in found or "mean_tpot_ms" in found, _vllm),
    (lambda found: "benchmarks" in found and _has_metrics(found["benchmarks"]), _guidellm),
    (lambda found: "time_to_first_token" in found and "inter_token_latency" in found, _aiperf),
    (lambda found: "latency" in part(found, "successes"), _inference_perf),
    (lambda found: found.get("format") == OWN_FORMAT, _own),
    (lambda found: isinstance(found.get("metrics"), Mapping), _bare),
)


def _has_metrics(runs: object) -> bool:
    return isinstance(runs, list) and all("metrics" in part(run) for run in runs)


def _successful(figure: Any) -> Document:
    """GuideLLM tells finished requests from failed ones in every figure."""
    found = figure.get("successful", figure) if isinstance(figure, Mapping) else {}
    return found if isinstance(found, Mapping) else {}


def part(found: object, *path: str) -> Document:
    """What lies there, or nothing: a file may have anything at any place."""
    for name in path:
        found = found.get(name) if isinstance(found, Mapping) else None
    return found if isinstance(found, Mapping) else {}


def number(found: Document, *names: str) -> float | None:
    """The first of `names` that holds one; NaN and infinity are none."""
    for name in names:
        value = found.get(name)
        if isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value):
            return float(value)
    return None


def _spread(found: Document, *names: str, factor: float = 1.0) -> Spread | None:
    """Tools write 0 for what they couldn't measure, as for TPOT where answers have one token."""
    value = number(found, *names)
    return Spread(*(value * factor,) * 3) if value else None


def _seconds(found: Document) -> Spread | None:
    """In ms."""
    return _spread(found, "median", "p50", "mean", factor=1000)


def _lengths(given: float | None, answered: float | None) -> Lengths | None:
    if not given or not answered:
        return None
    return Lengths(input_tokens=max(round(given), 1), output_tokens=max(round(answered), 1))
