"""Engines in one table: what it joins, what it refuses to join, and what it calls missed."""

from __future__ import annotations

import importlib
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest


@pytest.fixture
def table() -> Any:
    return importlib.import_module("benchmarks.side_by_side")


@pytest.fixture
def conditions(table: Any) -> Any:
    return table.Conditions("a machine", "model.gguf", slots=32, context=512, max_tokens=64)


def measured(table: Any, title: str, through: float = 99.0, level: str = "4") -> Any:
    speeds = {level: {"direct": [100.0, 100.0], "pilotlight": [through, through]}}
    return table.Measured(title, "1.0", "2026-01-01", [9.0, 1.0, 3.0], speeds)


def publish(table: Any, conditions: Any, path: Path, **engines: Any) -> int:
    code: int = table.report(engines, conditions).publish(path)
    return code


def test_an_engine_joins_those_measured_before(table: Any, conditions: Any, tmp_path: Path) -> None:
    path = tmp_path / "engines.json"
    publish(table, conditions, path, one=measured(table, "One"))
    known = table.earlier(path, conditions)
    assert {name: asdict(each) for name, each in known.items()} == {
        "one": asdict(measured(table, "One"))
    }


def test_other_conditions_start_anew(table: Any, conditions: Any, tmp_path: Path) -> None:
    path = tmp_path / "engines.json"
    publish(table, conditions, path, one=measured(table, "One"))
    assert table.earlier(path, replace(conditions, slots=16)) == {}


def test_no_file_is_no_engine(table: Any, conditions: Any, tmp_path: Path) -> None:
    assert table.earlier(tmp_path / "none.json", conditions) == {}


def test_a_column_for_each_concurrency_and_a_dash_where_none_was_measured(
    table: Any, conditions: Any
) -> None:
    engines = {"a": measured(table, "A", level="16"), "b": measured(table, "B", level="4")}
    lines = table.report(engines, conditions).table().splitlines()
    assert lines[0] == "| engine | claim to canary | concurrency | 4 | 16 |"
    assert lines[2] == "| A | 2 s | direct, tokens/s | – | 100 |"
    assert lines[3] == "|  |  | through Pilotlight | – | 99 |"
    assert lines[5].startswith("| B | 2 s |")


def test_the_first_start_does_not_count(table: Any) -> None:
    assert measured(table, "A").start.point == 2.0


@pytest.mark.parametrize(("through", "code"), [(97.0, 0), (96.9, 1)])
def test_one_missed_ratio_fails_the_table(
    table: Any, conditions: Any, tmp_path: Path, through: float, code: int
) -> None:
    engines = {"good": measured(table, "Good"), "other": measured(table, "Other", through)}
    assert publish(table, conditions, tmp_path / "engines.json", **engines) == code
    assert ("MISSED" in table.report(engines, conditions).table()) is bool(code)
