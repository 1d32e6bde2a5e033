"""The gateway as `pilotlight serve` runs it, telling a benchmark where its engine sits.

So that the very same engine process can be asked directly: with identical
options, the same memory and the same caches. Only the owner can read the file.
"""

from __future__ import annotations

import argparse
import json
import os
from pathlib import Path
from typing import Any, cast

from pilotlight import config
from pilotlight.config import EngineSettings
from pilotlight.engines.base import Engine, Launch, ModelJob, Seat
from pilotlight.engines.registry import FACTORIES, Factory
from pilotlight.gateway.serve import run
from pilotlight.machine import Machine


class SeatTeller:
    """An engine that writes down the seat of each process that it describes."""

    def __init__(self, engine: Engine, path: Path) -> None:
        self._engine = engine
        self._path = path

    def __getattr__(self, name: str) -> Any:
        return getattr(self._engine, name)

    def command(self, seat: Seat, job: ModelJob | None) -> Launch:
        partial = self._path.with_suffix(".partial")
        with open(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
            json.dump({"socket": str(seat.socket), "secret": seat.secret}, file)
        os.replace(partial, self._path)
        return self._engine.command(seat, job)


def telling(factory: Factory, path: Path) -> Factory:
    def make(settings: EngineSettings, machine: Machine) -> Engine:
        return cast("Engine", SeatTeller(factory(settings, machine), path))

    return make


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.seat_gateway", description=__doc__)
    parser.add_argument("seat", type=Path, help="the file to write")
    parser.add_argument("config", type=Path, help="a configuration file, as serve takes it")
    given = parser.parse_args()

    settings = config.load(given.config)
    return run(
        settings, factories={name: telling(each, given.seat) for name, each in FACTORIES.items()}
    )


if __name__ == "__main__":
    raise SystemExit(main())
