"""What a benchmark found: a table to read and a JSON file to compare with."""

from __future__ import annotations

import datetime
import importlib.metadata
import json
import platform
import sys
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.spread import Spread
from pilotlight.machine import survey

RESULTS = Path(__file__).parent / "results"


@dataclass(frozen=True, slots=True)
class Goal:
    """A bound that a figure must keep: at most or at least `bound`."""

    bound: float
    at_least: bool = False

    def met(self, value: float) -> bool:
        return value >= self.bound if self.at_least else value <= self.bound

    def __str__(self) -> str:
        return f"{'≥' if self.at_least else '≤'} {self.bound:g}"


@dataclass(frozen=True, slots=True)
class Figure:
    """One line of the table. Without a goal it is an absolute figure of this machine only."""

    name: str
    unit: str
    value: Spread | float
    goal: Goal | None = None

    @property
    def point(self) -> float:
        return self.value.median if isinstance(self.value, Spread) else self.value

    @property
    def verdict(self) -> str:
        if self.goal is None:
            return "this machine's"
        return f"{self.goal}: {'met' if self.goal.met(self.point) else 'MISSED'}"

    def as_json(self) -> dict[str, Any]:
        value = asdict(self.value) if isinstance(self.value, Spread) else self.value
        goal = None if self.goal is None else {"bound": str(self.goal), "met": self.met}
        return {"name": self.name, "unit": self.unit, "value": value, "goal": goal}

    @property
    def met(self) -> bool:
        return self.goal is None or self.goal.met(self.point)


@dataclass(frozen=True, slots=True)
class Report:
    """`raw` holds the rounds behind the figures."""

    benchmark: str
    figures: tuple[Figure, ...]
    raw: Mapping[str, Any] = field(default_factory=dict)
    versions: Mapping[str, str] = field(default_factory=dict)

    def table(self) -> str:
        rows = [(f.name, f"{_shown(f.value)} {f.unit}", f.verdict) for f in self.figures]
        widths = [max(len(row[column]) for row in rows) for column in range(3)]
        lines = [f"{self.benchmark} on {survey().fingerprint}"]
        lines += ["  ".join(map(str.ljust, row, widths)).rstrip() for row in rows]
        return "\n".join(lines)

    def as_json(self) -> dict[str, Any]:
        machine = survey()
        return {
            "benchmark": self.benchmark,
            "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
            "command": " ".join(["python -m", f"benchmarks.{self.benchmark}", *sys.argv[1:]]),
            "hardware": {
                "cpu": machine.cpu,
                "cores": machine.cores,
                "ram_bytes": machine.ram_bytes,
                "gpus": [gpu.name for gpu in machine.gpus],
                "kernel": platform.release(),
            },
            "versions": {**installed(("pilotlight", "uvloop", "httptools")), **self.versions},
            "figures": [figure.as_json() for figure in self.figures],
            "raw": self.raw,
        }

    def publish(self, path: Path | None) -> int:
        """Print the table, write the JSON; 1 when a goal was missed, for the exit code."""
        path = path or RESULTS / f"{self.benchmark}.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(self.as_json(), indent=1, ensure_ascii=False) + "\n")
        print(self.table())
        print(f"written to {path}")
        return 0 if all(figure.met for figure in self.figures) else 1


def installed(names: Iterable[str]) -> dict[str, str]:
    return {"python": platform.python_version()} | {
        name: importlib.metadata.version(name) for name in names
    }


def _shown(value: Spread | float) -> str:
    return str(value) if isinstance(value, Spread) else f"{value:.4g}"
