"""What the checks look at: frozen data, gathered in `gather` or made up in a test."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from pilotlight.machine import Machine


class PortState(StrEnum):
    FREE = "free"
    OURS = "ours"
    """A Pilotlight server of this data directory holds it."""

    TAKEN = "taken"
    UNUSABLE = "unusable"
    """Nobody holds it, and still it can't be bound: a foreign address, a privileged port."""


@dataclass(frozen=True, slots=True)
class Program:
    """A llama-server or the wheel, as it answered when it was run."""

    path: str
    version: str | None = None
    """None when it didn't answer; `error` says why."""

    error: str | None = None
    instruction_sets: frozenset[str] | None = None
    """What it was compiled for, in the kernel's words; None when it doesn't say."""

    gpus: int | None = None
    """Accelerators it can use; None when it doesn't say."""

    compiled_here: bool = False
    """By `pilotlight engines install`, with all that this machine's compiler knows."""


@dataclass(frozen=True, slots=True)
class KeysFile:
    """`mode` is the permission bits; `mine` whether its owner is who runs this."""

    path: Path
    mode: int
    mine: bool


@dataclass(frozen=True, slots=True)
class Facts:
    """All of it at one moment; sizes in bytes."""

    machine: Machine
    system_ram_bytes: int
    available_ram_bytes: int
    data_dir: Path
    data_dir_problem: str | None
    """Why models can't be written there; None when they can."""

    disk_free_bytes: int
    engine_prefer: str
    server: Program | None
    server_configured: bool
    wheel: Program | None
    installed: tuple[str, ...]
    """The engines with environments of their own, as people read them."""

    host: str
    port: int
    port_state: PortState
    open_files: int
    open_files_limit: int
    """The soft limit and the hard one, which the soft one may be raised to."""

    energy: str
    """Which devices say what they draw, and by what."""

    energy_refused: tuple[str, ...]
    """Why some that could be measured aren't, each with the next step."""

    keys: KeysFile | None
    proxies: Mapping[str, str]
    """Proxy variables by lower-case name, credentials removed."""

    @property
    def engine(self) -> Program | None:
        """The program that will run models, chosen as the llamacpp engine chooses."""
        server = self.server if self.engine_prefer != "wheel" else None
        wheel = self.wheel if self.engine_prefer != "server" else None
        # One that merely lies on PATH and doesn't run is passed over; a configured one isn't.
        if server is not None and (server.version or self.server_configured):
            return server
        return wheel or server
