"""How to start what is to be measured."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from pilotlight.config import Settings
from pilotlight.core import ModelRef


def wire_name(name: str) -> str:
    """As clients may write it in a request and a file as a key."""
    return re.sub(r"[^A-Za-z0-9._-]+", "-", name).strip("-.") or "model"


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """One model on one engine with these options, as a configuration file has it."""

    name: str
    """Of the model on the wire, and of the subject unless that is called otherwise."""

    ref: str
    engine: str = "llamacpp"
    options: Mapping[str, Any] = field(default_factory=dict)
    policy: Mapping[str, Any] = field(default_factory=dict)
    """Others of a model's settings, such as ``queue``."""

    engines: Mapping[str, Any] = field(default_factory=dict)
    """The file's section of that name, such as ``{"llamacpp": {"server": "/usr/bin/…"}}``."""

    def tree(self) -> dict[str, Any]:
        """The configuration file's content."""
        model = {
            "ref": _absolute(self.ref),
            "engine": self.engine,
            "options": dict(self.options),
            # Never to zero in the middle of a measurement; many may wait, so that the load is
            # what was asked and not what the queue let in.
            "keep_alive": "forever",
            "queue": 100_000,
            "queue_timeout": "1h",
            **self.policy,
        }
        tree: dict[str, Any] = {"models": {self.name: model}}
        return {**tree, "engines": dict(self.engines)} if self.engines else tree


@dataclass(frozen=True, slots=True, kw_only=True)
class Ground:
    """What recipes are started with: where models and engines are kept, and by which program.

    The child has a data directory of its own, in `directory`: neither the user's keys nor the
    address of a server that runs already is touched.
    """

    directory: Path
    """Holds the configuration, the log and the data of what is started; outlives it."""

    store: Path
    engines: Path
    config: Path | None = None
    """A configuration file whose settings hold, but for its models."""

    command: tuple[str, ...] | None = None
    """Instead of this interpreter's ``pilotlight serve``; is given what that is given."""

    ready_timeout_s: float = 900.0

    @classmethod
    def of(cls, settings: Settings, directory: Path, config: Path | None = None) -> Self:
        """Models and engines are where the user's own server has them."""
        return cls(
            directory=directory,
            store=settings.store.directory or settings.data_dir / "store",
            engines=settings.engines.directory or settings.data_dir / "engines",
            config=config,
        )


def _absolute(ref: str) -> str:
    """The child runs elsewhere."""
    parsed = ModelRef.parse(ref)
    if parsed.scheme != "file":
        return ref
    return f"file:{Path(parsed.locator).expanduser().absolute()}"
