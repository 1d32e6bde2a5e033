"""What an install does, as data: named commands with places to fill in, and what to check."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources

WHEELS = "{wheels}"
"""An argument of its own: replaced by every file in the work directory's wheels."""


@dataclass(frozen=True, slots=True)
class Step:
    """One command. `{base}`, `{tools}`, `{root}`, `{work}` and `{locks}` stand for paths."""

    name: str
    argv: tuple[str, ...]
    kept: bool = True
    """Its result lies in the work directory and outlives an interruption. What is written
    to the root doesn't: a package half-written there looks installed to pip."""

    items: int | None = None
    """How many things it will say that it works on; None when only it knows."""


@dataclass(frozen=True, slots=True)
class Plan:
    """How one engine is made for one machine; a function of both, so it can be shown and tested."""

    name: str
    version: str
    variant: str
    steps: tuple[Step, ...]
    verify: tuple[str, ...]
    """The command that shows it works: it must succeed and say `version` or a version of its own"""

    room_bytes: int
    """Disk taken at the worst moment: downloads, build and result together."""

    locks: tuple[str, ...]
    key: tuple[str, ...]
    """What else makes two environments differ: the Python, the processor."""

    system_info: tuple[str, ...] = ()
    """The command that says which instruction sets were compiled in, whatever its exit code."""

    notes: tuple[str, ...] = ()
    """What the user should know of the choice that was made."""

    @property
    def digest(self) -> str:
        """Names the environment: it changes with whatever would make another one."""
        steps = [[step.name, *step.argv] for step in self.steps]
        texts = [lock(name) for name in self.locks]
        whole = json.dumps([self.name, self.version, self.variant, steps, self.key, texts])
        return hashlib.sha256(whole.encode()).hexdigest()[:16]


def lock(name: str) -> str:
    """The text of one lock: exact versions and hashes, as pip reads them."""
    return (resources.files(__package__) / "locks" / f"{name}.lock").read_text()


def entries(name: str) -> list[str]:
    """The ``package==version`` of each line of a lock; markers may exclude each other."""
    lines = lock(name).splitlines()
    return [line.split(" ")[0] for line in lines if line[:1].strip() and "==" in line]


def pins(name: str) -> Mapping[str, str]:
    """Version by package of one lock."""
    return dict(entry.split("==", 1) for entry in entries(name))


def render(plan: Plan) -> str:
    """The plan as text, for people and for golden files."""
    lines = [f"{plan.name} {plan.version} ({plan.variant}), {plan.room_bytes // 10**6} MB of room"]
    lines += [f"note: {note}" for note in plan.notes]
    for number, step in enumerate(plan.steps, 1):
        kept = "" if step.kept else " (again after an interruption)"
        lines += [f"{number}. {step.name}{kept}", *(f"    {argument}" for argument in step.argv)]
    lines += ["verify", *(f"    {argument}" for argument in plan.verify)]
    return "\n".join(lines) + "\n"
