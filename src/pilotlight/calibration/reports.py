"""Rates of GPUs as benchmark reports corrected them: one file a GPU and engine."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from pilotlight.durable import write_text
from pilotlight.planner.rates import Rates, from_json


def save_reported(rates: Rates, data_dir: Path) -> Path:
    """Replaces what earlier reports said of that GPU and engine. Blocks. Raises OSError."""
    path = _directory(data_dir) / f"{rates.device}-{rates.engine}.json"
    write_text(path, json.dumps(rates.to_json(), indent=1) + "\n")
    return path


def reported_rates(data_dir: Path) -> Mapping[str, Rates]:
    """By ``gpu/engine``; files that can't be read are as if they weren't there."""
    found = (_read(path) for path in sorted(_directory(data_dir).glob("*.json")))
    return {f"{rates.device}/{rates.engine}": rates for rates in found if rates is not None}


def _directory(data_dir: Path) -> Path:
    return data_dir / "calibration" / "reports"


def _read(path: Path) -> Rates | None:
    try:
        return from_json(json.loads(path.read_text()))
    except (OSError, ValueError, KeyError, TypeError):
        return None
