"""Every axis of llama.cpp's on the real model: what is tried must be what the engine can do."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from pilotlight.bench.slo import Slo
from pilotlight.bench.subjects import Ground
from pilotlight.cli.tune_setup import workload
from pilotlight.core import ModelFiles
from pilotlight.machine import survey
from pilotlight.tune.perform import Conditions, Performer
from pilotlight.tune.setting import Setting
from pilotlight.tune.spaces import llamacpp
from pilotlight.tune.spaces.terrain import Terrain
from pilotlight.tune.trial import Trial

pytestmark = pytest.mark.real


@pytest.fixture
def perform(tmp_path: Path) -> Iterator[Performer]:
    conditions = Conditions(
        name="small",
        slo=Slo(),
        levels="users",
        prepare=lambda subject: workload("builtin:max_tokens=4", 0, subject),
        needs_bytes=lambda setting: None,
        memory_bytes=1 << 40,
    )
    ground = Ground(directory=tmp_path, store=tmp_path / "store", engines=tmp_path / "engines")
    with Performer(conditions, ground) as found:
        yield found


def test_everything_that_has_a_name(perform: Performer, smollm: ModelFiles) -> None:
    """Sizes work wherever llama.cpp runs at all; a kind of thing may be missing in a build."""
    default = Setting(ref=f"file:{smollm.path}", options={"context": 512, "parallel": 2})
    axes = llamacpp.axes(Terrain(machine=survey(), given=default.options))
    kinds = [axis for axis in axes if not axis.ordered]
    assert len(kinds) >= 5
    most = max(len(axis.values) for axis in kinds)
    for at in range(1, most):  # each start tries one value of each, for a start takes seconds
        setting = default
        for axis in kinds:
            setting = axis.moved(setting, axis.values[at % len(axis.values)])
        found = perform(Trial(setting=setting, level=1, seconds=0.5, purpose="look"))
        # Ready means that it answered already; on a busy machine the trial itself may be too short.
        slow = (found.failed or "").startswith("nobody had an answer")
        assert found.failed is None or slow, (setting, found.failed)
        assert found.started, setting
        assert found.errors == 0, setting
