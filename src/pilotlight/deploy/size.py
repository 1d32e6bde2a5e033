"""How large one instance is, and how many of them there may be."""

from __future__ import annotations

from dataclasses import dataclass

from pilotlight.catalog.platform import CpuArchitecture


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    """Of one instance, whatever the platform calls it."""

    vcpus: float
    memory_bytes: int
    disk_bytes: int
    """Room of its own that it may write to; gone with it."""

    architecture: CpuArchitecture = "x86_64"
    gpu: str | None = None
    """A name of the catalog's, such as ``L4``."""

    gpus: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Scaling:
    concurrency: int
    """Requests that one instance is given at once: what batching makes cheap."""

    minimum: int
    """Instances kept ready though nobody asks: the platform's own standby."""

    maximum: int
    idle_s: float
    """How long an instance without requests stays, where that can be chosen."""

    request_timeout_s: float
    """The longest that one request may take."""
