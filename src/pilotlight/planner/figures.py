"""Figures as people read them: three digits, a unit, and a dash for what nobody knows."""

from __future__ import annotations

import math

from pilotlight.metrics import Spread

UNKNOWN = "-"


def number(value: float) -> str:
    """Three significant digits, thousands with commas: ``0.0123``, ``4.5``, ``12,300``."""
    if not math.isfinite(value):
        return "∞" if value > 0 else "-∞"
    if value == 0:
        return "0"
    digits = 2 - math.floor(math.log10(abs(value)))
    rounded = round(value, digits)
    if digits <= 0:
        return f"{rounded:,.0f}"
    text = f"{rounded:,.{digits}f}"
    return text.rstrip("0").rstrip(".")


def dollars(value: float | None) -> str:
    """``$1,230``, ``$4.50``, ``$0.00123``."""
    if value is None:
        return UNKNOWN
    sign, size = ("-" if value < 0 else ""), abs(value)
    if not math.isfinite(size):
        return f"{sign}$∞"
    if size >= 100 or size == 0:
        return f"{sign}${size:,.0f}"
    return f"{sign}${size:.2f}" if size >= 0.095 else f"{sign}${number(size)}"


def milliseconds(value: float | None) -> str:
    """``840 ms``, ``12 s``, ``5 min``."""
    if value is None:
        return UNKNOWN
    if not math.isfinite(value):
        return "∞"
    if value < 10_000:
        return f"{number(value)} ms"
    return f"{number(value / 1000)} s" if value < 600_000 else f"{number(value / 60_000)} min"


def percent(share: float) -> str:
    """``97 %``; what isn't quite all never reads as all."""
    value = 100 * share
    if value >= 99.95 or value == round(value):
        return f"{value:.0f} %"
    return f"{value:.1f} %" if value > 99 or value < 1 else f"{value:.0f} %"


def median(spread: Spread | None) -> float | None:
    return None if spread is None else spread.median


def interval(spread: Spread | None, unit: str) -> str:
    """``12.3 ms (9.1 to 16)``."""
    if spread is None:
        return "unknown"
    middle, low, high = map(number, (spread.median, spread.low, spread.high))
    return f"{middle} {unit} ({low} to {high})" if low != high else f"{middle} {unit}"
