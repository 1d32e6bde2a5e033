"""The benchmarks' intervals."""

from __future__ import annotations

import importlib
from pathlib import Path
from types import ModuleType

import pytest


@pytest.fixture
def spread(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(Path(__file__).parent.parent.parent))
    return importlib.import_module("benchmarks.spread")


def test_quantiles_lie_between_the_nearest_values(spread: ModuleType) -> None:
    assert spread.quantile([3.0, 1.0, 2.0], 0.5) == 2.0
    assert spread.quantile([0.0, 10.0], 0.25) == 2.5
    assert spread.quantile([4.0], 0.99) == 4.0


def test_a_ratio_by_rounds_cancels_drift(spread: ModuleType) -> None:
    drifting = [100.0, 50.0, 200.0, 25.0]
    made = spread.ratio([value * 0.8 for value in drifting], drifting)
    assert made.median == pytest.approx(0.8)
    assert (made.low, made.high) == (pytest.approx(0.8), pytest.approx(0.8))
    assert made.rounds == 4


def test_an_interval_holds_its_median_and_repeats(spread: ModuleType) -> None:
    values = [1.0, 2.0, 3.0, 4.0, 100.0]
    made = spread.spread(values)
    assert made.low <= made.median <= made.high
    assert made == spread.spread(values)
    assert spread.difference([3.0, 4.0], [1.0, 2.0]).median == 2.0


def test_rounds_must_be_pairs(spread: ModuleType) -> None:
    with pytest.raises(ValueError, match="shorter"):
        spread.ratio([1.0, 2.0], [1.0])
