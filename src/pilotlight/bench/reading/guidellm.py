"""GuideLLM's `benchmarks.json`.

Its "time per output token" counts from sending and divides by all tokens, so the first is in it;
its inter-token latency is a request's TPOT, weighted by the request's tokens. Means of its rates
are totals over time; their medians are of rates between neighbouring events, and mean nothing here.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from pilotlight.bench.columns import Columns
from pilotlight.bench.figures import Distribution, Estimate
from pilotlight.bench.load import Load
from pilotlight.bench.numbers import Numbers
from pilotlight.bench.reading.stated import (
    Tree,
    distribution,
    estimate,
    number,
    part,
    text,
    whole,
)
from pilotlight.bench.report import Stage, Tested
from pilotlight.bench.rows import MOST_ROWS
from pilotlight.metrics import Metrics

SAYS = (
    "GuideLLM counts all times from sending: what waited in its client is in none of them",
    "GuideLLM's ITL is what is TPOT here, with each request's as often as it has tokens",
)


def tested(document: Tree) -> Tested:
    backend = part(document["benchmarks"][0], "config", "backend")
    model = text(backend, "model")
    return Tested(name=model or "GuideLLM", model=model, url=text(backend, "target"))


def stages(document: Tree) -> Iterator[Stage]:
    for run in document["benchmarks"]:
        load = _load(part(run, "config", "strategy"))
        yield Stage(
            name=load.kind if load else text(part(run, "config", "strategy"), "type_") or "run",
            load=load,
            started_at=number(run, "start_time"),
            wall_s=number(run, "duration"),
            metrics=Metrics(),
            notes=SAYS,
            numbers=_numbers(run),
            columns=_columns(run),
        )


def _numbers(run: Tree) -> Numbers:
    figures = run["metrics"]
    done, failed = (whole(part(figures, "request_totals"), of) for of in ("successful", "errored"))
    ttft = _figure(figures, "time_to_first_token_ms")
    return Numbers(
        requests=done + failed,
        completed=done,
        errors={"failed": failed} if failed else {},
        ttft_ms=ttft,
        ttft_from_send_ms=ttft,
        tpot_ms=_figure(figures, "inter_token_latency_ms"),
        e2e_ms=_figure(figures, "request_latency", 1000),
        input_tokens=_figure(figures, "prompt_token_count"),
        output_tokens=_figure(figures, "output_token_count"),
        requests_per_s=_mean(figures, "requests_per_second"),
        output_tokens_per_s=_mean(figures, "output_tokens_per_second"),
        total_tokens_per_s=_mean(figures, "tokens_per_second"),
    )


def _figure(figures: Tree, name: str, factor: float = 1.0) -> Distribution | None:
    """With GuideLLM's own bounds, which take requests for independent, where it gives any."""
    found = _successful(figures, name)
    bounds = part(found, "percentile_cis")

    def at(key: str) -> Estimate | None:
        value = number(part(found, "percentiles"), key)
        if not value:
            return None
        low, high = (number(part(bounds, key), side) for side in ("lower", "upper"))
        return Estimate(value * factor, _times(low, factor), _times(high, factor))

    simple = distribution(found, factor=factor, count=whole(found, "count") or None)
    if simple is None:
        return None
    return Distribution(
        count=simple.count,
        mean=simple.mean,
        p50=at("p50") or simple.p50,
        p90=at("p90"),
        p95=at("p95"),
        p99=at("p99"),
    )


def _times(value: float | None, factor: float) -> float | None:
    return None if value is None else value * factor


def _mean(figures: Tree, name: str) -> Estimate | None:
    return estimate(number(_successful(figures, name), "mean"))


def _successful(figures: Tree, name: str) -> Tree:
    found = part(figures, name)
    return part(found, "successful") or found


def _load(strategy: Tree) -> Load | None:
    kind, rate = text(strategy, "type_"), number(strategy, "rate")
    if kind in ("constant", "poisson") and rate is not None:
        return Load(
            kind="constant" if kind == "constant" else "poisson",
            requests_per_s=rate,
            most_at_once=whole(strategy, "max_concurrency") or None,
        )
    users = 1 if kind == "synchronous" else whole(strategy, "streams", "max_concurrency")
    return Load(kind="closed", concurrency=users) if users else None


def _columns(run: Tree) -> Columns:
    """Of the requests that the file keeps: GuideLLM keeps all, a sample or none."""
    found = part(run, "requests").get("successful")
    # The file has them in the order in which they ended.
    kept = sorted((one for one in found or () if _times_of(one)), key=_times_of)
    kept = kept[:: max(-(-len(kept) // MOST_ROWS), 1)]
    start = number(run, "start_time") or min((_times_of(one)[0] for one in kept), default=0.0)
    spans = [_times_of(one) for one in kept]
    return Columns(
        of=len(found or ()),
        run=(0,) * len(kept),
        scheduled_s=tuple(round(begin - start, 4) for begin, *_ in spans),
        ttft_ms=tuple(round((first - begin) * 1000, 3) for begin, first, _ in spans),
        tpot_ms=tuple(number(one, "inter_token_latency_ms") for one in kept),
        e2e_ms=tuple(round((end - begin) * 1000, 3) for begin, _, end in spans),
        lag_ms=(0.0,) * len(kept),
        input_tokens=_tokens(kept, "input_metrics"),
        output_tokens=_tokens(kept, "output_metrics"),
        error=(None,) * len(kept),
        cold=(False,) * len(kept),
        counted=(True,) * len(kept),
        group=("",) * len(kept),
    )


def _times_of(request: Any) -> tuple[float, ...]:
    """Sent, first token, ended; empty where one is missing."""
    timings = part(request, "info", "timings")
    found = [
        number(timings, name) for name in ("request_start", "first_token_iteration", "request_end")
    ]
    known = tuple(one for one in found if one is not None)
    return known if len(known) == len(found) else ()


def _tokens(requests: Sequence[Any], side: str) -> tuple[int | None, ...]:
    found = (number(part(one, side), "text_tokens") for one in requests)
    return tuple(None if one is None else round(one) for one in found)
