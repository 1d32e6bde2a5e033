"""The rates to plan with where nobody has measured: by the kind of device and engine."""

from __future__ import annotations

from functools import lru_cache

from pilotlight.errors import PlanError
from pilotlight.planner.cpu_engines import CPU_ENGINES
from pilotlight.planner.cpu_speed import cpu_rates
from pilotlight.planner.device import Device
from pilotlight.planner.gpu_rates import GPU_ENGINES
from pilotlight.planner.rates import Rates


@lru_cache(maxsize=1024)
def default_rates(device: Device, engine: str) -> Rates:
    """Of `engine` on one such device.

    Raises:
        PlanError: nobody has measured this engine there.
    """
    if device.kind == "gpu" and engine in GPU_ENGINES:
        return GPU_ENGINES[engine].rates(device)
    if device.kind == "cpu" and engine in CPU_ENGINES:
        return CPU_ENGINES[engine].rates(device)
    if device.kind == "cpu" and engine == "llamacpp":
        return cpu_rates(device, engine)
    raise PlanError(
        f"nothing is known of how fast {engine!r} runs on {device.name!r}",
        hint=f"plan for one of {', '.join(sorted(GPU_ENGINES))}",
    )
