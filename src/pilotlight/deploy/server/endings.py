"""What must have an end on one server: requests in flight, and the wait for an update."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

from pilotlight.config import Settings, parse_seconds
from pilotlight.deploy.release import Release
from pilotlight.deploy.violation import Violation

SPARE_S = 15.0
"""Between the last answer and being killed."""


def drain_s(release: Release[Any]) -> float:
    return float(parse_seconds(release.serve.get("drain", Settings().drain)))


def endless(release: Release[Any], target: str) -> Iterator[Violation]:
    if not math.isfinite(release.options.ready):
        yield Violation(
            "an end to the wait for an update, so that it can be taken back",
            f"{target}.ready forever",
            f"set {target}.ready: 5m",
        )
    if not math.isfinite(drain_s(release)):
        yield Violation(
            "an end to the requests in flight, so that an update can take their place",
            "drain forever",
            "set drain: 1m",
        )
