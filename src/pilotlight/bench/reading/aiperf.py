"""AIPerf's `profile_export_aiperf.json`. Its inter-token latency is TPOT: one figure a request."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from pilotlight.bench.figures import Distribution
from pilotlight.bench.load import Load
from pilotlight.bench.numbers import Numbers
from pilotlight.bench.reading.stated import Tree, distribution, estimate, number, part, text, whole
from pilotlight.bench.report import Stage, Tested
from pilotlight.metrics import Metrics

SAYS = ("AIPerf counts all times from sending: what waited in its client is in none of them",)


def tested(document: Tree) -> Tested:
    endpoint = part(document, "input_config", "endpoint")
    names = endpoint.get("model_names")
    model = names[0] if isinstance(names, list) and names else None
    return Tested(name=model or "AIPerf", model=model, url=text(endpoint, "url"))


def stages(document: Tree) -> Iterator[Stage]:
    done = whole(part(document, "request_count"), "avg")
    errors = _errors(document)
    ttft = _figure(document, "time_to_first_token", done)
    yield Stage(
        name="aiperf",
        load=_load(part(document, "input_config", "loadgen")),
        started_at=_moment(text(document, "start_time")),
        wall_s=number(part(document, "benchmark_duration"), "avg"),
        metrics=Metrics(),
        notes=SAYS,
        numbers=Numbers(
            requests=done + sum(errors.values()),
            completed=done,
            errors=errors,
            ttft_ms=ttft,
            ttft_from_send_ms=ttft,
            tpot_ms=_figure(document, "inter_token_latency", done),
            e2e_ms=_figure(document, "request_latency", done),
            request_output_tokens_per_s=_figure(document, "output_token_throughput_per_user", done),
            input_tokens=_figure(document, "input_sequence_length", done),
            output_tokens=_figure(document, "output_sequence_length", done),
            requests_per_s=estimate(number(part(document, "request_throughput"), "avg")),
            output_tokens_per_s=estimate(number(part(document, "output_token_throughput"), "avg")),
            total_tokens_per_s=estimate(number(part(document, "total_token_throughput"), "avg")),
            goodput_per_s=estimate(number(part(document, "goodput"), "avg")),
        ),
    )


MS = {"ms": 1.0, "sec": 1000.0, "s": 1000.0, "us": 1e-3, "ns": 1e-6}


def _figure(document: Tree, name: str, count: int) -> Distribution | None:
    """A time in ms, whatever unit the file has; of anything else the unit is ours."""
    found = part(document, name)
    return distribution(found, factor=MS.get(text(found, "unit") or "", 1.0), count=count or None)


def _errors(document: Tree) -> dict[str, int]:
    found = document.get("error_summary")
    kinds: dict[str, int] = {}
    for entry in found if isinstance(found, list) else ():
        kind = text(part(entry, "error_details"), "type") or "failed"
        kinds[kind] = kinds.get(kind, 0) + whole(part(entry), "count")
    return kinds


def _load(generator: Tree) -> Load | None:
    rate, users = number(generator, "request_rate"), whole(generator, "concurrency")
    if rate is None:
        return Load(kind="closed", concurrency=users) if users else None
    constant = text(generator, "request_rate_mode") == "constant"
    return Load(
        kind="constant" if constant else "poisson",
        requests_per_s=rate,
        most_at_once=users or None,
    )


def _moment(found: str | None) -> float | None:
    """The file has local time without a zone: so it is read."""
    try:
        return datetime.fromisoformat(found).timestamp() if found else None
    except ValueError:
        return None
