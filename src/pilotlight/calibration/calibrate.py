"""Measure this machine and keep the answer: the one way from the command to the engine."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from datetime import date
from pathlib import Path

from pilotlight.calibration import probe
from pilotlight.calibration.fit import rates
from pilotlight.calibration.here import device_of
from pilotlight.calibration.kept import Calibration, save
from pilotlight.engines.base import Engine
from pilotlight.fleet.local import LocalFleet
from pilotlight.machine import Machine
from pilotlight.planner.cpu_speed import cpu_rates


async def calibrate(
    engine: Engine,
    machine: Machine,
    data_dir: Path,
    today: date,
    report: Callable[[str], None] = lambda name: None,
) -> Calibration:
    """Run the probes, work out the rates and keep them in `data_dir`.

    Takes about ten seconds of all cores. `report` hears what is being measured. Cancelling it
    ends the engine and keeps what was known before.

    Raises:
        CalibrationError: the machine is too busy, or the engine refuses.
        EngineStartError: the engine doesn't run.
        OSError: there is no room for the probes' files.
    """
    default = cpu_rates(device_of(machine, engine.build), engine.name)
    data_dir.mkdir(parents=True, exist_ok=True)
    fleet = LocalFleet(data_dir / "logs")
    try:
        # Beside the models: where those have room, on a disk and not in memory.
        with tempfile.TemporaryDirectory(prefix="calibration-", dir=data_dir) as directory:
            readings = await probe.run(engine, machine, fleet, Path(directory), report)
    finally:
        await fleet.close()
    found = Calibration(
        machine=machine.fingerprint,
        build=engine.build,
        measured_on=today.isoformat(),
        rates=rates(readings, default, measured_on=today.isoformat()),
        quiet=all(each.quiet for each in readings.values()),
    )
    save(found, data_dir)
    return found
