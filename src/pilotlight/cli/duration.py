"""Durations on the command line, written as in a configuration file."""

from __future__ import annotations

import math
from typing import Any

import click

from pilotlight.quantities import parse_seconds


def duration(value: Any) -> float:
    """The type of an option: seconds, written ``30s``, ``5m``, ``1h``."""
    try:
        return float(parse_seconds(value))
    except ValueError:
        raise click.BadParameter(
            f"{value!r} is no duration; write one such as 30s, 5m or 1h"
        ) from None


def span(value: Any) -> float:
    """A duration that ends."""
    seconds = duration(value)
    if math.isinf(seconds):
        raise click.BadParameter(f"{value!r} never ends; write one such as 30s, 5m or 1h")
    return seconds
