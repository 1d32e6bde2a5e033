"""`vllm bench serve --save-result`.

Its ITL pools the raw gaps between chunks, however many tokens a chunk has; its burstiness is the
shape of the gamma distribution, which is one over the squared coefficient of variation.
"""

from __future__ import annotations

from collections.abc import Iterator

from pilotlight.bench.figures import Distribution
from pilotlight.bench.load import Load
from pilotlight.bench.numbers import Numbers
from pilotlight.bench.reading.stated import Tree, distribution, estimate, number, text, whole
from pilotlight.bench.report import Stage, Tested
from pilotlight.metrics import Metrics

SAYS = (
    "vLLM counts all times from sending: what waited in its client is in none of them",
    "vLLM's ITL pools the gaps between chunks, however many tokens each had",
)


def tested(document: Tree) -> Tested:
    model = text(document, "model_id")
    return Tested(name=text(document, "label") or model or "vLLM bench", model=model)


def stages(document: Tree) -> Iterator[Stage]:
    done = whole(document, "completed")
    # Its older versions leave out how many failed, but not how many there were.
    failed = whole(document, "failed") or max(whole(document, "num_prompts") - done, 0)
    ttft = _figure(document, "ttft", done)
    yield Stage(
        name="vllm bench serve",
        load=_load(document),
        wall_s=number(document, "duration"),
        metrics=Metrics(),
        notes=SAYS,
        numbers=Numbers(
            requests=done + failed,
            completed=done,
            errors={"failed": failed} if failed else {},
            ttft_ms=ttft,
            ttft_from_send_ms=ttft,
            itl_ms=_figure(document, "itl", None),
            tpot_ms=_figure(document, "tpot", done),
            e2e_ms=_figure(document, "e2el", done),
            input_tokens=_mean(document, "total_input_tokens", done),
            output_tokens=_mean(document, "total_output_tokens", done),
            requests_per_s=estimate(number(document, "request_throughput")),
            output_tokens_per_s=estimate(number(document, "output_throughput")),
            total_tokens_per_s=estimate(number(document, "total_token_throughput")),
            goodput_per_s=estimate(number(document, "request_goodput")),
        ),
    )


def _figure(document: Tree, name: str, count: int | None) -> Distribution | None:
    kinds = ("mean", "median", "p50", "p90", "p95", "p99")
    return distribution({kind: document.get(f"{kind}_{name}_ms") for kind in kinds}, count=count)


def _mean(document: Tree, total: str, done: int) -> Distribution | None:
    found = number(document, total)
    return Distribution(count=done, mean=found / done) if found and done else None


def _load(document: Tree) -> Load | None:
    rate, most = number(document, "request_rate"), number(document, "max_concurrency")
    requests = whole(document, "num_prompts") or None
    if rate is None:
        users = most or requests
        return Load(kind="closed", concurrency=round(users), requests=requests) if users else None
    shape = number(document, "burstiness") or 1.0
    return Load(
        kind="poisson" if shape == 1 else "gamma",
        requests_per_s=rate,
        burstiness=1 / shape,
        requests=requests,
        most_at_once=round(most) if most else None,
    )
