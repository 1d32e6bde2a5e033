"""The engines installed apart: whether each runs, and whether it is the one we would make now."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from pilotlight.doctor.checks import WIDE, Finding, Verdict
from pilotlight.engines.environments.environment import PARTIAL, Environment, find
from pilotlight.engines.environments.host import Host
from pilotlight.engines.environments.recipes import plan, verifying
from pilotlight.errors import EngineInstallError
from pilotlight.machine import Machine

_PATIENCE_S = 300.0  # vLLM alone imports for half a minute on a small machine


@dataclass(frozen=True, slots=True)
class EngineFacts:
    """One kind of engine, as it was found."""

    name: str
    environment: Environment | None
    unfinished: bool
    """An install was begun and hasn't come to its end."""

    problem: str | None = None
    """Why it doesn't run; None when it does, or isn't there."""

    due: str | None = None
    """The version an install would make now, where that isn't this very environment."""

    unmade: str | None = None
    """Why it couldn't be made here; None when it could."""


def look(name: str, directory: Path, machine: Machine, host: Host) -> EngineFacts:
    """Runs the engine once, for as long as its imports take."""
    environment = find(directory, name)
    unfinished = any((directory / name).glob(f"*{PARTIAL}"))
    facts = EngineFacts(name, environment, unfinished)
    try:
        wanted = plan(name, machine, _made_with(host, environment), _variant(environment))
    except EngineInstallError as error:
        facts = replace(facts, unmade=error.message)
    else:
        if environment is not None and environment.record.digest != wanted.digest:
            facts = replace(facts, due=wanted.version)
    return facts if environment is None else replace(facts, problem=_problem(environment))


def _variant(environment: Environment | None) -> str | None:
    return environment.record.variant if environment else None


def _made_with(host: Host, environment: Environment | None) -> Host:
    """The Python that made it may have been another than ours, by the user's choice."""
    said = environment.record.details.get("python", "") if environment else ""
    major, _, minor = said.partition(".")
    if not (major.isdigit() and minor.isdigit()):
        return host
    return replace(host, python_version=(int(major), int(minor)))


def _problem(environment: Environment) -> str | None:
    argv = [part.replace("{root}", str(environment.root)) for part in verifying(environment.name)]
    try:
        done = subprocess.run(
            argv,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=_PATIENCE_S,
            env={**os.environ, "LC_ALL": "C.UTF-8"},
            encoding="utf-8",
            errors="replace",
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return getattr(error, "strerror", None) or f"it didn't answer in {_PATIENCE_S:.0f} s"
    if done.returncode == 0:
        return None
    words = done.stdout.strip().splitlines()[-1:]
    return ": ".join([f"exit code {done.returncode}", *words])


def present(facts: EngineFacts) -> Finding | None:
    name = facts.name
    if facts.environment is not None:
        return None
    if facts.unfinished:
        return Finding(
            name, Verdict.WARN, "its install was not finished", f"pilotlight engines install {name}"
        )
    could = f"; it couldn't be: {facts.unmade}" if facts.unmade else ""
    return Finding(name, Verdict.OK, f"not installed{could}")


def runs(facts: EngineFacts) -> Finding | None:
    if facts.environment is None or facts.problem is None:
        return None
    return Finding(
        facts.name,
        Verdict.FAIL,
        f"{facts.environment.root} doesn't run: {facts.problem}",
        f"pilotlight engines install {facts.name} --force",
    )


def current(facts: EngineFacts) -> Finding | None:
    if facts.environment is None or facts.due is None:
        return None
    return Finding(
        facts.name,
        Verdict.WARN,
        f"{facts.environment.version} was made for another machine or by another version of "
        f"Pilotlight; now it would be {facts.due}",
        f"pilotlight engines install {facts.name}",
    )


def well(facts: EngineFacts) -> Finding | None:
    environment = facts.environment
    if environment is None or facts.problem or facts.due:
        return None
    wide = sorted(WIDE & set(environment.record.built_for))
    found = f"{environment.version} ({environment.record.variant}) runs, from {environment.root}"
    return Finding(facts.name, Verdict.OK, found + (f", uses {', '.join(wide)}" if wide else ""))


CHECKS: tuple[Callable[[EngineFacts], Finding | None], ...] = (present, runs, current, well)


def examine_engine(facts: EngineFacts) -> Iterator[Finding]:
    for check in CHECKS:
        finding = check(facts)
        if finding is not None:
            yield finding
