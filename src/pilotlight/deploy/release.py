"""What is put up: the same for every target, and all that a target may ask about it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Generic, Literal, TypeVar

from pilotlight.deploy.size import Scaling, Size
from pilotlight.planner.plan import Plan

ModelSource = Literal["image", "fetch", "mount"]
"""Where an instance has the weights from: its image, the ref at each start, or a mounted cache."""

OptionsT = TypeVar("OptionsT", covariant=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class Release(Generic[OptionsT]):
    """One deployment as it shall be. Frozen and plain: rendering it twice gives the same bytes."""

    name: str
    """Of everything that is made at the platform: lower-case letters, digits and dashes."""

    serve: Mapping[str, Any]
    """The content of pilotlight.yaml that its instances run, without its `deploy` section."""

    image: str | None
    """By tag or digest; None where nothing is pulled, such as for systemd."""

    size: Size
    scaling: Scaling
    models: ModelSource = "image"
    region: str | None = None
    keys: Mapping[str, Any] = field(default_factory=dict)
    """The content of keys.json, which holds hashes and no secret; empty: nobody may ask."""

    plan: Plan | None = None
    """Where it came from; None for a plain configuration."""

    plan_source: str | None = None
    """The plan's file."""

    options: OptionsT
    """The target's own, checked."""
