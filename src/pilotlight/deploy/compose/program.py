"""Which of the programs that run compose files there is, and which engine it speaks to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from pilotlight.deploy.server.command import Commands
from pilotlight.errors import ConfigError


@dataclass(frozen=True, slots=True)
class Program:
    compose: tuple[str, ...]
    engine: str
    """The program that knows the containers it makes."""

    up: tuple[str, ...] = ()
    """Further flags of `up`."""

    grace: str | None = None
    """Flag for `stop_grace_period`, where the file's own isn't read; ``{}`` are the seconds."""


PROGRAMS: Mapping[str, Program] = {
    "docker compose": Program(("docker", "compose"), "docker", up=("--pull", "never")),
    "podman compose": Program(("podman", "compose"), "podman"),
    # 1.6 leaves it at Podman's own 10 s, also for the stop before a reboot.
    "podman-compose": Program(
        ("podman-compose",), "podman", grace="--podman-run-args=--stop-timeout={}"
    ),
}
"""In the order in which they are tried."""


def find(commands: Commands, name: str | None) -> Program:
    """Raises ConfigError: there is none here that works, or not the one that was named."""
    if name is not None and name not in PROGRAMS:
        raise ConfigError(
            f"compose.program is {name!r}, expected one of {', '.join(PROGRAMS)}",
            hint="leave it out for the first one that is there",
        )
    for candidate in (name,) if name else PROGRAMS:
        if _works(commands, PROGRAMS[candidate]):
            return PROGRAMS[candidate]
    raise ConfigError(
        f"no {name or ', '.join(PROGRAMS)} works here",
        hint="install Docker with its compose plugin, or Podman and `pip install podman-compose`",
    )


def _works(commands: Commands, program: Program) -> bool:
    """Installed, and its engine answers: a Docker client without its service is of no use."""
    try:
        if not commands.run((*program.compose, "version")).ok:
            return False
        return commands.run((program.engine, "info"), timeout_s=60).ok
    except ConfigError:
        return False
