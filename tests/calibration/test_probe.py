"""The probes' course: which models, in which time, and what is left behind."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import pytest

from pilotlight.calibration import probe
from pilotlight.calibration.probes import OVERHEADS, TYPES
from pilotlight.calibration.quiet import sampled
from pilotlight.engines import base
from pilotlight.errors import CalibrationError
from pilotlight.fleet.base import Fleet as FleetSeam
from pilotlight.machine import Gpu, Machine

from .fake import Engine, Fleet

MACHINE = Machine("cpu", 2, 8 << 30, (), frozenset({"avx2"}))


async def run(fleet: Fleet, path: Path, engine: Engine | None = None) -> Any:
    used = cast("base.Engine", engine or Engine())
    return await probe.run(used, MACHINE, cast("FleetSeam", fleet), path, lambda name: None)


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Few types, and one sample of each: what is asked is the same."""
    monkeypatch.setattr(probe, "TYPES", TYPES[:2])
    monkeypatch.setattr(probe, "PATIENCE_S", 0.0)


async def test_each_probe_is_written_asked_and_removed(tmp_path: Path) -> None:
    fleet, engine = Fleet(token_ms=7.0), Engine()
    found = await run(fleet, tmp_path, engine)
    names = [*(each.name for each in OVERHEADS), *TYPES[:2]]
    assert list(found) == names
    assert [name for name, _ in engine.loaded] == [f"{name}.gguf" for name in names]
    assert all(size > 10_000 for _, size in engine.loaded)
    assert all(process.stopped for process in fleet.processes)
    assert not list(tmp_path.iterdir())
    assert found["Q8_0"].answers[16] == pytest.approx(0.007)


async def test_prompts_are_tokens_that_no_cache_knows(tmp_path: Path) -> None:
    fleet = Fleet()
    await run(fleet, tmp_path)
    requests = fleet.processes[-1].client.requests
    prompts = [tuple(each["prompt"]) for each in requests]
    assert len(set(prompts)) == len(prompts)
    assert {len(prompt) for prompt in prompts} == {16, 64, 512}
    assert all(not each["cache_prompt"] and each["ignore_eos"] for each in requests)


async def test_a_machine_too_busy_for_a_single_type_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(probe, "LIMIT_S", 0.05)
    fleet = Fleet(status=None)
    with pytest.raises(CalibrationError, match="so busy") as caught:
        await run(fleet, tmp_path)
    assert "run it again" in str(caught.value.hint)
    assert all(process.stopped for process in fleet.processes)
    assert not list(tmp_path.iterdir())


async def test_when_time_is_up_no_other_type_is_begun(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(probe, "BUDGET_S", 0.0)
    with pytest.raises(CalibrationError):
        await run(Fleet(), tmp_path)


async def test_an_engine_that_refuses_is_no_measurement(tmp_path: Path) -> None:
    with pytest.raises(CalibrationError, match="refused"):
        await run(Fleet(status=400), tmp_path)


async def test_gpus_stay_out_of_it(tmp_path: Path) -> None:
    seen: list[Any] = []

    class Watched(Engine):
        def options(self, given: Any) -> Any:
            seen.append(dict(given))
            return given

    machine = Machine("cpu", 2, 8 << 30, (Gpu(0, "gpu", 1 << 30),), frozenset())
    used, fleet = cast("base.Engine", Watched()), cast("FleetSeam", Fleet())
    await probe.run(used, machine, fleet, tmp_path, lambda name: None)
    assert seen == [{"parallel": 16, "context": 1024, "gpu_layers": 0, "device": "none"}]


class Neighbour:
    """Busy for the first few looks."""

    def __init__(self, busy: int) -> None:
        self.busy = busy

    def others(self) -> float:
        self.busy -= 1
        return 1.0 if self.busy >= 0 else 0.0


@pytest.mark.parametrize(
    ("busy", "seconds", "quiet"), [(0, 1.5, 2), (1, 2.5, 2), (3, 4.0, 1), (9, 1.0, 0)]
)
async def test_noisy_samples_count_only_where_there_is_no_other(
    busy: int, seconds: float, quiet: int
) -> None:
    times = iter((1.0, 2.0, 3.0, 4.0))
    neighbour = Neighbour(busy)

    async def sample() -> float:
        return next(times)

    found = await sampled(sample, lambda: cast("Any", neighbour), wanted=2, most=4)
    assert (found.seconds, found.quiet) == (seconds, quiet)
