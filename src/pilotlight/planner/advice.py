"""Next steps that the figures of a search suggest, each with the figure it rests on."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence

from pilotlight.catalog.model import CatalogModel
from pilotlight.catalog.quantization import Quantization
from pilotlight.planner.figures import dollars, median, milliseconds, number, percent
from pilotlight.planner.plan import Advice, Answer, Plan
from pilotlight.quantities import about_seconds

REFERENCE = "planning tables (llama.cpp's own quantization measurements)"


def advice(
    answer: Answer,
    quantizations: Mapping[str, Quantization],
    models: Mapping[str, CatalogModel],
) -> tuple[Advice, ...]:
    """On the best plan; nothing without one."""
    if not answer.plans:
        return ()
    best = answer.plans[0]
    found: list[Advice] = []
    found += _evaluate(best, quantizations, models)
    found += _bigger(best, quantizations, models)
    found += _parallel(answer, best)
    found += _small_gpus(answer, best)
    found += _batch(answer, best)
    found += _cold(answer, best)
    return tuple(found)


def _evaluate(
    best: Plan, quantizations: Mapping[str, Quantization], models: Mapping[str, CatalogModel]
) -> Iterator[Advice]:
    """Below 8 bits a loss is likely, and another model's says little of this one's."""
    row = quantizations.get(best.deployment.quantization)
    if row is None or row.bits_per_weight >= 8 or _native(best, row, models):
        return
    known = [
        f"{label} {value:g}"
        for label, value in (
            ("KL divergence", row.kl_divergence),
            ("perplexity +", row.perplexity_increase),
        )
        if value is not None
    ]
    measured = (
        f"{row.title}: {', '.join(known)} on Llama-3-8B"
        if known
        else f"{row.title} has {row.bits_per_weight:g} bits a weight"
    )
    yield Advice(
        text=f"measure {best.deployment.model} in {row.title} on your own task before relying on "
        "it: pilotlight eval",
        evidence=f"{measured}; losses don't transfer between models",
        source=row.source,
    )


def _native(best: Plan, row: Quantization, models: Mapping[str, CatalogModel]) -> bool:
    """Whether it was trained in these bits: then nothing was lost."""
    model = models.get(best.deployment.model)
    return model is not None and row.name.startswith(model.native)


def _bigger(
    best: Plan, quantizations: Mapping[str, Quantization], models: Mapping[str, CatalogModel]
) -> Iterator[Advice]:
    """The same bytes hold a larger model in 4 bits, which usually is the better one."""
    used = quantizations.get(best.deployment.quantization)
    own, four = models.get(best.deployment.model), quantizations.get("q4_k_m")
    if used is None or own is None or four is None or used.bits_per_weight < 8:
        return
    room = own.parameters * used.bits_per_weight / four.bits_per_weight
    larger = [
        row
        for row in models.values()
        if own.parameters * 1.3 < row.parameters <= room
        and _generation(row.name) == _generation(own.name)
    ]
    if larger:
        chosen = max(larger, key=lambda row: row.parameters)
        yield Advice(
            text=f"try {chosen.name} in 4 bits: it usually beats {own.name} in "
            f"{used.bits_per_weight:g} for the same memory",
            evidence=f"{_billions(chosen.parameters * four.bits_per_weight / 8)} GB against "
            f"{_billions(own.parameters * used.bits_per_weight / 8)} GB of weights; at 3 bits this "
            "turns round",
            source=REFERENCE,
        )


def _generation(name: str) -> str:
    """The name up to the size: only of one generation a larger model is the abler one."""
    return re.split(r"-\d+(\.\d+)?[bm]\b", name)[0]


def _billions(count: float) -> str:
    return f"{count / 1e9:.1f}"


def _parallel(answer: Answer, best: Plan) -> Iterator[Advice]:
    """Layers in turn leave all GPUs but one idle; sharing each layer uses them all."""
    if best.deployment.gpus < 2:
        return
    split = _first(answer.plans, lambda p: _together(p, best) and p.deployment.engine == "llamacpp")
    shared = _first(answer.plans, lambda p: _together(p, best) and p.deployment.engine == "vllm")
    if split is None or shared is None:
        return
    yield Advice(
        text="share layers between the GPUs (tensor parallelism) rather than deal them out",
        evidence=f"TPOT {_tpot(shared)} on vllm against {_tpot(split)} with layers in turn on "
        f"{best.deployment.hardware}",
    )


def _together(plan: Plan, best: Plan) -> bool:
    d, other = plan.deployment, best.deployment
    return (d.gpu, d.gpus, d.model) == (other.gpu, other.gpus, other.model)


def _small_gpus(answer: Answer, best: Plan) -> Iterator[Advice]:
    """Many small GPUs beat few large ones while the model is small (up to about 7B)."""
    small = _first(answer.plans, lambda p: p.deployment.gpu == "l4")
    large = _first(answer.plans, lambda p: (p.deployment.gpu or "").startswith(("a100", "h100")))
    if small is None or large is None:
        return
    a, b = small.money.usd_per_mtok, large.money.usd_per_mtok
    winner, loser = ("L4", "A100 or H100") if a <= b else ("A100 or H100", "L4")
    yield Advice(
        text=f"rent {winner} rather than {loser} for this model and load",
        evidence=f"L4 {dollars(a)}, {large.deployment.hardware} {dollars(b)} a million tokens; "
        "published: small GPUs give more per dollar up to about 7B, large ones above",
        source="vendor's study of G2 against A3 machines",
    )


def _batch(answer: Answer, best: Plan) -> Iterator[Advice]:
    """Until the knee, more at once costs little time and gives nearly as much more output."""
    speed, asked_per_s = best.speed, answer.asked.requests_per_s
    spare = speed.capacity_per_s * best.deployment.replicas / asked_per_s
    if best.deployment.concurrency < 2 or spare < MUCH_ROOM:
        return
    yield Advice(
        text=f"send it more: a replica takes up to {number(speed.capacity_per_s)} requests/s "
        f"within the service level, batched up to {best.deployment.concurrency}",
        evidence=f"{number(asked_per_s)} requests/s asked, so {number(min(spare, 1000))} times the "
        f"load on the same hardware; {number(speed.sequences)} in the batch now",
    )


MUCH_ROOM = 1.4
"""Times the load, from which on more of it is worth a word."""


def _cold(answer: Answer, best: Plan) -> Iterator[Advice]:
    """Both ways of waiting on the same hardware, with the money between them."""
    other = _first(answer.plans, lambda plan: _otherwise_scaled(plan, best))
    if other is None:
        return
    gained = other.money.usd_per_month - best.money.usd_per_month
    word = {"to-zero": "scale to zero", "standby": "keep one in standby", "always-on": "stay up"}
    waits = best.cold or other.cold
    yield Advice(
        text=f"{word[best.deployment.scaling]}: {dollars(gained)} a month less than "
        f"{other.deployment.scaling} on {best.deployment.offer}",
        evidence=f"{number(waits.per_hour)} cold starts an hour, {percent(waits.share)} of "
        f"requests wait {about_seconds(waits.seconds)}"
        if waits
        else "no request waits for a cold start either way",
    )


def _otherwise_scaled(plan: Plan, best: Plan) -> bool:
    a, b = plan.deployment, best.deployment
    same = (a.offer, a.model, a.engine, a.gpus) == (b.offer, b.model, b.engine, b.gpus)
    return same and a.scaling != b.scaling


def _first(plans: Sequence[Plan], wanted: Callable[[Plan], bool]) -> Plan | None:
    return next((plan for plan in plans if wanted(plan)), None)


def _tpot(plan: Plan) -> str:
    return milliseconds(median(plan.metrics.tpot_ms))
