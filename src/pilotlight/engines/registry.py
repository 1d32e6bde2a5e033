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

    return choose(settings.llamacpp, machine, settings.directory)


def _openai(settings: EngineSettings, machine: Machine) -> Engine:
    from pilotlight.engines.openai import OpenAIEngine

    return OpenAIEngine()


def _ollama(settings: EngineSettings, machine: Machine) -> Engine:
    from pilotlight.engines.ollama import OllamaEngine

    assert settings.directory is not None, "config.load gives it its default"
    return OllamaEngine(settings.directory / "ollama")


def _python(settings: EngineSettings, machine: Machine) -> Engine:
    from pilotlight.engines.python.engine import PythonEngine

    return PythonEngine()


def _transformers(settings: EngineSettings, machine: Machine) -> Engine:
    from pilotlight.engines.transformers import TransformersEngine

    assert settings.directory is not None, "config.load gives it its default"
    return TransformersEngine(settings.directory, machine)


def _vllm(settings: EngineSettings, machine: Machine) -> Engine:
    from pilotlight.engines.vllm import choose

    assert settings.directory is not None, "config.load gives it its default"
    return choose(settings.directory, machine)


def _kubernetes(settings: EngineSettings, machine: Machine) -> Engine:
    from pilotlight.engines.kubernetes import KubernetesEngine

    return KubernetesEngine()


def _preset(name: str) -> Factory:
    def make(settings: EngineSettings, machine: Machine) -> Engine:
        from pilotlight.engines.presets import PRESETS, PresetEngine

        return PresetEngine(PRESETS[name])

    return make


FACTORIES: Mapping[str, Factory] = {
    "llamacpp": _llamacpp,
    "vllm": _vllm,
    "python": _python,
    "openai": _openai,
    "ollama": _ollama,
    "transformers": _transformers,
    "kubernetes": _kubernetes,
    "command": _preset("command"),
    "sglang": _preset("sglang"),
    "tensorrt-llm": _preset("tensorrt-llm"),
    "tgi": _preset("tgi"),
    "triton": _preset("triton"),
    "jetstream": _preset("jetstream"),
}


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
