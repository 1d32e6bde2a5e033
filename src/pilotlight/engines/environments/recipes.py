"""The engines that can be installed, by name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial

from pilotlight.engines.environments import llamacpp_native, python_engines
from pilotlight.engines.environments.environment import LLAMACPP_NATIVE
from pilotlight.engines.environments.host import Host
from pilotlight.engines.environments.plan import Plan
from pilotlight.machine import Machine

_VERIFYING: Mapping[str, tuple[str, ...]] = {
    "vllm": python_engines.VLLM.verify,
    "transformers": python_engines.TRANSFORMERS.verify,
    LLAMACPP_NATIVE: llamacpp_native.VERIFY,
}

Planner = Callable[[Machine, Host, str | None], Plan]

RECIPES: Mapping[str, Planner] = {
    "vllm": partial(python_engines.plan_wheels, python_engines.VLLM),
    "transformers": partial(python_engines.plan_wheels, python_engines.TRANSFORMERS),
    LLAMACPP_NATIVE: llamacpp_native.plan_native,
}


def plan(name: str, machine: Machine, host: Host, build: str | None = None) -> Plan:
    """How `name` is made for this machine; `build` is ``cpu``, ``cuda`` or None to choose.

    Raises:
        EngineInstallError: it can't be made here.
    """
    return RECIPES[name](machine, host, build)


def verifying(name: str) -> tuple[str, ...]:
    """The command that shows that an installed `name` works; `{root}` is where it is."""
    return _VERIFYING[name]
