"""How much of the devices' peaks a load uses."""

from __future__ import annotations

from dataclasses import dataclass

from pilotlight.planner.batching import Service
from pilotlight.planner.gpu_rates import precision_of
from pilotlight.planner.requirements import Lengths
from pilotlight.planner.roofline import Setup, Stage


@dataclass(frozen=True, slots=True)
class DeviceUse:
    """Shares of all devices' peaks together, averaged over time."""

    bandwidth: float
    compute: float

    @property
    def load(self) -> float:
        """Of whatever is used most: what power follows."""
        return min(max(self.bandwidth, self.compute), 1.0)


def device_use(setup: Setup, lengths: Lengths, found: Service, requests_per_s: float) -> DeviceUse:
    """At `requests_per_s`, with the batch that `found` describes."""
    work = setup.work
    later = lengths.output_tokens - 1
    decoding = max(requests_per_s * later * found.tpot_s, 1e-9)
    steps_per_s = min(requests_per_s * later / max(decoding, 1.0), 1 / found.step_s)
    tokens_per_s = requests_per_s * lengths.total_tokens
    read = (
        steps_per_s * work.read_bytes(max(decoding, 1.0))
        + requests_per_s * later * work.sequence_bytes(found.context)
        + requests_per_s * work.read_bytes(lengths.input_tokens)
    )
    flop = 2 * (
        tokens_per_s * work.token_parameters
        + requests_per_s * lengths.output_tokens * work.head_parameters
    )
    flop += requests_per_s * work.pairs(lengths.input_tokens) * work.prefill_pair_flop
    flop += requests_per_s * later * work.visible(found.context) * work.decode_pair_flop
    bandwidth = sum(stage.device.bandwidth_bytes_s * stage.ranks for stage in setup.stages)
    peak = sum(_peak_flop_s(setup, stage) * stage.ranks for stage in setup.stages)
    return DeviceUse(min(read / bandwidth, 1.0), min(flop / peak, 1.0))


def _peak_flop_s(setup: Setup, stage: Stage) -> float:
    """The device's own for what most weights are multiplied in; a processor's best measured one."""
    parts = (*setup.work.dense, *setup.work.experts)
    most = max(parts, key=lambda part: part.parameters)
    peak = stage.device.peak_flop_s(precision_of(stage.rates.engine, most.type))
    return peak or max(flop_s for _, flop_s in stage.rates.of(most.type, most.bits).points)
