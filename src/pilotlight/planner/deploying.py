"""A replica's size, a platform's rules and the traffic make plans: one for each way to scale."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace

from pilotlight.catalog.platform import Rentable
from pilotlight.metrics import Metrics, Spread
from pilotlight.planner import attainment
from pilotlight.planner.candidates import Candidate
from pilotlight.planner.coldstart import ColdStart, cold_start
from pilotlight.planner.cost.break_even import Curve
from pilotlight.planner.cost.price import Priced, price
from pilotlight.planner.cost.refusal import Demand, refusals
from pilotlight.planner.cost.serving import Scaling, ScalingLabel, Serving, scalings
from pilotlight.planner.figures import dollars, percent
from pilotlight.planner.plan import (
    ColdStarts,
    Deployment,
    Memory,
    Money,
    Plan,
    Setting,
    Speed,
)
from pilotlight.planner.rank import broken
from pilotlight.planner.refusal import Refusal
from pilotlight.planner.requirements import Requirements
from pilotlight.planner.sizing import Seen, Sized, limited
from pilotlight.planner.speed import Overload
from pilotlight.planner.traffic import Traffic, steady

IMAGE_BYTES = 350 * 10**6
"""Beside the model, where one image holds both: Python, Pilotlight and llama.cpp."""


def deployments(
    candidate: Candidate, sized: Sized, asked: Requirements, *, exact: bool = False
) -> Iterator[Plan | Refusal]:
    """Every sensible scaling on the candidate's platform, with or without `misses`.

    `exact` replays the traffic's trace, if it has one, request by request.
    """
    serving = _serving(candidate, sized, asked)
    for scaling in scalings(candidate.rentable.platform):
        if scaling.label == "to-zero" and not asked.limits.scale_to_zero:
            continue
        yield _plan(candidate, sized, asked, serving, scaling, exact)


def cost_curve(
    candidate: Candidate, sized: Sized, asked: Requirements, scaling: ScalingLabel
) -> Curve:
    """What a month costs at other loads, scaled as the plan is."""
    serving, start = _serving(candidate, sized, asked), _start(candidate)
    chosen = next(
        found for found in scalings(candidate.rentable.platform) if found.label == scaling
    )
    traffic = _traffic(asked)

    def usd_per_month(factor: float) -> float:
        return price(
            candidate.rentable, traffic.scaled(factor), serving, chosen, start
        ).bill.usd_per_month

    return Curve.of(usd_per_month)


def _refused(
    candidate: Candidate, sized: Sized, serving: Serving, asked: Requirements, machines: int
) -> Refusal | None:
    """What the platform doesn't let a request or an instance be."""
    weights = candidate.variant.model.weights
    demand = Demand(
        memory_bytes=sized.fit.ram_bytes * candidate.share.copies,
        image_bytes=weights.file_bytes + IMAGE_BYTES,
        request_s=serving.full_s,
        output_tokens=asked.lengths.output_tokens,
        concurrency=serving.concurrency,
        instances=machines,
    )
    reason = next(iter(refusals(candidate.rentable, demand)), None)
    return None if reason is None else Refusal(kind="platform", reason=reason)


def _serving(candidate: Candidate, sized: Sized, asked: Requirements) -> Serving:
    """What the platform's meter sees of one machine: seconds that a request stays in it."""
    prefill_s = sized.alone_ttft_ms / 1000
    decode_s = (asked.lengths.output_tokens - 1) * sized.alone_tpot_ms / 1000
    alone_s = prefill_s + decode_s
    if not candidate.rentable.platform.concurrent:
        return Serving(
            prefill_s=prefill_s,
            decode_s=decode_s,
            full_s=alone_s,
            concurrency=1,
            capacity_per_s=1 / alone_s,
        )
    copies = candidate.share.copies
    return Serving(
        prefill_s=prefill_s,
        decode_s=decode_s,
        full_s=max(alone_s, sized.full_s),
        concurrency=sized.concurrency * copies,
        capacity_per_s=sized.goodput_per_s * copies,
    )


def _traffic(asked: Requirements) -> Traffic:
    """A batch is spread over all hours: it has to get done, not to be answered."""
    given = asked.traffic
    if asked.mode != "batch":
        return given
    return steady(given.mean_per_s, given.input_tokens, given.output_tokens)


def _plan(
    candidate: Candidate,
    sized: Sized,
    asked: Requirements,
    serving: Serving,
    scaling: Scaling,
    exact: bool,
) -> Plan | Refusal:
    start = _start(candidate)
    priced = price(
        candidate.rentable,
        _traffic(asked),
        serving,
        scaling,
        start,
        exact=exact,
        free=asked.free_tier,
    )
    usage = priced.usage
    machines = usage.peak_instances
    refused = _refused(candidate, sized, serving, asked, machines)
    if refused is not None:
        return refused
    seen = _seen(candidate, sized, asked, machines, usage.cold_share)
    if isinstance(seen, Overload):
        return Refusal(kind="capacity", reason=seen.reason, excess=0.0)
    cold = _cold(priced, start, scaling)
    kept = _kept(seen.speed.metrics, asked, cold)
    money = _money(candidate, priced, asked, kept)
    return Plan(
        deployment=_deployment(candidate, sized, asked, machines, scaling),
        metrics=replace(seen.speed.metrics, usd_per_mtok=_interval(money, sized, seen)),
        memory=_memory(candidate, sized),
        speed=_speed(seen, sized, kept, start),
        money=money,
        cold=cold,
        misses=tuple(_missed(seen, asked, cold, kept, money)),
    )


def _start(candidate: Candidate) -> ColdStart:
    engine, weights = candidate.engine, candidate.variant.model.weights
    extra_s = engine.gpu_start_s if candidate.hardware.gpu else 0.0
    platform = candidate.rentable.platform
    return cold_start(
        platform,
        model_bytes=weights.file_bytes,
        engine_start_s=engine.start_s + extra_s,
        load_bytes_per_s=engine.load_bytes_per_s,
    )


def _seen(
    candidate: Candidate, sized: Sized, asked: Requirements, machines: int, cold_share: float
) -> Seen | Overload:
    """A replica's latencies in the busiest hour, its even share of the load given."""
    if not candidate.rentable.platform.concurrent:
        return sized.alone(asked)
    each_per_s = asked.requests_per_s / (machines * candidate.share.copies)
    percentile = _warm_percentile(asked.service.percentile, cold_share)
    return sized.at_load(asked, each_per_s, percentile)


def _warm_percentile(percentile: float, cold_share: float) -> float:
    """What warm requests must keep, so that with the cold ones all in all keep `percentile`."""
    return min(99.9, percentile / (1 - cold_share)) if cold_share < 1 else 99.9


def _cold(priced: Priced, start: ColdStart, scaling: Scaling) -> ColdStarts | None:
    usage = priced.usage
    if not usage.cold_starts:
        return None
    return ColdStarts(
        per_hour=usage.cold_starts_per_hour, share=usage.cold_share, seconds=start.seconds
    )


def _kept(metrics: Metrics, asked: Requirements, cold: ColdStarts | None) -> float:
    if not limited(asked):
        return 1.0
    cold_share, cold_s = (cold.share, cold.seconds) if cold else (0.0, 0.0)
    return attainment.share(metrics, asked.service, cold_share, cold_s)


def _missed(
    seen: Seen, asked: Requirements, cold: ColdStarts | None, kept: float, money: Money
) -> Iterator[str]:
    if limited(asked):
        slow = tuple(broken(seen.speed.metrics, asked.service))
        yield from slow
        if cold and not slow and kept < asked.service.percentile / 100:
            yield (
                f"{percent(cold.share)} of requests wait {cold.seconds:.3g} s for a cold start, "
                f"{percent(1 - asked.service.percentile / 100)} may miss"
            )
    budget = asked.limits.usd_per_month
    if budget is not None and money.usd_per_month > budget:
        yield f"{dollars(money.usd_per_month)} a month > {dollars(budget)}"


def _money(candidate: Candidate, priced: Priced, asked: Requirements, kept: float) -> Money:
    bill = priced.bill
    tokens = asked.output_tokens_per_month * max(kept, 1e-9)
    return Money(
        usd_per_month=bill.usd_per_month,
        parts=bill.parts,
        usd_per_mtok=bill.usd_per_month / tokens * 1e6,
        arithmetic=bill.arithmetic,
        as_of=candidate.rentable.as_of,
        source="; ".join(_sources(candidate.rentable)),
    )


def _sources(rentable: Rentable) -> Iterable[str]:
    """Of the machine's price, and of the rules and rates that go with it."""
    return dict.fromkeys((rentable.offer.source, rentable.platform.source))


def _interval(money: Money, sized: Sized, seen: Seen) -> Spread:
    """As far off as the time a request takes, for that is what costs."""
    middle = money.usd_per_mtok
    tpot = seen.speed.metrics.tpot_ms
    if tpot is None or tpot.median <= 0:
        return Spread(middle, middle, middle)
    return Spread(middle, middle * tpot.low / tpot.median, middle * tpot.high / tpot.median)


def _memory(candidate: Candidate, sized: Sized) -> Memory:
    found, hardware = sized.fit, candidate.hardware
    on_gpu = max(found.gpu_bytes, default=0)
    return Memory(
        used_bytes=on_gpu or found.ram_bytes,
        available_bytes=max(hardware.gpu_bytes) if on_gpu else hardware.ram_bytes,
        parts=dict(found.gpu_parts if on_gpu else found.parts),
        sequences=found.sequences,
        rule="formula",
        arithmetic=found.arithmetic,
    )


def _speed(seen: Seen, sized: Sized, kept: float, start: ColdStart) -> Speed:
    return Speed(
        bottleneck=seen.parts.bottleneck,
        utilization=seen.speed.utilization,
        capacity_per_s=sized.goodput_per_s,
        attainment=kept,
        sequences=seen.speed.sequences,
        bandwidth_use=seen.speed.use.bandwidth,
        compute_use=seen.speed.use.compute,
        parts_ms={name: 1000 * s for name, s in seen.parts.named.items() if s > 0},
        start_s={phase.name: phase.seconds for phase in start.phases},
    )


def _deployment(
    candidate: Candidate, sized: Sized, asked: Requirements, machines: int, scaling: Scaling
) -> Deployment:
    offer, platform, hardware = (
        candidate.rentable.offer, candidate.rentable.platform, candidate.hardware,
    )  # fmt: skip
    on_gpu = hardware.gpu is not None
    layers = sized.fit.gpu_layers if on_gpu and sized.fit.gpu_share < 1 else None
    return Deployment(
        model=candidate.variant.model.name,
        parameters=candidate.variant.model.parameters,
        ref=candidate.variant.ref,
        quantization=candidate.variant.quantization.name,
        bits_per_weight=candidate.variant.model.weights.bits_per_weight,
        engine=candidate.engine.name,
        platform=platform.name,
        offer=offer.name,
        region=platform.region,
        hardware=hardware.name + (" + CPU" if layers is not None else ""),
        gpu=hardware.gpu.name if hardware.gpu else None,
        gpus=hardware.gpus,
        vcpus=hardware.vcpus,
        cores=hardware.cores,
        ram_bytes=hardware.ram_bytes,
        concurrency=sized.concurrency,
        context=asked.context_tokens,
        machines=machines,
        replicas=machines * candidate.share.copies,
        scaling=scaling.label,
        minimum=scaling.minimum,
        idle_s=scaling.idle_s,
        gpu_layers=layers,
        options=_options(candidate, sized),
    )


def _options(candidate: Candidate, sized: Sized) -> dict[str, Setting]:
    """The engine's own, as pilotlight.yaml has them."""
    engine, hardware = candidate.engine, candidate.hardware
    options: dict[str, Setting] = dict(sized.fit.options)
    options[engine.sequences_option] = sized.concurrency
    if hardware.gpu is None or engine.name == "llamacpp":
        options["threads"] = max(1, int(hardware.cores))
    if candidate.variant.quantize is not None:
        options["quantization"] = candidate.variant.quantize
    return options
