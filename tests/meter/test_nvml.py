"""GPUs by a double of NVML: counters, sensors, ratings, and what a driver may refuse."""

from __future__ import annotations

import pynvml
import pytest

from pilotlight.meter.meter import Meter
from pilotlight.meter.nvml import open_nvml
from pilotlight.meter.source import Opened, PowerSource
from pilotlight.meter.wanted import Wanted

from .nvml import Gpu, Nvml

UNSUPPORTED = pynvml.NVML_ERROR_NOT_SUPPORTED
DENIED = pynvml.NVML_ERROR_NO_PERMISSION
LOST = pynvml.NVML_ERROR_GPU_IS_LOST
COUNTER, POWER = "nvmlDeviceGetTotalEnergyConsumption", "nvmlDeviceGetPowerUsage"


def opened(nvml: Nvml, gpus: tuple[int, ...] | None = None) -> Opened:
    return open_nvml(Wanted(gpus=gpus, nvml=lambda: nvml))


def source(nvml: Nvml) -> PowerSource:
    found = opened(nvml).source
    assert found is not None
    return found


class Clock:
    def __init__(self) -> None:
        self.now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


def test_the_counter_is_preferred_and_is_in_millijoules() -> None:
    gpu, clock = Gpu(energy_mj=7_000_000), Clock()
    nvml = Nvml(gpu)
    meter = Meter([source(nvml)], clock=clock)
    meter.mark()
    clock.now_s, gpu.energy_mj = 2.0, 7_500_000
    meter.mark()
    series = meter.series()
    (device,) = series.devices
    assert (device.name, device.method, device.source) == ("gpu0", "counter", "measured-nvml")
    assert series.joules("gpu0", 0, 2) == 500.0
    point = series.points["gpu0"][-1]
    assert (point.temperature_c, point.clock_mhz) == (41.0, 1410.0)


def test_each_gpu_is_metered_apart_and_some_can_be_left_out() -> None:
    nvml = Nvml(Gpu(), Gpu(name="NVIDIA L4"), Gpu())
    found = opened(nvml, gpus=(0, 1)).source
    assert found is not None
    assert [device.name for device in found.devices] == ["gpu0", "gpu1"]
    assert opened(nvml, gpus=()).source is None


def test_without_the_counter_power_is_integrated() -> None:
    gpu, clock = Gpu(denied={COUNTER: UNSUPPORTED}, power_mw=70_000), Clock()
    meter = Meter([source(Nvml(gpu))], clock=clock)
    meter.mark()
    clock.now_s, gpu.power_mw = 1.0, 90_000
    meter.mark()
    (device,) = meter.series().devices
    assert (device.method, device.source) == ("power", "measured-nvml")
    assert meter.series().joules("gpu0", 0, 1) == 80.0


def test_a_library_without_the_function_is_as_a_gpu_without_it() -> None:
    (device,) = source(Nvml(Gpu(), missing=(COUNTER,))).devices
    assert device.method == "power"


def test_without_a_sensor_it_is_estimated_and_says_so() -> None:
    gpu = Gpu(name="NVIDIA L4", busy_percent=50, denied={COUNTER: UNSUPPORTED, POWER: UNSUPPORTED})
    one = source(Nvml(gpu))
    (device,) = one.devices
    assert (device.method, device.source) == ("rating", "estimated-tdp")
    assert "72 W" in device.title
    assert one.read()[0].watts == pytest.approx(72 * (0.1 + 0.9 * 0.5**3))


def test_a_gpu_that_nobody_knows_has_no_figure_but_a_note() -> None:
    gpu = Gpu(name="NVIDIA Unheard Of", denied={COUNTER: DENIED, POWER: DENIED})
    found = opened(Nvml(gpu))
    assert found.source is None
    assert "gpu0 isn't metered" in found.notes[0]


def test_one_denied_gpu_leaves_the_others() -> None:
    nvml = Nvml(Gpu(denied={"nvmlDeviceGetHandleByIndex": DENIED}), Gpu())
    found = opened(nvml)
    assert found.source is not None
    assert [device.name for device in found.source.devices] == ["gpu1"]
    assert "gpu0 isn't metered" in found.notes[0]
    assert "Permission" in found.notes[0]


def test_what_a_gpu_refuses_beside_its_energy_stays_unknown() -> None:
    gpu = Gpu(denied={"nvmlDeviceGetTemperature": UNSUPPORTED, "nvmlDeviceGetClockInfo": DENIED})
    (reading,) = source(Nvml(gpu)).read()
    assert (reading.count, reading.temperature_c, reading.clock_mhz) == (1_000, None, None)


def test_a_reset_counter_is_bridged_by_the_sensor() -> None:
    """After a driver reload it begins at 0."""
    gpu, clock = Gpu(energy_mj=9_000_000, power_mw=200_000), Clock()
    meter = Meter([source(Nvml(gpu))], clock=clock)
    meter.mark()
    clock.now_s, gpu.energy_mj, gpu.power_mw = 1.0, 5_000, 300_000
    meter.mark()
    clock.now_s, gpu.energy_mj = 2.0, 305_000
    meter.mark()
    part = meter.series().part("gpu0", 0, 2)
    assert (part.joules, part.resets, part.unknown_s) == (250.0 + 300.0, 1, 0.0)


def test_a_reset_counter_without_a_known_limit_is_no_wrap() -> None:
    """As vGPUs and some laptops are: 2^64 mJ would be more than any GPU ever draws."""
    limit = "nvmlDeviceGetPowerManagementLimitConstraints"
    gpu, clock = Gpu(energy_mj=9_000_000, power_mw=200_000, denied={limit: UNSUPPORTED}), Clock()
    meter = Meter([source(Nvml(gpu))], clock=clock)
    meter.mark()
    clock.now_s, gpu.energy_mj = 1.0, 5_000
    meter.mark()
    part = meter.series().part("gpu0", 0, 1)
    assert (part.joules, part.resets) == (200.0, 1)


def test_a_counter_at_the_end_of_its_64_bits_wraps() -> None:
    gpu, clock = Gpu(energy_mj=2**64 - 100_000), Clock()
    meter = Meter([source(Nvml(gpu))], clock=clock)
    meter.mark()
    clock.now_s, gpu.energy_mj = 1.0, 50_000
    meter.mark()
    part = meter.series().part("gpu0", 0, 1)
    assert (part.joules, part.resets) == (150.0, 0)


def test_a_lost_gpu_ends_its_curve_and_nothing_else() -> None:
    lost, well, clock = Gpu(), Gpu(), Clock()
    meter = Meter([source(Nvml(lost, well))], clock=clock)
    meter.mark()
    lost.denied = {COUNTER: LOST, POWER: LOST, "nvmlDeviceGetTemperature": LOST}
    clock.now_s, well.energy_mj = 1.0, 101_000
    meter.mark()
    assert meter.series().joules("gpu0", 0, 1) is None
    assert meter.series().joules("gpu1", 0, 1) == 100.0


def test_no_driver_is_nothing_to_note() -> None:
    for error in (pynvml.NVML_ERROR_LIBRARY_NOT_FOUND, pynvml.NVML_ERROR_DRIVER_NOT_LOADED):
        found = opened(Nvml(init_error=error))
        assert (found.source, found.notes) == (None, ())


def test_a_driver_that_can_t_count_is() -> None:
    nvml = Nvml(Gpu(), denied_count=LOST)
    assert opened(nvml).source is None
    assert any("NVML says" in note for note in opened(nvml).notes)
    assert nvml.users == 0


def test_a_driver_that_refuses_is() -> None:
    found = opened(Nvml(Gpu(), init_error=DENIED))
    assert found.source is None
    assert "Permission" in found.notes[0]
    assert "nvidia-smi" in found.notes[0]


def test_the_library_is_given_back() -> None:
    nvml = Nvml(Gpu())
    with Meter([source(nvml)]):
        assert nvml.users == 1
    assert nvml.users == 0
    useless = Nvml(Gpu(name="?", denied={COUNTER: DENIED, POWER: DENIED}))
    assert opened(useless).source is None
    assert useless.users == 0
