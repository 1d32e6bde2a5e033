"""NVML as `pynvml` shows it, with GPUs that a test sets: its names, its units, its own errors."""

from __future__ import annotations

from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import pynvml


@dataclass
class Gpu:
    """`denied`: what each function raises, by its name; as the driver's code."""

    name: str = "NVIDIA A100-SXM4-80GB"
    energy_mj: int = 1_000
    power_mw: int = 100_000
    temperature_c: int = 41
    clock_mhz: int = 1410
    busy_percent: int = 50
    most_mw: int = 400_000
    denied: dict[str, int] = field(default_factory=dict)


class Nvml:
    """Stands for the module. `missing`: functions that this version of it doesn't have."""

    NVML_TEMPERATURE_GPU = pynvml.NVML_TEMPERATURE_GPU
    NVML_CLOCK_SM = pynvml.NVML_CLOCK_SM
    NVML_ERROR_LIBRARY_NOT_FOUND = pynvml.NVML_ERROR_LIBRARY_NOT_FOUND
    NVML_ERROR_DRIVER_NOT_LOADED = pynvml.NVML_ERROR_DRIVER_NOT_LOADED
    NVMLError = pynvml.NVMLError

    def __init__(
        self,
        *gpus: Gpu,
        init_error: int | None = None,
        denied_count: int | None = None,
        missing: tuple[str, ...] = (),
    ) -> None:
        self.gpus = gpus
        self.users = 0
        self._init_error = init_error
        self._denied_count = denied_count
        self._missing = missing

    def __getattribute__(self, name: str) -> Any:
        if name.startswith("nvmlDevice") and name in self._missing:
            raise AttributeError(name)
        return super().__getattribute__(name)

    def nvmlInit(self) -> None:
        if self._init_error is not None:
            raise pynvml.NVMLError(self._init_error)
        self.users += 1

    def nvmlShutdown(self) -> None:
        if self.users == 0:
            raise pynvml.NVMLError(pynvml.NVML_ERROR_UNINITIALIZED)
        self.users -= 1

    def nvmlDeviceGetCount(self) -> int:
        if self._denied_count is not None:
            raise pynvml.NVMLError(self._denied_count)
        return len(self.gpus)

    def nvmlDeviceGetHandleByIndex(self, index: int) -> Gpu:
        if not 0 <= index < len(self.gpus):
            raise pynvml.NVMLError(pynvml.NVML_ERROR_INVALID_ARGUMENT)
        return self._said(self.gpus[index], "nvmlDeviceGetHandleByIndex")

    def nvmlDeviceGetName(self, gpu: Gpu) -> str:
        return self._said(gpu, "nvmlDeviceGetName").name

    def nvmlDeviceGetTotalEnergyConsumption(self, gpu: Gpu) -> int:
        return self._said(gpu, "nvmlDeviceGetTotalEnergyConsumption").energy_mj

    def nvmlDeviceGetPowerUsage(self, gpu: Gpu) -> int:
        return self._said(gpu, "nvmlDeviceGetPowerUsage").power_mw

    def nvmlDeviceGetPowerManagementLimitConstraints(self, gpu: Gpu) -> list[int]:
        return [100_000, self._said(gpu, "nvmlDeviceGetPowerManagementLimitConstraints").most_mw]

    def nvmlDeviceGetTemperature(self, gpu: Gpu, sensor: int) -> int:
        assert sensor == pynvml.NVML_TEMPERATURE_GPU
        return self._said(gpu, "nvmlDeviceGetTemperature").temperature_c

    def nvmlDeviceGetClockInfo(self, gpu: Gpu, kind: int) -> int:
        assert kind == pynvml.NVML_CLOCK_SM
        return self._said(gpu, "nvmlDeviceGetClockInfo").clock_mhz

    def nvmlDeviceGetUtilizationRates(self, gpu: Gpu) -> SimpleNamespace:
        return SimpleNamespace(gpu=self._said(gpu, "nvmlDeviceGetUtilizationRates").busy_percent)

    def _said(self, gpu: Gpu, function: str) -> Gpu:
        if self.users == 0:
            raise pynvml.NVMLError(pynvml.NVML_ERROR_UNINITIALIZED)
        if function in gpu.denied:
            raise pynvml.NVMLError(gpu.denied[function])
        return gpu
