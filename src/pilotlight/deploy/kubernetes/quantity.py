"""Quantities in the form in which a cluster writes them back, so that equal ones compare equal."""

from __future__ import annotations

import math

_UNITS = ((2**40, "Ti"), (2**30, "Gi"), (2**20, "Mi"))
MIB = 2**20


def cpu(vcpus: float) -> str:
    """``2``, ``500m``; to the next thousandth."""
    thousandths = math.ceil(round(vcpus * 1000, 6))
    return str(thousandths // 1000) if thousandths % 1000 == 0 else f"{thousandths}m"


def memory(size_bytes: int) -> str:
    """``6Gi``; to the next MiB."""
    rounded = math.ceil(size_bytes / MIB) * MIB
    unit, suffix = next(pair for pair in _UNITS if rounded % pair[0] == 0)
    return f"{rounded // unit}{suffix}"
