"""Which LoRA adapters each model shall have: those of the file, and those added while serving.

The second kind is kept in a file of its own, replaced as a whole, so that what was
asked for is asked for again after a restart.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from pilotlight import durable
from pilotlight.config import AdapterSettings, ModelSettings, parse_adapter
from pilotlight.errors import AdapterConflictError, ConfigError, UnknownModelError
from pilotlight.store.address import shown_text

Added = dict[str, dict[str, AdapterSettings]]


class DesiredAdapters:
    """By model, then by adapter. A change is on disk before it is believed."""

    def __init__(self, models: Mapping[str, ModelSettings], path: Path) -> None:
        """Raises ConfigError when what is kept at `path` can't be read."""
        self._declared = {name: model.adapters for name, model in models.items()}
        self._path = path
        self._added = _read(path)

    def of(self, model: str) -> Mapping[str, AdapterSettings]:
        """The file's word wins: an adapter that it came to declare is no longer an added one."""
        return {**self._added.get(model, {}), **self._declared[model]}

    def is_declared(self, model: str, name: str) -> bool:
        return name in self._declared[model]

    def add(self, model: str, name: str, adapter: AdapterSettings) -> None:
        """Raises AdapterConflictError where another has that name; OSError."""
        self.refuse_conflict(model, name, adapter)
        if name in self.of(model):
            return
        mine = {**self._added.get(model, {}), name: adapter}
        self._keep({**self._added, model: mine})

    def refuse_conflict(self, model: str, name: str, adapter: AdapterSettings) -> None:
        """Raises AdapterConflictError where another has that name."""
        known = self.of(model).get(name)
        if known is not None and known != adapter:
            raise AdapterConflictError(
                f"model {model!r} has another adapter {name!r} already: {shown_text(known.ref)}",
                hint="remove that one first, or choose another name",
            )

    def remove(self, model: str, name: str) -> None:
        """Raises UnknownModelError, AdapterConflictError for the file's own; OSError."""
        if self.is_declared(model, name):
            raise AdapterConflictError(
                f"adapter {name!r} of model {model!r} is declared in the configuration file",
                hint=f"remove models.{model}.adapters.{name} there and start again",
            )
        if name not in self._added.get(model, {}):
            raise UnknownModelError(
                f"model {model!r} has no adapter {name!r}",
                param="adapter",
                hint=f"it has: {', '.join(self.of(model)) or 'none'}",
            )
        mine = {key: value for key, value in self._added[model].items() if key != name}
        self._keep({**self._added, model: mine})

    def _keep(self, added: Added) -> None:
        rows = {
            model: {name: asdict(adapter) for name, adapter in adapters.items()}
            for model, adapters in added.items()
            if adapters
        }
        durable.write_text(self._path, json.dumps(rows, indent=1))
        self._added = added


def _read(path: Path) -> Added:
    """A model that isn't served now keeps its adapters for when it is again."""
    try:
        rows = json.loads(path.read_text())
        return {model: _adapters(path, model, given) for model, given in rows.items()}
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, AttributeError) as error:
        raise ConfigError(
            f"can't read the adapters that were added: {path}: {error}",
            hint="mend the file, or remove it and add them again",
        ) from None


def _adapters(path: Path, model: str, given: Mapping[str, Any]) -> dict[str, AdapterSettings]:
    return {name: parse_adapter(name, entry, model, str(path)) for name, entry in given.items()}
