"""What was measured on this machine, moved to where a benchmark's report says it is. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date

from pilotlight.calibration.here import device_of
from pilotlight.calibration.kept import Calibration
from pilotlight.engines.base import Engine
from pilotlight.errors import CalibrationError
from pilotlight.machine import Machine
from pilotlight.planner.cpu_speed import cpu_rates
from pilotlight.planner.model import PlannedModel
from pilotlight.planner.recalibration import closed_loop, recalibrated
from pilotlight.planner.reported import Reported
from pilotlight.planner.speed import place


def corrected(
    machine: Machine,
    engine: Engine,
    known: Calibration | None,
    model: PlannedModel,
    reported: Iterable[Reported],
    today: date,
) -> Calibration:
    """`known`, or else the defaults of this machine, by runs of `model` on its processor.

    Raises:
        CalibrationError: no run says how long its requests were and how many ran at once.
        PlanError: none has a TPOT.
    """
    device = device_of(machine, engine.build)
    rates = known.rates if known else cpu_rates(device, engine.name)
    setup = place(model, engine.name, [(device, 1.0)], rates={device.name: rates})
    runs = closed_loop(setup, reported)
    if not runs:
        raise CalibrationError(
            "no run of the report says how long its requests were and how many ran at once",
            hint="benchmark with a fixed concurrency, not with a rate",
        )
    source = f"{rates.source}, corrected by {len(runs)} runs of {model.name}"
    on = today.isoformat()
    moved = recalibrated(rates, runs, source, on)
    return Calibration(machine.fingerprint, engine.build, on, moved, known is None or known.quiet)
