"""Durations and sizes as people write them: read from text, and written back."""

from __future__ import annotations

import math
import re
from typing import Any, NewType

Seconds = NewType("Seconds", float)
"""A duration; written ``30s``, ``5m``, ``1h``, ``forever`` or a number of seconds."""

Bytes = NewType("Bytes", int)
"""A size; written ``512MiB``, ``8GB`` or a number of bytes."""

_DURATION = re.compile(r"(\d+(?:\.\d+)?)\s*(ms|s|m|h|d)?")
_DURATION_S = {"ms": 1e-3, "s": 1, "m": 60, "h": 3600, "d": 86400, None: 1}
_SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*([kmgt]i?)?b?", re.IGNORECASE)


def parse_seconds(value: Any) -> Seconds:
    """``5m`` → 300.0. Raises ValueError."""
    if isinstance(value, bool):
        raise ValueError
    if isinstance(value, int | float):
        if math.isnan(value):
            raise ValueError
        # A negative keep-alive means "forever" to Ollama's users.
        return Seconds(math.inf if value < 0 else float(value))
    if value in ("forever", "inf", "-1"):
        return Seconds(math.inf)
    match = _DURATION.fullmatch(str(value).strip())
    if not match:
        raise ValueError
    return Seconds(float(match[1]) * _DURATION_S[match[2]])


def parse_bytes(value: Any) -> Bytes:
    """``8GB`` → 8,000,000,000; ``8GiB`` → 8,589,934,592. Raises ValueError."""
    if isinstance(value, bool):
        raise ValueError
    if isinstance(value, int):
        if value < 0:
            raise ValueError
        return Bytes(value)
    match = _SIZE.fullmatch(str(value).strip())
    if not match:
        raise ValueError
    unit = (match[2] or "").lower()
    base = 1024 if unit.endswith("i") else 1000
    power = " kmgt".index(unit[0]) if unit else 0
    return Bytes(round(float(match[1]) * base**power))


def show_seconds(seconds: float) -> str:
    """The shortest text that `parse_seconds` reads back as the same duration."""
    if math.isinf(seconds):
        return "forever"
    for unit in ("d", "h", "m"):
        if seconds and seconds % _DURATION_S[unit] == 0:
            return f"{seconds / _DURATION_S[unit]:.0f}{unit}"
    if seconds % 1 and (seconds * 1000) % 1 == 0:
        return f"{seconds * 1000:.0f}ms"
    return f"{seconds:.9f}".rstrip("0").rstrip(".") + "s"


def show_bytes(size: int) -> str:
    """A text that `parse_bytes` reads back as exactly `size`."""
    for base, suffix in ((1024, "iB"), (1000, "B")):
        for power in (4, 3, 2):
            unit = base**power
            if size and size % unit == 0:
                return f"{size // unit}{' kMGT'[power]}{suffix}"
    return str(size)


def about_bytes(size: float) -> str:
    """``98.4 MB``: for reading, not for reading back."""
    for power, unit in ((4, "TB"), (3, "GB"), (2, "MB"), (1, "kB")):
        if size >= 1000**power:
            return f"{size / 1000**power:.1f} {unit}"
    return f"{size:.0f} B"


def about_seconds(seconds: float) -> str:
    """``340 ms``, ``2.1 s``, ``5 min``, ``3 h``, ``12 d``: for reading, not for reading back."""
    if seconds < 1:
        return f"{seconds * 1000:.0f} ms"
    if seconds < 120:
        return f"{seconds:.1f} s"
    for limit_s, unit_s, unit in ((7200, 60, "min"), (172800, 3600, "h")):
        if seconds < limit_s:
            return f"{seconds / unit_s:.0f} {unit}"
    return f"{seconds / 86400:.0f} d"
