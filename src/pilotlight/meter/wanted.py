"""What a meter is asked to look at, and where the machine says it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any

from pilotlight.catalog import catalog
from pilotlight.catalog.catalog import Catalog

POWERCAP = Path("/sys/class/powercap")
HWMON = Path("/sys/class/hwmon")
CPUS = Path("/sys/devices/system/cpu")


def driver() -> ModuleType:
    import pynvml

    module: ModuleType = pynvml
    return module


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """`gpus`: by NVML's numbers, None for all. Those that serve nobody here are best left out: what
    they draw at rest would be in the totals."""

    gpus: Sequence[int] | None = None
    rated_w: float | None = None
    """Of the processors; None: by the catalog."""

    powercap: Path = POWERCAP
    hwmon: Path = HWMON
    cpus: Path = CPUS
    nvml: Callable[[], Any] = driver
    catalog: Callable[[], Catalog] = field(default=catalog.load)
    """Read only where something has to be estimated."""
