"""What llama.cpp reaches on processors where nobody has measured: by type, core and clock cycle.

Kernels for one token are bound by memory, those for a few don't reuse what they unpack, and from
about 16 on they work in tiles: so each type has its operations at several counts of tokens. How
they were measured, and how far off they are, is in docs/planner.md; `pilotlight calibrate`
replaces them by what it finds on the machine it runs on.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from pilotlight.errors import PlanError
from pilotlight.planner.device import Device
from pilotlight.planner.rates import Rate, Rates

AT_ONCE = (1, 4, 16, 64, 512)
"""Tokens multiplied at once that the operations below are given for."""

MEASURED_CLOCK_HZ, MEASURED_CORES = 2.6e9, 2
"""Of the machine that the constants are from; the clock is the rated one, as catalogs have it."""

LAST_LAYER_SHARE = 0.17
"""What the attention is of a layer whose feed-forward part is four times as wide as the model."""

PerCycle = tuple[float, float, float, float, float]


@dataclass(frozen=True, slots=True)
class TypeConstants:
    """`bandwidth_share` of the memory's rate in reading, and operations that one core does in a
    cycle at each of `AT_ONCE`: two for each weight and token."""

    bandwidth_share: float
    per_cycle: PerCycle


@dataclass(frozen=True, slots=True, kw_only=True)
class CpuConstants:
    """One build of llama.cpp; seconds at `MEASURED_CLOCK_HZ`, on one core if not said otherwise."""

    types: Mapping[str, TypeConstants]
    attention_per_cycle: PerCycle
    attention_share: float
    layer_s: float
    step_s: float
    sequence_s: float
    vocabulary_s: float
    request_s: float
    width_s: float
    """On `MEASURED_CORES` together."""

    error: float
    source: str
    as_of: str

    def rates(self, device: Device, name: str, scale: float) -> Rates:
        """As of `device`; `scale` is what its instructions do beyond those measured."""
        clock_hz = device.clock_hz or MEASURED_CLOCK_HZ
        slower = MEASURED_CLOCK_HZ / clock_hz
        together_hz = clock_hz * (device.cores or 1) * scale
        types = {
            kind: Rate(
                device.bandwidth_bytes_s * each.bandwidth_share,
                _points(each.per_cycle, together_hz),
            )
            for kind, each in self.types.items()
        }
        return Rates(
            device=device.name,
            engine="llamacpp",
            types=types,
            attention=Rate(
                device.bandwidth_bytes_s * self.attention_share,
                _points(self.attention_per_cycle, clock_hz * (device.cores or 1)),
            ),
            step_s=self.step_s * slower,
            layer_s=self.layer_s * slower,
            sequence_s=self.sequence_s * slower,
            vocabulary_s=self.vocabulary_s * slower,
            request_s=self.request_s * slower,
            width_s=self.width_s * slower * MEASURED_CORES / (device.cores or 1),
            last_layer_share=LAST_LAYER_SHARE,
            chunk_tokens=512,
            error=self.error,
            source=self.source if scale == 1.0 else f"{self.source}, scaled to {name}",
            as_of=self.as_of,
        )


def _points(per_cycle: PerCycle, together_hz: float) -> tuple[tuple[float, float], ...]:
    return tuple(
        (float(count), each * together_hz) for count, each in zip(AT_ONCE, per_cycle, strict=True)
    )


NATIVE = CpuConstants(
    types={
        "Q4_0": TypeConstants(0.60, (33, 36, 82, 100, 105)),
        "Q4_K": TypeConstants(0.58, (31, 39, 78, 80, 86)),
        "Q5_0": TypeConstants(0.39, (17, 17, 34, 40, 40)),
        "Q5_K": TypeConstants(0.45, (20, 21, 68, 120, 160)),
        "Q6_K": TypeConstants(0.49, (18, 25, 56, 105, 130)),
        "Q8_0": TypeConstants(0.57, (16, 17, 38, 52, 54)),
        "F16": TypeConstants(0.63, (10, 21, 44, 62, 72)),
    },
    attention_per_cycle=(5, 5, 5, 12, 19),
    attention_share=0.1,
    layer_s=38e-6,
    step_s=30e-6,
    sequence_s=75e-6,
    vocabulary_s=3e-9,
    request_s=1.2e-3,
    width_s=1.0e-8,
    error=0.3,
    source="llama-server compiled for it, on two cores of an EPYC (Zen 5): shaped models",
    as_of="2026-11-20",
)
"""Compiled for the processor it runs on."""

GENERIC = CpuConstants(
    types={
        "Q4_0": TypeConstants(0.42, (23, 24, 34, 41, 42)),
        "Q4_K": TypeConstants(0.50, (27, 33, 38, 46, 46)),
        "Q5_0": TypeConstants(0.27, (12, 16, 19, 23, 24)),
        "Q5_K": TypeConstants(0.34, (15, 19, 32, 52, 60)),
        "Q6_K": TypeConstants(0.44, (16, 18, 29, 47, 57)),
        "Q8_0": TypeConstants(0.48, (14, 19, 30, 37, 39)),
        "F16": TypeConstants(0.59, (9, 14, 18, 21, 22)),
    },
    attention_per_cycle=(4, 4, 4, 10, 15),
    attention_share=0.08,
    layer_s=40e-6,
    step_s=30e-6,
    sequence_s=75e-6,
    vocabulary_s=3e-9,
    request_s=1.2e-3,
    width_s=1.2e-8,
    error=0.3,
    source="the xllamacpp wheel, on two cores of an EPYC (Zen 5): shaped models",
    as_of="2026-11-20",
)
"""Compiled for AVX2 and nothing newer, as packages are."""

_BUILDS: Mapping[str, tuple[CpuConstants, float]] = {
    "avx2": (GENERIC, 1.0),
    "avx512": (GENERIC, 1.3),
    "avx512-vnni": (NATIVE, 1.0),
    "amx": (NATIVE, 1.5),
    "neon": (GENERIC, 0.5),
    "neon-i8mm": (GENERIC, 1.2),
}
"""By the catalog's words for instructions: the nearest that was measured, and by how much the
units differ. Only those with 1.0 are measurements."""


def cpu_rates(device: Device, engine: str = "llamacpp") -> Rates:
    """What a processor is likely to reach.

    Raises:
        PlanError: nobody has measured `engine`, or processors with its instructions.
    """
    if engine != "llamacpp":
        raise PlanError(
            f"nothing is known of how fast {engine!r} runs on {device.name!r}",
            hint="plan for llamacpp there",
        )
    instructions = device.instructions or "avx2"
    if instructions not in _BUILDS:
        raise PlanError(
            f"nothing is known of processors with {instructions!r}",
            hint=f"use one of {', '.join(_BUILDS)}",
        )
    constants, scale = _BUILDS[instructions]
    return constants.rates(device, instructions, scale)
