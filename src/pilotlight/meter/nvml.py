"""NVIDIA GPUs, by their driver: the counter of joules, else the power, else load and rating.

The counter (Volta and later) is brought up to date every 100 ms. The power sensor of an A100 or an
H100 looks only a part of the time, so that watts, integrated, need a long span.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from pilotlight.meter.rating import power_w
from pilotlight.meter.source import Device, Opened, Reading
from pilotlight.meter.wanted import Wanted

COUNTS_PER_J = 1000
WRAPS_AT = 2**64
HEADROOM = 1.5
"""Over a GPU's highest limit, for what it draws for a moment."""


def open_nvml(wanted: Wanted) -> Opened:
    """No driver is no GPU of NVIDIA's: nothing to note."""
    if wanted.gpus is not None and not wanted.gpus:
        return Opened()
    nvml = wanted.nvml()
    try:
        nvml.nvmlInit()
        count = nvml.nvmlDeviceGetCount()
    except nvml.NVMLError as error:
        _asked(nvml, nvml.nvmlShutdown)
        return Opened(notes=_no_driver(nvml, error))
    indices = range(count) if wanted.gpus is None else wanted.gpus
    gpus, notes = _gpus(nvml, indices, wanted)
    if gpus:
        return Opened(NvmlSource(nvml, gpus), notes)
    nvml.nvmlShutdown()
    return Opened(notes=notes)


def _no_driver(nvml: Any, error: Any) -> tuple[str, ...]:
    absent = (nvml.NVML_ERROR_LIBRARY_NOT_FOUND, nvml.NVML_ERROR_DRIVER_NOT_LOADED)
    if error.value in absent:
        return ()
    return (f"the GPUs can't be asked: NVML says {error}; nvidia-smi may say more",)


@dataclass(frozen=True, slots=True)
class _Gpu:
    handle: Any
    device: Device
    rated_w: float


def _gpus(
    nvml: Any, indices: Iterable[int], wanted: Wanted
) -> tuple[tuple[_Gpu, ...], tuple[str, ...]]:
    found, notes = [], []
    for index in indices:
        try:
            handle = nvml.nvmlDeviceGetHandleByIndex(index)
            gpu = _gpu(nvml, index, handle, wanted)
        except nvml.NVMLError as error:
            notes.append(f"gpu{index} isn't metered: NVML says {error}; nvidia-smi may say more")
            continue
        if gpu is None:
            notes.append(
                f"gpu{index} isn't metered: it has neither a counter of joules nor a power sensor "
                "that this driver gives, and no rating is known; a row in a catalog file helps"
            )
        else:
            found.append(gpu)
    return tuple(found), tuple(notes)


def _gpu(nvml: Any, index: int, handle: Any, wanted: Wanted) -> _Gpu | None:
    title = str(nvml.nvmlDeviceGetName(handle))
    limits = _asked(nvml, lambda: nvml.nvmlDeviceGetPowerManagementLimitConstraints(handle))
    name = f"gpu{index}"
    if _asked(nvml, lambda: nvml.nvmlDeviceGetTotalEnergyConsumption(handle)) is not None:
        counter = Device(
            name=name,
            kind="gpu",
            title=title,
            source="measured-nvml",
            method="counter",
            counts_per_j=COUNTS_PER_J,
            # Without a limit, one that began anew would seem to have gone all the way round.
            wraps_at=None if limits is None else WRAPS_AT,
            most_w=None if limits is None else limits[1] / 1000 * HEADROOM,
        )
        return _Gpu(handle, counter, 0.0)
    if _asked(nvml, lambda: nvml.nvmlDeviceGetPowerUsage(handle)) is not None:
        sensor = Device(name=name, kind="gpu", title=title, source="measured-nvml", method="power")
        return _Gpu(handle, sensor, 0.0)
    row = wanted.catalog().gpus.seek(title.removeprefix("NVIDIA "))
    if row is None or _asked(nvml, lambda: nvml.nvmlDeviceGetUtilizationRates(handle)) is None:
        return None
    title = f"{title}, rated {row.tdp_w:g} W ({row.source})"
    rated = Device(name=name, kind="gpu", title=title, source="estimated-tdp", method="rating")
    return _Gpu(handle, rated, row.tdp_w)


class NvmlSource:
    """Owns a reference to NVML, which it gives back when closed."""

    def __init__(self, nvml: Any, gpus: tuple[_Gpu, ...]) -> None:
        self._nvml = nvml
        self._gpus = gpus

    @property
    def devices(self) -> tuple[Device, ...]:
        return tuple(gpu.device for gpu in self._gpus)

    def read(self) -> tuple[Reading, ...]:
        return tuple(self._read(gpu) for gpu in self._gpus)

    def close(self) -> None:
        _asked(self._nvml, self._nvml.nvmlShutdown)

    def _read(self, gpu: _Gpu) -> Reading:
        nvml, handle, method = self._nvml, gpu.handle, gpu.device.method
        count = milliwatts = None
        if method == "counter":
            count = _asked(nvml, lambda: nvml.nvmlDeviceGetTotalEnergyConsumption(handle))
        if method != "rating":
            # Beside the counter too: where that begins anew, watts close the gap.
            milliwatts = _asked(nvml, lambda: nvml.nvmlDeviceGetPowerUsage(handle))
        return Reading(
            count=count,
            watts=self._rated_w(gpu) if method == "rating" else _scaled(milliwatts, 1 / 1000),
            temperature_c=_scaled(
                _asked(
                    nvml,
                    lambda: nvml.nvmlDeviceGetTemperature(handle, nvml.NVML_TEMPERATURE_GPU),
                )
            ),
            clock_mhz=_scaled(
                _asked(nvml, lambda: nvml.nvmlDeviceGetClockInfo(handle, nvml.NVML_CLOCK_SM))
            ),
        )

    def _rated_w(self, gpu: _Gpu) -> float | None:
        nvml = self._nvml
        rates = _asked(nvml, lambda: nvml.nvmlDeviceGetUtilizationRates(gpu.handle))
        return None if rates is None else power_w(gpu.rated_w, rates.gpu / 100)


def _asked(nvml: Any, question: Callable[[], Any]) -> Any:
    """None where this GPU, this driver or this process's rights don't have the answer."""
    try:
        return question()
    except (nvml.NVMLError, AttributeError):
        return None


def _scaled(value: float | None, factor: float = 1.0) -> float | None:
    return None if value is None else value * factor
