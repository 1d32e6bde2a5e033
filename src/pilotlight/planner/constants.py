"""The constants a prediction used, each with where it is from: so that nobody has to trust it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from pilotlight.planner.rates import Rate, Rates
from pilotlight.planner.roofline import Setup, Stage


@dataclass(frozen=True, slots=True)
class Constant:
    """One number as people read it."""

    name: str
    value: str
    source: str


def constants(setup: Setup) -> tuple[Constant, ...]:
    """Of all stages, those that the model's weights and layers make use of."""
    return tuple(constant for stage in setup.stages for constant in _of_stage(setup, stage))


def _of_stage(setup: Setup, stage: Stage) -> Iterator[Constant]:
    rates = stage.rates
    source = f"{rates.source} ({rates.as_of})" if rates.as_of else rates.source
    where = f"{rates.engine} on {stage.device.name}"
    parts = (*setup.work.dense, *setup.work.experts, *setup.work.head)
    for weight_type in dict.fromkeys(part.type for part in parts):
        rate = rates.of(weight_type)
        yield Constant(f"{where}: {weight_type} weights", _rate(stage, rate), source)
    yield Constant(f"{where}: attention", _rate(stage, rates.attention), source)
    for name, value in _overheads(setup, stage, rates):
        yield Constant(f"{where}: {name}", value, source)
    yield Constant(f"{where}: interval", f"a factor of {1 + rates.error:.2f} each way", source)


def _rate(stage: Stage, rate: Rate) -> str:
    """Read at and multiplied at, for one token and for many."""
    share = rate.read_bytes_s / stage.device.bandwidth_bytes_s
    read = f"read at {rate.read_bytes_s / 1e9:,.0f} GB/s ({share:.0%} of the peak)"
    slow, fast = rate.points[0][1] / 1e12, rate.points[-1][1] / 1e12
    if len(rate.points) == 1:
        return f"{read}, multiplied at {fast:,.3g} TFLOP/s"
    return f"{read}, multiplied at {slow:,.3g} to {fast:,.3g} TFLOP/s"


def _overheads(setup: Setup, stage: Stage, rates: Rates) -> Iterator[tuple[str, str]]:
    yield "each step", _short(rates.step_s)
    yield "each layer of a step", _short(rates.layer_s)
    if rates.width_s:
        token_s = rates.width_s * setup.work.hidden
        yield "each token of a layer", _short(token_s)
    if setup.work.experts:
        yield "each layer with experts", _short(rates.expert_layer_s)
    sequence_s = rates.sequence_s + rates.vocabulary_s * setup.work.vocabulary
    yield "each sequence of a step", _short(sequence_s)
    yield "each request", _short(rates.request_s)
    if stage.ranks > 1 or len(setup.stages) > 1:
        link = f" and {rates.link_bytes_s / 1e9:,.0f} GB/s" if rates.link_bytes_s else ""
        yield "each exchange between devices", _short(rates.allreduce_s) + link


def _short(seconds: float) -> str:
    return f"{seconds * 1000:.3g} ms" if seconds >= 1e-3 else f"{seconds * 1e6:.3g} µs"
