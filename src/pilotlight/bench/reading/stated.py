"""Figures as another tool's file states them: whatever isn't a usable number isn't there."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pilotlight.bench.figures import Distribution, Estimate
from pilotlight.planner.reported import number, part

__all__ = ["Tree", "distribution", "estimate", "number", "part", "text", "whole"]

Tree = Mapping[str, Any]

NAMES = {"p50": ("p50", "median"), "p90": ("p90",), "p95": ("p95",), "p99": ("p99",)}
"""What percentiles are called in files."""


def text(found: Tree, *names: str) -> str | None:
    return next((value for name in names if isinstance(value := found.get(name), str)), None)


def whole(found: Tree, *names: str) -> int:
    """A count; 0 where the file has none, as tools leave out what didn't happen."""
    return round(number(found, *names) or 0)


def estimate(value: float | None) -> Estimate | None:
    """Tools write 0 for what they couldn't measure."""
    return Estimate(value) if value else None


def distribution(
    found: Tree, *, factor: float = 1.0, count: int | None = None
) -> Distribution | None:
    """Of a tree with a mean and percentiles; `factor` brings its unit to ours."""

    def at(name: str) -> Estimate | None:
        value = number(found, *NAMES[name])
        return estimate(None if value is None else value * factor)

    mean = number(found, "mean", "avg")
    shown = Distribution(
        count=count,
        mean=None if mean is None else mean * factor,
        p50=at("p50"), p90=at("p90"), p95=at("p95"), p99=at("p99"),
    )  # fmt: skip
    return shown if shown.p50 or shown.mean else None
