"""Reports as files: written whole, read whole or refused by name."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec

from pilotlight import durable
from pilotlight.bench.reading.registry import reports_of
from pilotlight.bench.report import FORMAT, Report
from pilotlight.errors import BenchError, PlanError

MODE = 0o644


def encode(report: Report) -> bytes:
    return msgspec.json.encode(report)


def write(report: Report, path: Path) -> None:
    """Blocks for as long as the disk takes. Raises OSError."""
    durable.write_text(path, encode(report).decode() + "\n", MODE)


def read(path: Path) -> tuple[Report, ...]:
    """Ours, or what GuideLLM, vLLM bench, AIPerf or inference-perf wrote.

    Raises:
        BenchError: it isn't there, is no report, or one of another version.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise BenchError(
            f"{str(path)!r} can't be read: {error.strerror}", hint="name a report's JSON file"
        ) from error
    return decode(data, str(path))


def decode(data: bytes, source: str) -> tuple[Report, ...]:
    """As `read`; `source` is what an error calls it."""
    try:
        tree = msgspec.json.decode(data)
    except msgspec.DecodeError as error:
        raise BenchError(
            f"{source} is not JSON: {error}", hint="name a report as it was written"
        ) from None
    if not isinstance(tree, dict):
        raise BenchError(
            f"{source} holds a {type(tree).__name__}, expected an object with a report",
            hint="name a report as it was written",
        )
    if "format" in tree:
        return (_own(tree, source),)
    try:
        return reports_of(tree, source)
    except PlanError as error:
        raise BenchError(f"{source}: {error.message}", hint=error.hint) from error


def _own(tree: dict[str, Any], source: str) -> Report:
    if tree["format"] != FORMAT:
        raise BenchError(
            f"{source} holds format {tree['format']!r}, expected {FORMAT!r}",
            hint="read it with the version of Pilotlight that wrote it, or measure anew",
        )
    try:
        found = msgspec.convert(tree, Report)
    except msgspec.ValidationError as error:
        raise BenchError(f"{source} is no report: {error}", hint="measure anew") from None
    if not 0 <= found.chosen < len(found.stages):
        raise BenchError(
            f"{source} chose stage {found.chosen} of {len(found.stages)}", hint="measure anew"
        )
    return found
