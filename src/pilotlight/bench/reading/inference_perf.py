"""inference-perf's lifecycle metrics, of all requests or of one stage. It counts in seconds.

Its inter-token latency takes the tokens of one chunk for simultaneous: where chunks have several,
most of its gaps are 0.
"""

from __future__ import annotations

from collections.abc import Iterator

from pilotlight.bench.figures import Distribution
from pilotlight.bench.load import Load
from pilotlight.bench.numbers import Numbers
from pilotlight.bench.reading.stated import Tree, distribution, estimate, number, part, whole
from pilotlight.bench.report import Stage, Tested
from pilotlight.metrics import Metrics

SAYS = (
    "inference-perf counts all times from sending: what waited in its client is in none of them",
    "inference-perf's ITL takes the tokens of one chunk for simultaneous",
)


def tested(document: Tree) -> Tested:
    """The file doesn't say what was asked."""
    return Tested(name="inference-perf")


def stages(document: Tree) -> Iterator[Stage]:
    found, sent = part(document, "successes"), part(document, "load_summary")
    done, failed = whole(found, "count"), whole(part(document, "failures"), "count")
    rates, rate = part(found, "throughput"), number(sent, "requested_rate")
    ttft = _ms(found, "time_to_first_token", done)
    yield Stage(
        name="inference-perf",
        load=Load(kind="poisson", requests_per_s=rate) if rate else None,
        wall_s=number(document, "benchmark_time_seconds"),
        metrics=Metrics(),
        notes=SAYS,
        numbers=Numbers(
            requests=done + failed,
            completed=done,
            errors={"failed": failed} if failed else {},
            ttft_ms=ttft,
            ttft_from_send_ms=ttft,
            itl_ms=_ms(found, "inter_token_latency", None),
            tpot_ms=_ms(found, "time_per_output_token", done),
            e2e_ms=_ms(found, "request_latency", done),
            input_tokens=distribution(part(found, "prompt_len"), count=done or None),
            output_tokens=distribution(part(found, "output_len"), count=done or None),
            requests_per_s=estimate(number(rates, "requests_per_sec")),
            output_tokens_per_s=estimate(number(rates, "output_tokens_per_sec")),
            total_tokens_per_s=estimate(number(rates, "total_tokens_per_sec")),
        ),
    )


def _ms(found: Tree, name: str, count: int | None) -> Distribution | None:
    return distribution(part(found, "latency", name), factor=1000.0, count=count or None)
