"""The kinds of engine, by name: factories, so that nothing heavy is imported before it is used."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from pilotlight.config import EngineSettings
from pilotlight.engines.base import Engine
from pilotlight.errors import ConfigError
from pilotlight.machine import Machine

Factory = Callable[[EngineSettings, Machine], Engine]


def _llamacpp(settings: EngineSettings, machine: Machine) -> Engine:
    from pilotlight.engines.llamacpp import choose

    return choose(settings.llamacpp, machine)


FACTORIES: Mapping[str, Factory] = {"llamacpp": _llamacpp}


class Engines:
    """Makes each kind of engine once, on first use."""

    def __init__(
        self,
        settings: EngineSettings,
        machine: Machine,
        factories: Mapping[str, Factory] = FACTORIES,
    ) -> None:
        self._settings = settings
        self._machine = machine
        self._factories = factories
        self._made: dict[str, Engine] = {}

    def get(self, name: str) -> Engine:
        """Raises ConfigError for a name that is no engine."""
        if name not in self._made:
            if name not in self._factories:
                raise ConfigError(
                    f"unknown engine {name!r}",
                    hint=f"use one of {', '.join(sorted(self._factories))}",
                )
            self._made[name] = self._factories[name](self._settings, self._machine)
        return self._made[name]
