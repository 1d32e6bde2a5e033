"""What was asked, as lines to read: above every table, so that no answer stands alone."""

from __future__ import annotations

from collections.abc import Iterator

from pilotlight.planner.figures import dollars, milliseconds, number, percent
from pilotlight.planner.requirements import Limits, Requirements


def asked_lines(asked: Requirements) -> Iterator[tuple[str, str]]:
    """Label and value."""
    yield "load", _load(asked)
    lengths = asked.lengths
    yield (
        "request",
        f"{lengths.input_tokens:,} tokens in, {lengths.output_tokens:,} out (mean); "
        f"context {asked.context_tokens:,}",
    )
    yield "service level", _service(asked)
    if limits := list(_limits(asked)):
        yield "limits", ", ".join(limits)


def _load(asked: Requirements) -> str:
    traffic = asked.traffic
    month = f"{number(traffic.requests_per_month)} requests a month"
    if asked.mode == "batch":
        return f"batch: {number(traffic.mean_per_s)} requests/s around the clock, {month}"
    hours = traffic.active_share * 24
    when = "" if hours >= 24 else f" in {hours:.3g} h a day"
    return f"{number(traffic.peak_per_s)} requests/s at the busiest{when}, {month}"


def _service(asked: Requirements) -> str:
    service = asked.service
    bounds = [
        f"{name} ≤ {milliseconds(limit)}"
        for name, limit in (("TTFT", service.ttft_ms), ("TPOT", service.tpot_ms))
        if limit is not None
    ]
    if asked.mode == "batch" or not bounds:
        return "none: throughput alone"
    return f"{', '.join(bounds)} for {percent(service.percentile / 100)} of requests"


def _limits(asked: Requirements) -> Iterator[str]:
    limits = asked.limits
    for name, values in (
        ("platform", limits.platforms), ("gpu", limits.gpus), ("engine", limits.engines),
        ("quantization", limits.quantizations), ("region", limits.regions),
    ):  # fmt: skip
        if values:
            yield f"{name} {' or '.join(values)}"
    if limits.private:
        yield "own machines only"
    if limits.usd_per_month is not None:
        yield f"{dollars(limits.usd_per_month)} a month"
    if not limits.scale_to_zero:
        yield "never to zero"
    if asked.free_tier:
        yield "free amounts counted"
    yield from _of_a_replica(limits)


def _of_a_replica(limits: Limits) -> Iterator[str]:
    usual = Limits()
    if limits.max_gpus != usual.max_gpus:
        yield f"{limits.max_gpus} GPUs at most"
    if limits.min_bits != usual.min_bits:
        yield f"{limits.min_bits:g} bits a weight at least"
    if limits.concurrency is not None:
        yield f"{limits.concurrency} at once at most"
    if limits.kv_type is not None:
        yield f"cache in {limits.kv_type}"
