"""The file of a search: every trial as it was measured, and the verdict when there is one.

It is written after each trial, so that a search that was broken off goes on where it was.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import msgspec

from pilotlight.durable import write_text
from pilotlight.errors import BenchError
from pilotlight.tune.search import Verdict
from pilotlight.tune.trial import Tried

FORMAT: Literal["pilotlight-tune-1"] = "pilotlight-tune-1"


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """`conditions` is what trials must have in common to be compared."""

    format: Literal["pilotlight-tune-1"] = FORMAT
    conditions: Mapping[str, Any]
    trials: Sequence[Tried] = field(default_factory=list)
    verdict: Verdict | None = None


def write(evidence: Evidence, path: Path) -> None:
    """Raises OSError."""
    write_text(path, msgspec.json.format(msgspec.json.encode(evidence)).decode(), mode=0o644)


def read(path: Path) -> Evidence | None:
    """None where there is no file.

    Raises:
        BenchError: it is something else, or of another version.
    """
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise BenchError(
            f"can't read {str(path)!r}: {error.strerror}", hint="give another --report"
        ) from None
    _check_format(data, path)
    try:
        return msgspec.json.decode(data, type=Evidence)
    except msgspec.ValidationError as error:
        raise BenchError(
            f"{str(path)!r} is no evidence of a search: {error}", hint="give another --report"
        ) from None


def _check_format(data: bytes, path: Path) -> None:
    try:
        tree = msgspec.json.decode(data)
    except msgspec.DecodeError as error:
        raise BenchError(
            f"{str(path)!r} isn't JSON: {error}", hint="give another --report"
        ) from None
    found = tree.get("format") if isinstance(tree, dict) else None
    if found != FORMAT:
        raise BenchError(
            f"{str(path)!r} has the format {found!r}, expected {FORMAT!r}",
            hint="give another --report: the evidence of a search is written there",
        )


def matching(evidence: Evidence | None, conditions: Mapping[str, Any], path: Path) -> list[Tried]:
    """The trials that still count.

    Raises:
        BenchError: they were measured under other conditions.
    """
    if evidence is None:
        return []
    now = msgspec.to_builtins(conditions)
    for name, value in now.items():
        if evidence.conditions.get(name) != value:
            raise BenchError(
                f"{str(path)!r} was measured with {name} {evidence.conditions.get(name)!r}, "
                f"and now it is {value!r}",
                hint="give another --report, or remove that one",
            )
    return list(evidence.trials)
