"""A plan as something to be measured."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from pilotlight.bench.planned import Planned
from pilotlight.errors import BenchError, PlanError
from pilotlight.machine import Machine

from .test_command import plan

HERE = Machine(
    cpu="some cpu", cores=2, ram_bytes=8 << 30, gpus=(), instruction_sets=frozenset()
)  # fmt: skip


@pytest.fixture
def planned(tmp_path: Path) -> Planned:
    path = plan(tmp_path)
    return Planned.read(path.read_bytes(), str(path), 1)


def deployed(planned: Planned, **changes: object) -> Planned:
    deployment = replace(planned.plan.deployment, **changes)  # type: ignore[arg-type]
    return replace(planned, plan=replace(planned.plan, deployment=deployment))


def test_what_it_starts_is_what_it_says(planned: Planned) -> None:
    deployment = planned.plan.deployment
    recipe = planned.recipe(None)
    assert (recipe.engine, recipe.ref) == ("llamacpp", deployment.ref)
    assert recipe.options == deployment.options
    assert planned.recipe("./mine.gguf").ref == "./mine.gguf"


def test_weights_that_nobody_publishes(planned: Planned) -> None:
    with pytest.raises(BenchError, match="nobody is known to publish") as raised:
        deployed(planned, ref=None).recipe(None)
    assert "--ref" in str(raised.value.hint)


def test_one_machine_gets_its_share_of_the_load(planned: Planned) -> None:
    four = deployed(planned, machines=4, replicas=4)
    assert four.requests_per_s == 5.0
    assert any("4 machines; one of them" in note for note in four.notes(None))


def test_what_is_predicted_is_of_a_machine_like_what_is_measured(planned: Planned) -> None:
    """A plan's rates are of one replica, and a machine may have several."""
    two = deployed(planned, machines=1, replicas=2).predicted.metrics
    one = planned.plan.metrics
    assert one.requests_per_s is not None
    assert two.requests_per_s is not None
    assert two.requests_per_s.median == 2 * one.requests_per_s.median
    assert two.ttft_ms == one.ttft_ms
    assert two.usd_per_mtok == one.usd_per_mtok


def test_it_is_asked_and_judged_as_it_was_planned(planned: Planned) -> None:
    assert planned.workload == {"kind": "fixed", "input": 40, "output": 12}
    asked = planned.answer.asked.service
    assert (planned.slo.ttft_ms, planned.slo.tpot_ms) == (asked.ttft_ms, asked.tpot_ms)
    assert planned.slo.share == asked.percentile / 100
    assert planned.predicted.metrics == planned.plan.metrics


def test_other_hardware_is_named(planned: Planned) -> None:
    (note,) = deployed(planned, machines=1, replicas=1).notes(HERE)
    assert "measured on some cpu with 2 cores" in note


def test_hardware_that_is_not_there(planned: Planned) -> None:
    with pytest.raises(BenchError, match=r"needs .* and this machine has no GPUs") as raised:
        deployed(planned, gpu="l4", gpus=1).notes(HERE)
    assert "--url" in str(raised.value.hint)


def test_a_rank_that_it_has_not(tmp_path: Path) -> None:
    path = plan(tmp_path)
    with pytest.raises(PlanError, match="has no plan 999"):
        Planned.read(path.read_bytes(), "plan.json", 999)
