"""A calibration is for one machine and one build, and never in the way of a plan."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path

import pytest

from pilotlight.calibration.here import device_of
from pilotlight.calibration.kept import Calibration, forget, kept_rates, load, path_of, save
from pilotlight.machine import Machine
from pilotlight.planner.cpu_speed import cpu_rates

MACHINE = Machine("cpu", 2, 8 << 30, (), frozenset({"avx2"}))
BUILD = "llama-server 1"
RATES = cpu_rates(device_of(MACHINE, BUILD))


def calibration(build: str = BUILD, step_s: float = 1e-5) -> Calibration:
    rates = replace(RATES, step_s=step_s)
    return Calibration(MACHINE.fingerprint, build, "2026-11-20", rates, quiet=True)


def test_it_is_read_as_it_was_written(tmp_path: Path) -> None:
    save(calibration(), tmp_path)
    assert load(tmp_path, MACHINE.fingerprint, BUILD) == calibration()


def test_another_build_or_machine_has_none(tmp_path: Path) -> None:
    save(calibration(), tmp_path)
    assert load(tmp_path, MACHINE.fingerprint, "llama-server 2") is None
    assert load(tmp_path, "another", BUILD) is None
    assert kept_rates(tmp_path, MACHINE, "llama-server 2") is None
    assert kept_rates(tmp_path, replace(MACHINE, cores=4), "") is None


def test_a_plan_takes_those_of_the_build_that_would_run(tmp_path: Path) -> None:
    save(calibration("a", 1e-5), tmp_path)
    save(calibration("b", 2e-5), tmp_path)
    found = [kept_rates(tmp_path, MACHINE, build) for build in ("a", "b")]
    assert [rates and rates.step_s for rates in found] == [1e-5, 2e-5]


def test_without_any_build_here_a_plan_takes_the_newest_of_the_machine(tmp_path: Path) -> None:
    first = save(calibration("a", 1e-5), tmp_path)
    second = save(calibration("b", 2e-5), tmp_path)
    os.utime(first, (2_000_000_000, 2_000_000_000))
    found = kept_rates(tmp_path, MACHINE, "")
    assert found is not None
    assert found.step_s == 1e-5
    os.utime(second, (2_100_000_000, 2_100_000_000))
    found = kept_rates(tmp_path, MACHINE, "")
    assert found is not None
    assert found.step_s == 2e-5


def _cut(text: str) -> str:
    return text[: len(text) // 2]


def _of_another_version(text: str) -> str:
    return json.dumps({**json.loads(text), "version": 0})


def _without_rates(text: str) -> str:
    return json.dumps({**json.loads(text), "rates": {}})


@pytest.mark.parametrize("damage", [_cut, _of_another_version, _without_rates, lambda text: "[]"])
def test_a_file_that_cannot_be_read_is_as_if_it_were_not_there(
    tmp_path: Path, damage: object
) -> None:
    path = save(calibration(), tmp_path)
    assert callable(damage)
    path.write_text(damage(path.read_text()))
    assert load(tmp_path, MACHINE.fingerprint, BUILD) is None
    assert kept_rates(tmp_path, MACHINE, "") is None


def test_it_can_be_forgotten_once(tmp_path: Path) -> None:
    save(calibration(), tmp_path)
    assert forget(tmp_path, MACHINE.fingerprint, BUILD)
    assert not path_of(tmp_path, MACHINE.fingerprint, BUILD).exists()
    assert not forget(tmp_path, MACHINE.fingerprint, BUILD)
