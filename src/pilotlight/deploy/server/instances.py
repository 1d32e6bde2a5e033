"""One machine runs one instance; more of them is another platform's work."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from pilotlight.deploy.release import Release
from pilotlight.deploy.violation import Violation


def one_instance(release: Release[Any], target: str) -> Iterator[Violation]:
    asked = max(release.scaling.maximum, release.scaling.minimum)
    if asked > 1:
        yield Violation(
            "one instance on one server",
            f"{asked}",
            f"set {target}.maximum: 1 and {target}.minimum: 1, or deploy to kubernetes",
        )
