"""llama.cpp's constants on processors: what they are asked for, and that more is never slower."""

from __future__ import annotations

from dataclasses import replace

import pytest

from pilotlight.calibration.here import device_of
from pilotlight.catalog import load
from pilotlight.errors import PlanError
from pilotlight.machine import Machine
from pilotlight.planner.cpu_speed import cpu_rates
from pilotlight.planner.device import Device, cpu_device
from pilotlight.planner.model import from_architecture
from pilotlight.planner.speed import place

DEVICE = Device(
    name="cpu",
    kind="cpu",
    bandwidth_bytes_s=300e9,
    cores=8,
    clock_hz=2.6e9,
    instructions="avx512-vnni",
)


def seconds(device: Device, mix: str) -> tuple[float, float]:
    """Of a token alone, and of a prompt of 512."""
    row = load().models.find("llama-3.2-1b")
    model = from_architecture(row.name, row.architecture, mix, format="gguf")
    setup = place(model, "llamacpp", [(device, 1.0)])
    return setup.decode(1, 256).seconds, setup.prefill(512).seconds


@pytest.mark.parametrize("mix", ["Q4_0", "Q4_K_M", "Q8_0", "F16", "IQ4_XS", "BF16"])
def test_more_cores_bandwidth_or_clock_are_never_slower(mix: str) -> None:
    decode_s, prefill_s = seconds(DEVICE, mix)
    for better in (
        replace(DEVICE, cores=16),
        replace(DEVICE, bandwidth_bytes_s=600e9),
        replace(DEVICE, clock_hz=4e9),
    ):
        faster_decode_s, faster_prefill_s = seconds(better, mix)
        assert faster_decode_s <= decode_s
        assert faster_prefill_s <= prefill_s


def test_fewer_bits_are_faster_to_write_with() -> None:
    times = [seconds(DEVICE, mix)[0] for mix in ("Q4_K_M", "Q8_0", "F16")]
    assert times == sorted(times)


def test_a_few_cores_of_a_socket_read_what_they_do_alone() -> None:
    cpu = load().cpus.find("xeon-8275cl")
    assert cpu_device(cpu, 2).bandwidth_bytes_s == pytest.approx(26e9)
    assert cpu_device(cpu).bandwidth_bytes_s == pytest.approx(140.8e9, rel=0.01)
    unknown = replace(cpu, core_gb_s=None)
    assert cpu_device(unknown, 2).bandwidth_bytes_s > 26e9


def test_a_processor_without_newer_instructions_is_slower() -> None:
    old = replace(DEVICE, instructions="avx2")
    assert seconds(old, "Q4_0")[1] > 1.5 * seconds(DEVICE, "Q4_0")[1]


def test_the_wheel_uses_no_newer_instructions_than_it_was_compiled_for() -> None:
    machine = Machine("cpu", 2, 8 << 30, (), frozenset({"avx2", "avx512f", "avx512_vnni"}))
    assert device_of(machine, "xllamacpp 2026.10.1").instructions == "avx2"
    assert device_of(machine, "llama-server b1").instructions == "avx512-vnni"
    arm = Machine("cpu", 2, 8 << 30, (), frozenset({"asimd", "i8mm"}))
    assert device_of(arm, "xllamacpp 2026.10.1").instructions == "neon-i8mm"


def test_what_was_never_measured_is_refused_by_name() -> None:
    with pytest.raises(PlanError, match="'sglang'"):
        cpu_rates(DEVICE, "sglang")
    with pytest.raises(PlanError, match="'altivec'") as caught:
        cpu_rates(replace(DEVICE, instructions="altivec"))
    assert "avx2" in str(caught.value.hint)
