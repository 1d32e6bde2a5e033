"""One replica: whether the model fits, how many sequences to run, and how much load it takes.

Nothing here knows a price, so that all who rent the same hardware share one answer.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import date

from pilotlight.catalog.hardware import Cpu
from pilotlight.errors import PlanError
from pilotlight.planner.batching import service
from pilotlight.planner.device import Device, cpu_device, gpu_device
from pilotlight.planner.engine_facts import EngineFacts
from pilotlight.planner.figures import milliseconds
from pilotlight.planner.hardware import Hardware
from pilotlight.planner.memory import Fit, Load, Room, fit
from pilotlight.planner.rank import broken, latency_excesses
from pilotlight.planner.rates import Rates
from pilotlight.planner.refusal import Refusal
from pilotlight.planner.requirements import Requirements, ServiceLevel
from pilotlight.planner.roofline import Parts, Setup
from pilotlight.planner.speed import Overload, Speed, at_concurrency, at_load, place, unloaded
from pilotlight.planner.variants import Variant
from pilotlight.quantities import about_bytes

_FULLEST = 0.95
"""Of its capacity, without a service level: at all of it a queue grows without end."""

_STEPS = 6
"""Of the search for the most load: 3 % of the capacity."""


@dataclass(frozen=True, slots=True)
class Seen:
    """A replica's speed with the parts of a token's time, which `Speed` works out each time."""

    speed: Speed
    parts: Parts


@dataclass(frozen=True, slots=True, kw_only=True)
class Sized:
    """`goodput_per_s` is the most load that one replica takes within the service level."""

    fit: Fit
    setup: Setup
    concurrency: int
    goodput_per_s: float
    full_s: float
    """That a request takes while all places are taken."""

    alone_ttft_ms: float
    alone_tpot_ms: float
    _seen: dict[tuple[float, float], Seen | Overload] = field(default_factory=dict, compare=False)

    def at_load(
        self, asked: Requirements, requests_per_s: float, percentile: float
    ) -> Seen | Overload:
        """One replica's answer to its share of the load; many who rent it ask the same."""
        key = (requests_per_s, percentile)
        if key not in self._seen:
            found = at_load(self.setup, asked.lengths, requests_per_s, self.concurrency, percentile)
            self._seen[key] = found if isinstance(found, Overload) else Seen(found, found.parts)
        return self._seen[key]

    def alone(self, asked: Requirements) -> Seen:
        """One request after the other."""
        found = at_concurrency(self.setup, asked.lengths, 1)
        return Seen(found, found.parts)


@dataclass(frozen=True, slots=True, kw_only=True)
class Replica:
    """What is to be sized: one variant on one engine on one share of a machine."""

    variant: Variant
    engine: EngineFacts
    hardware: Hardware


_ANY_CPU = Cpu(
    name="any", source="none: what is wholly on GPUs doesn't ask", as_of=date.min, title="any",
    vendor="intel", cores=1, channels=1, memory_mt_s=1, instructions="avx2", clock_ghz=1, tdp_w=1,
)  # fmt: skip
_ANY_RAM_BYTES = 2**42


def on_gpus_alone(replica: Replica, asked: Requirements) -> Replica | None:
    """The same with any processor, where all of the model is on GPUs and the processor of no
    account: then one answer serves all machines with those GPUs. None where it is."""
    hardware = replica.hardware
    if hardware.gpu is None:
        return None
    bare = replace(
        replica,
        hardware=replace(hardware, cpu=_ANY_CPU, cores=1.0, vcpus=1.0, ram_bytes=_ANY_RAM_BYTES),
    )
    if not replica.engine.offload:
        return bare
    try:
        alone = _fit(bare, asked, 1)
    except PlanError:
        return None
    return bare if alone.fits and alone.gpu_share == 1 else None


def enough_ram(sized: Sized, hardware: Hardware) -> Sized | Refusal:
    """What was sized without regard to RAM, held against what there is."""
    short_bytes = sized.fit.ram_bytes - hardware.ram_bytes
    if short_bytes <= 0:
        return sized
    reason = f"doesn't fit by {about_bytes(short_bytes)} of RAM beside the GPU"
    return Refusal(kind="memory", reason=reason, excess=short_bytes / hardware.ram_bytes)


def size(
    replica: Replica, asked: Requirements, most: int | None, rates: Mapping[str, Rates]
) -> Sized | Refusal:
    """`most` is the platform's limit of requests at once; `rates` are measured ones by device."""
    try:
        return _size(replica, asked, most, rates)
    except PlanError as error:  # a model or device that a rule or the rates don't cover
        return Refusal(kind="engine", reason=error.message)


def _size(
    replica: Replica, asked: Requirements, most: int | None, rates: Mapping[str, Rates]
) -> Sized | Refusal:
    alone = _fit(replica, asked, 1)
    if not alone.fits:
        return _unfit(replica, alone)
    setups = _Setups(replica, rates, asked.limits.kv_type)
    built = setups.of(alone)
    ttft_ms, tpot_ms = unloaded(built, asked.lengths)
    if limited(asked) and (slow := _too_slow(asked.service, ttft_ms, tpot_ms)):
        return slow
    best = _best(replica, asked, _most_at_once(replica, asked, alone, most), setups)
    if isinstance(best, Refusal):
        return best
    return replace(best, alone_ttft_ms=ttft_ms, alone_tpot_ms=tpot_ms)


def _fit(replica: Replica, asked: Requirements, sequences: int) -> Fit:
    hardware = replica.hardware
    room = Room(
        ram_bytes=hardware.ram_bytes,
        gpus=hardware.gpu_bytes,
        instruction_sets=frozenset({hardware.cpu.instructions}),
    )
    load = Load(
        context=asked.context_tokens,
        sequences=sequences,
        held=asked.lengths.total_tokens,
        kv_type=asked.limits.kv_type,
    )
    return fit(replica.variant.model, replica.engine.name, load, room)


def _unfit(replica: Replica, found: Fit) -> Refusal:
    """What the engine can't do isn't a matter of memory: no bytes are short of it."""
    if found.lacks == "engine":
        return Refusal(kind="engine", reason=found.reason)
    has = sum(replica.hardware.gpu_bytes) if found.lacks == "gpu" else replica.hardware.ram_bytes
    excess = found.short_bytes / max(has, 1)
    return Refusal(kind="memory", reason=found.reason, excess=excess)


@dataclass(slots=True)
class _Setups:
    """Of one replica by the share that is on GPUs, which more sequences may make smaller."""

    replica: Replica
    rates: Mapping[str, Rates]
    kv_type: str | None
    known: dict[float, Setup] = field(default_factory=dict)

    def of(self, found: Fit) -> Setup:
        if found.gpu_share not in self.known:
            self.known[found.gpu_share] = self._placed(found.gpu_share)
        return self.known[found.gpu_share]

    def _placed(self, on_gpu: float) -> Setup:
        engine, hardware = self.replica.engine, self.replica.hardware
        parallel = hardware.gpus if engine.tensor_parallel and hardware.gpu else 1
        devices = list(_devices(hardware, on_gpu, parallel))
        model = self.replica.variant.model
        measured = {name: r for name, r in self.rates.items() if r.engine == engine.name}
        return place(
            model, engine.name, devices, ranks=parallel, kv_type=self.kv_type, rates=measured
        )


def _devices(hardware: Hardware, on_gpu: float, parallel: int) -> Iterator[tuple[Device, float]]:
    """Each with its share of the layers, which it computes in turn unless they are parallel.

    The processor has the first ones: llama.cpp puts the output, then the last layers on GPUs.
    """
    rest = 1 - on_gpu if hardware.gpu is not None else 1.0
    if rest > 0:
        yield cpu_device(hardware.cpu, hardware.cores, hardware.ram_bytes), rest
    if hardware.gpu is not None and on_gpu > 0:
        stages = 1 if parallel > 1 else hardware.gpus
        for _ in range(stages):
            yield gpu_device(hardware.gpu), on_gpu / stages


def _too_slow(service: ServiceLevel, ttft_ms: float, tpot_ms: float) -> Refusal | None:
    """What even a single user doesn't get."""
    for name, value, limit in (
        ("TTFT", ttft_ms, service.ttft_ms),
        ("TPOT", tpot_ms, service.tpot_ms),
    ):
        if limit is not None and value > limit:
            reason = f"{name} {milliseconds(value)} > {milliseconds(limit)} for one user alone"
            return Refusal(kind="speed", reason=reason, excess=value / limit - 1)
    return None


def _most_at_once(
    replica: Replica, asked: Requirements, alone: Fit, platforms_most: int | None
) -> int:
    bounds = [
        alone.sequences, replica.engine.most_sequences, platforms_most, asked.limits.concurrency,
    ]  # fmt: skip
    return max(1, min(bound for bound in bounds if bound is not None))


def _best(replica: Replica, asked: Requirements, most: int, setups: _Setups) -> Sized | Refusal:
    """The number at once that takes the most load, from the largest down.

    More at once is more throughput until the time per token breaks its limit, so the load it takes
    has one peak: the walk ends behind it.
    """
    best: Sized | None = None
    refused: Refusal | None = None
    for concurrency in _ladder(most):
        tried = _loaded(replica, asked, concurrency, setups, best.goodput_per_s if best else 0.0)
        if tried is None:
            break
        if isinstance(tried, Refusal):
            refused = tried
        else:
            best = tried
    if best is not None:
        return best
    assert refused is not None, "the ladder has a rung"
    return refused


def _ladder(most: int) -> Iterator[int]:
    """All of them, then powers of two down to one."""
    yield most
    step = 1 << (most.bit_length() - 1)
    while step >= 1:
        if step < most:
            yield step
        step //= 2


def _loaded(
    replica: Replica,
    asked: Requirements,
    concurrency: int,
    setups: _Setups,
    beaten_per_s: float,
) -> Sized | Refusal | None:
    """None where it can't take more load than `beaten_per_s`."""
    found = _fit(replica, asked, concurrency)
    if not found.fits:
        return _unfit(replica, found)
    if replica.hardware.cpu is _ANY_CPU and found.gpu_share < 1:
        return Refusal(kind="memory", reason=f"no room for {concurrency} at once on the GPU alone")
    built = setups.of(found)
    full = service(built, asked.lengths, concurrency)
    limit_ms = asked.service.tpot_ms if limited(asked) else None
    if limit_ms is not None and full.tpot_s * 1000 > limit_ms:
        reason = f"TPOT {milliseconds(full.tpot_s * 1000)} > {milliseconds(limit_ms)}"
        return Refusal(kind="speed", reason=reason, excess=full.tpot_s * 1000 / limit_ms - 1)
    if full.requests_per_s * _FULLEST <= beaten_per_s:
        return None
    goodput_per_s = _goodput(built, asked, concurrency, full.requests_per_s)
    if isinstance(goodput_per_s, Refusal):
        return goodput_per_s
    if goodput_per_s <= beaten_per_s:
        return None
    return Sized(
        fit=found,
        setup=built,
        concurrency=concurrency,
        goodput_per_s=goodput_per_s,
        full_s=full.request_s,
        alone_ttft_ms=0.0,
        alone_tpot_ms=0.0,
    )


def _goodput(
    built: Setup, asked: Requirements, concurrency: int, most_per_s: float
) -> float | Refusal:
    """The most load within the service level, by halving; latency only grows with load."""
    if not limited(asked):
        return most_per_s * _FULLEST
    low, high = 0.0, most_per_s
    last: Speed | None = None
    for step in range(_STEPS):
        middle = high * _FULLEST if step == 0 else (low + high) / 2
        seen = at_load(built, asked.lengths, middle, concurrency, asked.service.percentile)
        last = seen if isinstance(seen, Speed) else last
        if not isinstance(seen, Speed) or any(broken(seen.metrics, asked.service)):
            high = middle
        elif step == 0:
            return middle
        else:
            low = middle
    if low > 0:
        return low
    reason = next(broken(last.metrics, asked.service)) if last else "no load at all can be taken"
    return Refusal(kind="speed", reason=reason, excess=_excess(last, asked.service))


def limited(asked: Requirements) -> bool:
    """Whether any latency is bounded: a batch's never is."""
    service = asked.service
    return asked.mode != "batch" and (service.ttft_ms is not None or service.tpot_ms is not None)


def _excess(seen: Speed | None, service: ServiceLevel) -> float:
    return float("inf") if seen is None else max(latency_excesses(seen.metrics, service))
