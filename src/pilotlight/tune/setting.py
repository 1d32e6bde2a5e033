"""One way to serve the model: a point of the search."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """What a configuration file would say of the model; the rest is the engine's own default."""

    ref: str
    engine: str = "llamacpp"
    options: Mapping[str, Any] = field(default_factory=dict)

    @property
    def key(self) -> str:
        """Equal for equal settings, whatever order their options were written in."""
        return json.dumps([self.ref, self.engine, self.options], sort_keys=True, default=str)

    def having(self, options: Mapping[str, Any]) -> Setting:
        """With these instead; None takes an option back to the engine's own choice."""
        merged = {**self.options, **options}
        kept = {name: value for name, value in merged.items() if value is not None}
        return replace(self, options=kept)

    def __str__(self) -> str:
        told = " ".join(f"{name}={_plain(value)}" for name, value in sorted(self.options.items()))
        return f"{self.ref.rpartition('/')[2]} on {self.engine}, {told or 'its defaults'}"


def _plain(value: Any) -> str:
    return json.dumps(value, sort_keys=True) if isinstance(value, Mapping) else str(value)
