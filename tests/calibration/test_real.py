"""Shaped models in the installed llama.cpp: it loads each family, and answers in tokens."""

from __future__ import annotations

from pathlib import Path

import pytest

from pilotlight import config
from pilotlight.calibration import shaped_gguf
from pilotlight.calibration.trial import Trial
from pilotlight.catalog.architecture import Architecture
from pilotlight.engines.registry import Engines
from pilotlight.fleet.local import LocalFleet
from pilotlight.machine import survey

from .shapes import SHAPES

pytestmark = pytest.mark.real


@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
async def test_llamacpp_runs_every_family(tmp_path: Path, shape: Architecture) -> None:
    path = tmp_path / "m.gguf"
    shaped_gguf.write(path, shape, "Q4_K_M")
    engine = Engines(config.load().engines, survey()).get("llamacpp")
    options = engine.options({"parallel": 2, "context": 256})
    fleet = LocalFleet(tmp_path / "logs")
    try:
        async with Trial(engine, fleet, path, options, vocabulary=shape.vocabulary) as trial:
            assert 0 < await trial.prefill_s(64) < 30
            assert 0 < await trial.step_s(2, 8, 4) < 30
            peak_bytes = trial.process.peak_memory_bytes()
        assert peak_bytes is not None
        assert peak_bytes > path.stat().st_size
    finally:
        await fleet.close()
