"""From bytes to an answer in words: why something can't be, or by how much it is too big."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

from pilotlight.planner.memory.demand import Fit, Lack
from pilotlight.quantities import about_bytes

SHOWN_BYTES = 50e6
"""Of a part; smaller ones explain nothing."""

_PLACES: Mapping[str, str] = {"ram": "RAM", "gpu": "GPU memory"}
_WORDS: Mapping[str, str] = {
    "kv": "KV cache", "snapshots": "snapshots of windows and states", "process": "the program",
    "context": "CUDA context", "graphs": "CUDA graphs", "reserve": "the engine's reserve",
}  # fmt: skip


def refused(reason: str) -> Fit:
    """For what no amount of memory helps."""
    return Fit(fits=False, reason=reason, lacks="engine")


def too_small(fit: Fit, place: Lack, short_bytes: int) -> Fit:
    """`fit` with what it lacks."""
    parts = fit.gpu_parts if place == "gpu" else fit.parts
    needed = max(fit.gpu_bytes, default=0) if place == "gpu" else fit.ram_bytes
    shown = ", ".join(
        f"{_WORDS.get(name, name)} {size / 1e9:.1f}"
        for name, size in parts.items()
        if size >= SHOWN_BYTES
    )
    listed = f" ({shown} GB)" if shown else ""
    reason = (
        f"doesn't fit by {about_bytes(short_bytes)}: needs {about_bytes(needed)} of "
        f"{_PLACES[place]}{listed}, has {about_bytes(needed - short_bytes)}"
    )
    return replace(fit, fits=False, reason=reason, lacks=place, short_bytes=short_bytes)


def most(limit: int, fits: Callable[[int], bool]) -> int:
    """The largest count up to `limit` that fits; what fits is all up to some count."""
    low, high = 0, limit
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if fits(middle) else (low, middle - 1)
    return low
