"""What is fitted to readings gives these readings back, and more besides."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import pytest

from pilotlight.calibration.fit import rates
from pilotlight.calibration.here import device_of
from pilotlight.calibration.probe import Readings
from pilotlight.calibration.probes import LONG, OVERHEADS, PROMPT, TYPES, Probe, wide
from pilotlight.machine import Machine
from pilotlight.planner.cpu_speed import cpu_rates
from pilotlight.planner.rates import Rate, Rates
from pilotlight.planner.roofline import Setup, Stage
from pilotlight.planner.tensors import tensors
from pilotlight.planner.weights import WeightGroup, Weights
from pilotlight.planner.work import work
from pilotlight.store.ggml_types import GGML_TYPES

MACHINE = Machine("cpu", 2, 8 << 30, (), frozenset({"avx2", "avx512_vnni"}))
DEVICE = device_of(MACHINE, "llama-server 1")
BITS = {kind.name: 8 * kind.block_bytes / kind.block_weights for kind in GGML_TYPES.values()}
POINTS = (1.0, 4.0, 16.0, 64.0, 512.0)


def truth() -> Rates:
    """A machine that nobody has: each type half as fast again as the one before."""
    flops = [60e9, 100e9, 200e9, 250e9, 300e9]
    types = {
        name: Rate(
            30e9, tuple((n, flop * 1.1**index) for n, flop in zip(POINTS, flops, strict=True))
        )
        for index, name in enumerate(TYPES)
    }
    return replace(
        cpu_rates(DEVICE),
        types=types,
        attention=Rate(20e9, ((1.0, 30e9), (512.0, 90e9))),
        step_s=40e-6,
        layer_s=25e-6,
        width_s=9e-9,
        sequence_s=60e-6,
        vocabulary_s=2.5e-9,
        request_s=0.9e-3,
    )


def setup(probe: Probe, known: Rates) -> Setup:
    kinds = probe.types()
    groups = [
        WeightGroup(
            each.role,
            kinds[each.name],
            each.parameters,
            round(each.parameters * BITS[kinds[each.name]] / 8),
        )
        for each in tensors(probe.architecture)
        if len(each.shape) > 1
    ]
    model = work(probe.architecture, Weights.of(groups))
    return Setup(model, (Stage(DEVICE, known),))


def readings(known: Rates, names: tuple[str, ...] = TYPES) -> Mapping[str, Readings]:
    """What such a machine would say to each probe, by the time model."""
    found = {}
    for probe in (*OVERHEADS, *map(wide, names)):
        placed = setup(probe, known)
        context = PROMPT + probe.answer_tokens / 2
        found[probe.name] = Readings(
            {n: placed.decode(n, context).seconds for n in probe.answers},
            {n: placed.request_s + placed.prefill(n).seconds for n in probe.prompts},
            {n: placed.decode(n, LONG).seconds for n in probe.long_answers},
        )
    return found


def fitted(names: tuple[str, ...] = TYPES) -> Rates:
    return rates(readings(truth(), names), cpu_rates(DEVICE), measured_on="2026-11-20")


def test_what_was_put_in_comes_out() -> None:
    found, known = fitted(), truth()
    for name in TYPES:
        for count in (1, 4, 16, 512):
            assert found.types[name].flop_s(count) == pytest.approx(
                min(known.types[name].flop_s(count), 2 * count * 8 / BITS[name] * 30e9), rel=0.15
            ), (name, count)
    assert found.vocabulary_s == pytest.approx(known.vocabulary_s, rel=0.1)
    assert found.sequence_s == pytest.approx(known.sequence_s, rel=0.1)
    assert found.layer_s == pytest.approx(known.layer_s, rel=0.5)
    assert found.attention.flop_s(512) == pytest.approx(90e9, rel=0.25)


def test_the_readings_come_out_of_the_model_again() -> None:
    found, known = fitted(), truth()
    for name in TYPES:
        mine, real = setup(wide(name), found), setup(wide(name), known)
        for count in (1, 4, 16):
            assert mine.decode(count, 28).seconds == pytest.approx(
                real.decode(count, 28).seconds, rel=0.05
            )
        assert mine.prefill(512).seconds == pytest.approx(real.prefill(512).seconds, rel=0.2)


def test_a_type_without_a_reading_moves_with_the_others() -> None:
    default = cpu_rates(DEVICE)
    found = fitted(TYPES[:3])
    unread = TYPES[-1]
    share = found.types[unread].read_bytes_s / default.types[unread].read_bytes_s
    shares = [found.types[n].read_bytes_s / default.types[n].read_bytes_s for n in TYPES[:3]]
    assert min(shares) <= share <= max(shares)


def test_noise_never_yields_a_rate_without_end() -> None:
    """A neighbour that is busy while overheads are read makes them longer than a whole step."""
    slow = dict(readings(truth()))
    shallow = slow["shallow"]
    slow["shallow"] = replace(shallow, answers={1: 0.5, 16: 0.9}, prompts={32: 2.0})
    found = rates(slow, cpu_rates(DEVICE), measured_on="2026-11-20")
    fast = truth()
    for name in TYPES:
        assert 0 < found.types[name].flop_s(1) < 20 * fast.types[name].flop_s(1)


def test_they_say_where_they_are_from() -> None:
    found = fitted()
    assert (found.source, found.as_of) == ("measured on this machine", "2026-11-20")
    assert found.error < cpu_rates(DEVICE).error
