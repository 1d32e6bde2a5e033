"""The speed of a model on its devices under a load: latencies, throughput, power, and what limits.

The front of the time model; roofline.py has its steps, batching.py and queueing.py the load.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pilotlight.meter.rating import power_w
from pilotlight.metrics import Metrics, Spread
from pilotlight.planner.batching import Service, batch_at, service
from pilotlight.planner.default_rates import default_rates
from pilotlight.planner.device import Device
from pilotlight.planner.device_use import DeviceUse, device_use
from pilotlight.planner.model import PlannedModel
from pilotlight.planner.queueing import crowded, for_a_place, for_prompts
from pilotlight.planner.rates import Rates
from pilotlight.planner.requirements import Lengths
from pilotlight.planner.roofline import Bottleneck, Parts, Setup, Stage
from pilotlight.planner.work import work_of

MOST_LOAD = 0.98
"""Of the capacity, up to which a queue is worth predicting: past it waits grow without bound."""

JOULES_ERROR = 0.4
"""A rating says little of what is drawn: published decode power is 0.4 to 0.8 of it."""


@dataclass(frozen=True, slots=True)
class Speed:
    """One replica at one load. `metrics` has no dollars; those are the platform's."""

    metrics: Metrics
    utilization: float
    """Of what the replica takes with its batch full."""

    capacity_per_s: float
    """Requests, with the batch full."""

    sequences: float
    """In the batch, in the mean, as a request sees it: itself among them."""

    most_sequences: float
    use: DeviceUse
    setup: Setup
    lengths: Lengths
    service: Service

    @property
    def parts(self) -> Parts:
        """Of a token's time: its step, and its share of other requests' prompts."""
        found, lengths = self.service, self.lengths
        prompts = max(found.sequences - 1, 0.0) / max(lengths.output_tokens - 1, 1)
        prefill = self.setup.prefill(lengths.input_tokens)
        added = prompts * found.beside_s / prefill.seconds
        return self.setup.decode(found.sequences, found.context) + prefill.scaled(added)

    @property
    def bottleneck(self) -> Bottleneck:
        return self.parts.bottleneck


@dataclass(frozen=True, slots=True)
class Overload:
    """More requests than the replica takes with its batch full."""

    requests_per_s: float
    capacity_per_s: float
    most_sequences: float

    @property
    def reason(self) -> str:
        return (
            f"takes {self.capacity_per_s:.3g} requests/s with {self.most_sequences:g} at once, "
            f"asked for {self.requests_per_s:.3g}"
        )


def place(
    model: PlannedModel,
    engine: str,
    devices: Sequence[tuple[Device, float]],
    *,
    ranks: int = 1,
    kv_type: str | None = None,
    rates: Mapping[str, Rates] | None = None,
) -> Setup:
    """`devices` with each one's share of the layers, in the order that layers pass them.

    `ranks` of each work together by tensor parallelism. `rates` are measured ones that replace the
    defaults: by the device's name, or by ``device/engine`` where several engines were measured.

    Raises:
        PlanError: nobody knows how fast `engine` is on one of them.
    """
    measured = rates or {}
    used = [(device, share) for device, share in devices if share > 0]
    stages = tuple(
        Stage(
            device=device,
            rates=_measured(measured, device, engine) or default_rates(device, engine),
            share=share,
            ranks=ranks,
            head=index == len(used) - 1,
        )
        for index, (device, share) in enumerate(used)
    )
    return Setup(work_of(model, kv_type), stages)


def _measured(rates: Mapping[str, Rates], device: Device, engine: str) -> Rates | None:
    """Another engine's rates say nothing of this one."""
    found = rates.get(f"{device.name}/{engine}") or rates.get(device.name)
    return found if found and found.engine == engine else None


def unloaded(setup: Setup, lengths: Lengths) -> tuple[float, float]:
    """(TTFT, TPOT) in ms of a request that is alone: no load makes either shorter."""
    alone = service(setup, lengths, 1.0)
    return alone.first_s * 1000, alone.tpot_s * 1000


def capacity(setup: Setup, lengths: Lengths, sequences: float) -> float:
    """Requests/s with a batch of `sequences` kept full."""
    return service(setup, lengths, sequences).requests_per_s


def at_concurrency(setup: Setup, lengths: Lengths, concurrency: float) -> Speed:
    """Closed loop: each of `concurrency` clients sends its next request when one ends."""
    found = service(setup, lengths, concurrency)
    others = max(concurrency - 1, 0.0)
    queue_s = _closed_wait_s(found, others)
    rate = concurrency / (queue_s + found.request_s)
    seen = _Latencies(found.first_s + queue_s, found.tpot_s, None, None)
    return _speed(setup, lengths, found, seen, rate, rate, concurrency, None)


def at_load(
    setup: Setup,
    lengths: Lengths,
    requests_per_s: float,
    sequences: float,
    percentile: float = 95.0,
) -> Speed | Overload:
    """Open loop: Poisson arrivals at this rate, at most `sequences` worked on at once."""
    full_per_s = capacity(setup, lengths, sequences)
    if requests_per_s >= MOST_LOAD * full_per_s:
        return Overload(requests_per_s, full_per_s, sequences)
    usual = batch_at(setup, lengths, requests_per_s, sequences)
    tail = service(setup, lengths, _busiest(setup, lengths, usual, sequences, percentile))
    seen = _open_latencies(usual, tail, requests_per_s, full_per_s, sequences, percentile)
    return _speed(setup, lengths, usual, seen, requests_per_s, full_per_s, sequences, percentile)


def _busiest(
    setup: Setup, lengths: Lengths, usual: Service, sequences: float, percentile: float
) -> float:
    """The batch at its `percentile`.

    With steps of one length it would be Poisson's. But more sequences make longer steps, which let
    more sequences gather: where TPOT grows by e per cent for one per cent more of them, the
    variance is 1 / (1 - e) times that.
    """
    others = usual.sequences - 1
    if others <= 0:
        return usual.sequences
    alone_s = service(setup, lengths, 1.0).tpot_s
    growing = (usual.tpot_s - alone_s) / others * usual.sequences / usual.tpot_s
    spread = 1 / (1 - min(max(growing, 0.0), MOST_GROWING))
    return min(1 + crowded(others, percentile, spread), float(sequences))


MOST_GROWING = 0.8
"""Past it the batch isn't in balance, and its places bound it anyway."""


@dataclass(frozen=True, slots=True)
class _Latencies:
    """Seconds; the tails are None in a closed loop, where nothing is said of them."""

    ttft_s: float
    tpot_s: float
    ttft_tail_s: float | None
    tpot_tail_s: float | None


def _open_latencies(
    usual: Service,
    tail: Service,
    requests_per_s: float,
    full_per_s: float,
    sequences: float,
    percentile: float,
) -> _Latencies:
    """A request waits for a place, for the step under way, and for the prompts beside its own.

    Steps are as long as the prompts that came during the one before make them; `together` of
    those share a step in the mean.
    """
    places = for_a_place(requests_per_s, full_per_s, usual.request_s, sequences)
    prompts = for_prompts(requests_per_s, usual.beside_s)
    under_way_s = min(usual.sequences - 1, 1.0) * usual.step_s / (1 - prompts.probability)
    together = requests_per_s * under_way_s
    ttft_s = usual.first_s + under_way_s / 2 + prompts.overall_s + places.at(50)
    crowd_s = max(crowded(together, percentile) * usual.beside_s, prompts.at(percentile))
    tail_s = max(tail.first_s, usual.first_s) + under_way_s + crowd_s + places.at(percentile)
    return _Latencies(ttft_s, usual.tpot_s, max(tail_s, ttft_s), max(tail.tpot_s, usual.tpot_s))


def _closed_wait_s(found: Service, others: float) -> float:
    """For the prompts of others, when each of them spends a share of its time in its own."""
    if not others:
        return 0.0
    prompting = found.beside_s / found.request_s
    return others * prompting * found.beside_s / 2 + found.step_s / 2


def _speed(
    setup: Setup,
    lengths: Lengths,
    found: Service,
    seen: _Latencies,
    requests_per_s: float,
    capacity_per_s: float,
    most: float,
    percentile: float | None,
) -> Speed:
    used = device_use(setup, lengths, found, requests_per_s)
    around = setup.error
    offered = 0.0 if percentile is not None else around
    joules = _joules(setup, used, requests_per_s * lengths.output_tokens)
    metrics = Metrics(
        ttft_ms=_spread(seen.ttft_s * 1000, around),
        ttft_tail_ms=_maybe(seen.ttft_tail_s, around),
        tpot_ms=_spread(seen.tpot_s * 1000, around),
        tpot_tail_ms=_maybe(seen.tpot_tail_s, around),
        tail_percentile=percentile,
        requests_per_s=_spread(requests_per_s, offered),
        output_tokens_per_s=_spread(requests_per_s * lengths.output_tokens, offered),
        total_tokens_per_s=_spread(requests_per_s * lengths.total_tokens, offered),
        joules_per_output_token=joules,
        energy_source="estimated-tdp" if joules else None,
    )
    return Speed(
        metrics=metrics,
        utilization=min(requests_per_s / capacity_per_s, 1.0),
        capacity_per_s=capacity_per_s,
        sequences=found.sequences,
        most_sequences=most,
        use=used,
        setup=setup,
        lengths=lengths,
        service=found,
    )


def _joules(setup: Setup, used: DeviceUse, output_per_s: float) -> Spread | None:
    if setup.tdp_w is None:
        return None
    watts = power_w(setup.tdp_w, used.load)
    return _spread(watts / output_per_s, JOULES_ERROR)


def _maybe(seconds: float | None, around: float) -> Spread | None:
    return None if seconds is None else _spread(seconds * 1000, around)


def _spread(median: float, around: float) -> Spread:
    """The same factor below and above."""
    return Spread(median, median / (1 + around), median * (1 + around))
