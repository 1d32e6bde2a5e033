"""Which vLLM runs here: the installed one."""

from __future__ import annotations

from pathlib import Path

from pilotlight.engines import environments
from pilotlight.engines.vllm.engine import VllmEngine
from pilotlight.machine import Machine


def choose(directory: Path, machine: Machine) -> VllmEngine:
    """Raises EngineMissingError with the command that installs it."""
    return VllmEngine(environments.require(directory, "vllm"), machine)
