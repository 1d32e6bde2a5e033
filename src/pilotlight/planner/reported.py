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
        numbers, load = stage.get("numbers") or {}, stage.get("load") or {}
        yield Reported(
            tool="pilotlight",
            metrics=_metrics(stage),
            lengths=_lengths(
                _number(numbers.get("input_tokens") or {}, "mean"),
                _number(numbers.get("output_tokens") or {}, "mean"),
            ),
            concurrency=_number(load, "concurrency") if load.get("kind") == "closed" else None,
            request_ms=_number((numbers.get("e2e_ms") or {}).get("p50") or {}, "value"),
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
        concurrency=_number(document, "concurrency"),
        request_ms=_number(document, "request_ms"),
    )


def _vllm(document: Document) -> Iterator[Reported]:
    completed = _number(document, "completed") or 1.0
    yield Reported(
        tool="vllm",
        metrics=Metrics(
            ttft_ms=_spread(document, "median_ttft_ms", "mean_ttft_ms"),
            tpot_ms=_spread(document, "median_tpot_ms", "mean_tpot_ms"),
            requests_per_s=_spread(document, "request_throughput"),
            output_tokens_per_s=_spread(document, "output_throughput"),
            total_tokens_per_s=_spread(document, "total_token_throughput"),
        ),
        lengths=_lengths(
            (_number(document, "total_input_tokens") or 0.0) / completed,
            (_number(document, "total_output_tokens") or 0.0) / completed,
        ),
        concurrency=_number(document, "max_concurrency"),
        request_ms=_number(document, "median_e2el_ms", "mean_e2el_ms"),
    )


def _guidellm(document: Document) -> Iterator[Reported]:
    for run in document["benchmarks"]:
        found = {name: _successful(value) for name, value in run["metrics"].items()}
        request_s = _number(found.get("request_latency", {}), "median", "mean")
        yield Reported(
            tool="guidellm",
            metrics=Metrics(
                ttft_ms=_spread(found.get("time_to_first_token_ms", {}), "median", "mean"),
                tpot_ms=_spread(found.get("inter_token_latency_ms", {}), "median", "mean"),
                requests_per_s=_spread(found.get("requests_per_second", {}), "mean"),
                output_tokens_per_s=_spread(found.get("output_tokens_per_second", {}), "mean"),
                total_tokens_per_s=_spread(found.get("tokens_per_second", {}), "mean"),
            ),
            lengths=_lengths(
                _number(found.get("prompt_token_count", {}), "mean"),
                _number(found.get("output_token_count", {}), "mean"),
            ),
            concurrency=_number(found.get("request_concurrency", {}), "mean"),
            request_ms=None if request_s is None else request_s * 1000,
        )


def _aiperf(document: Document) -> Iterator[Reported]:
    generator = document.get("input_config", {}).get("loadgen", {})
    yield Reported(
        tool="aiperf",
        metrics=Metrics(
            ttft_ms=_spread(document["time_to_first_token"], "p50", "avg"),
            tpot_ms=_spread(document["inter_token_latency"], "p50", "avg"),
            requests_per_s=_spread(document.get("request_throughput", {}), "avg"),
            output_tokens_per_s=_spread(document.get("output_token_throughput", {}), "avg"),
        ),
        lengths=_lengths(
            _number(document.get("input_sequence_length", {}), "avg"),
            _number(document.get("output_sequence_length", {}), "avg"),
        ),
        concurrency=_number(generator, "concurrency"),
        request_ms=_number(document.get("request_latency", {}), "p50", "avg"),
    )


def _inference_perf(document: Document) -> Iterator[Reported]:
    done = document["successes"]
    latency, throughput = done["latency"], done.get("throughput", {})
    request_s = _number(latency.get("request_latency", {}), "median", "p50", "mean")
    yield Reported(
        tool="inference-perf",
        metrics=Metrics(
            ttft_ms=_seconds(latency.get("time_to_first_token", {})),
            tpot_ms=_seconds(latency.get("time_per_output_token", {})),
            requests_per_s=_spread(throughput, "requests_per_sec"),
            output_tokens_per_s=_spread(throughput, "output_tokens_per_sec"),
            total_tokens_per_s=_spread(throughput, "total_tokens_per_sec"),
        ),
        lengths=_lengths(
            _number(done.get("prompt_len", {}), "mean"),
            _number(done.get("output_len", {}), "mean"),
        ),
        request_ms=None if request_s is None else request_s * 1000,
    )


READERS: tuple[tuple[Callable[[Document], bool], Callable[[Document], Iterator[Reported]]], ...] = (
    (lambda found: "median_ttft_ms" in found or "mean_tpot_ms" in found, _vllm),
    (lambda found: "benchmarks" in found and _has_metrics(found["benchmarks"]), _guidellm),
    (lambda found: "time_to_first_token" in found and "inter_token_latency" in found, _aiperf),
    (lambda found: "latency" in found.get("successes", {}), _inference_perf),
    (lambda found: found.get("format") == OWN_FORMAT, _own),
    (lambda found: isinstance(found.get("metrics"), Mapping), _bare),
)


def _has_metrics(runs: object) -> bool:
    return isinstance(runs, list) and all("metrics" in run for run in runs)


def _successful(figure: Any) -> Document:
    """GuideLLM tells finished requests from failed ones in every figure."""
    found = figure.get("successful", figure) if isinstance(figure, Mapping) else {}
    return found if isinstance(found, Mapping) else {}


def _number(found: Document, *names: str) -> float | None:
    """The first of `names` that holds a number."""
    for name in names:
        value = found.get(name)
        if isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value):
            return float(value)
    return None


def _spread(found: Document, *names: str, factor: float = 1.0) -> Spread | None:
    """Tools write 0 for what they couldn't measure, as for TPOT where answers have one token."""
    value = _number(found, *names)
    return Spread(*(value * factor,) * 3) if value else None


def _seconds(found: Document) -> Spread | None:
    """In ms."""
    return _spread(found, "median", "p50", "mean", factor=1000)


def _lengths(given: float | None, answered: float | None) -> Lengths | None:
    if not given or not answered:
        return None
    return Lengths(input_tokens=max(round(given), 1), output_tokens=max(round(answered), 1))
