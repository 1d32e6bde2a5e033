"""What was measured on this machine with one build of an engine, kept between runs."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pilotlight.durable import write_text
from pilotlight.machine import Machine
from pilotlight.planner.rates import Rates, from_json

VERSION = 1
"""Of the file. One of another version is as if it weren't there: measuring again takes seconds."""


@dataclass(frozen=True, slots=True)
class Calibration:
    """`rates` hold for the machine with that fingerprint and that build of the engine alone."""

    machine: str
    build: str
    measured_on: str
    """ISO date."""

    rates: Rates
    quiet: bool
    """Whether nobody else computed meanwhile; if not, the machine can do more than this."""


def path_of(data_dir: Path, machine: str, build: str) -> Path:
    key = hashlib.sha256(f"{machine}\n{build}".encode()).hexdigest()[:16]
    return _directory(data_dir) / f"{key}.json"


def save(calibration: Calibration, data_dir: Path) -> Path:
    """Replaces what was measured before. Blocks. Raises OSError."""
    path = path_of(data_dir, calibration.machine, calibration.build)
    write_text(path, json.dumps(document(calibration), indent=1) + "\n")
    return path


def load(data_dir: Path, machine: str, build: str) -> Calibration | None:
    """None where nothing was measured yet, or what is there can't be read."""
    found = _read(path_of(data_dir, machine, build))
    return found if found and (found.machine, found.build) == (machine, build) else None


def kept_rates(data_dir: Path, machine: Machine, build: str) -> Rates | None:
    """Those of this machine and the `build` that would run; without any build here (empty) the
    newest there are. Blocks for milliseconds."""
    if build:
        found = load(data_dir, machine.fingerprint, build)
        return found.rates if found else None
    paths = sorted(_directory(data_dir).glob("*.json"), key=_written_s, reverse=True)
    known = (_read(path) for path in paths)
    return next(
        (each.rates for each in known if each and each.machine == machine.fingerprint), None
    )


def _written_s(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except FileNotFoundError:  # forgotten meanwhile
        return 0.0


def _directory(data_dir: Path) -> Path:
    return data_dir / "calibration"


def _read(path: Path) -> Calibration | None:
    try:
        found = json.loads(path.read_text())
        if found["version"] != VERSION:
            return None
        return Calibration(
            machine=str(found["machine"]),
            build=str(found["build"]),
            measured_on=str(found["measured_on"]),
            rates=from_json(found["rates"]),
            quiet=bool(found["quiet"]),
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None


def forget(data_dir: Path, machine: str, build: str) -> bool:
    """Whether there was anything to forget."""
    path = path_of(data_dir, machine, build)
    known = path.exists()
    path.unlink(missing_ok=True)
    return known


def document(calibration: Calibration) -> dict[str, Any]:
    """The file's content, and what the command prints as JSON."""
    return {
        "version": VERSION,
        "machine": calibration.machine,
        "build": calibration.build,
        "measured_on": calibration.measured_on,
        "quiet": calibration.quiet,
        "rates": calibration.rates.to_json(),
    }
