"""Where it ran, and with which versions: without them a figure is an anecdote."""

from __future__ import annotations

import platform
from collections.abc import Iterable, Mapping
from importlib.metadata import PackageNotFoundError, version

from pilotlight.bench.report import MachineFacts
from pilotlight.machine import Machine


def machine_facts(machine: Machine) -> MachineFacts:
    return MachineFacts(
        cpu=machine.cpu,
        cores=machine.cores,
        ram_bytes=machine.ram_bytes,
        gpus=tuple(gpu.name for gpu in machine.gpus),
        instruction_sets=tuple(sorted(machine.instruction_sets)),
        system=f"{platform.system()} {platform.release()}",
    )


def versions(packages: Iterable[str] = ("pilotlight", "uvloop")) -> Mapping[str, str]:
    """Of Python and of `packages`, as far as they are installed."""
    found = {"python": platform.python_version()}
    for package in packages:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found
