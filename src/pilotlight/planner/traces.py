"""Recorded traffic: when requests came and how long they were, from the published formats."""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from pilotlight.errors import PlanError


@dataclass(frozen=True, slots=True)
class Arrival:
    """`at_s` counts from the trace's first request.

    Prompts whose first `blocks` are alike start with the same text; empty where nobody recorded.
    """

    at_s: float
    input_tokens: int
    output_tokens: int
    blocks: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Trace:
    """Arrivals by time, the first at 0."""

    arrivals: tuple[Arrival, ...]

    @property
    def duration_s(self) -> float:
        """From the first arrival to one mean gap after the last, so that rates come out right."""
        last_s, count = self.arrivals[-1].at_s, len(self.arrivals)
        return last_s * count / (count - 1) if count > 1 and last_s > 0 else 3600.0

    @property
    def input_tokens(self) -> float:
        return sum(one.input_tokens for one in self.arrivals) / len(self.arrivals)

    @property
    def output_tokens(self) -> float:
        return sum(one.output_tokens for one in self.arrivals) / len(self.arrivals)


def parse_trace(lines: Iterable[str]) -> Trace:
    """Azure's LLM inference traces (CSV) or Mooncake's (JSON lines), told by the first line.

    Raises PlanError: no such format, a line that is wrong, or no request in it.
    """
    numbered = ((number, line) for number, line in enumerate(lines, 1) if line.strip())
    first = next(numbered, None)
    if first is None:
        raise PlanError("the trace is empty", hint=_FORMATS)
    reader = _mooncake if first[1].lstrip().startswith("{") else _azure
    arrivals = sorted(reader(first, numbered), key=lambda one: one.at_s)
    if not arrivals:
        raise PlanError("the trace has a heading and no request", hint=_FORMATS)
    start_s = arrivals[0].at_s
    return Trace(tuple(replace(one, at_s=one.at_s - start_s) for one in arrivals))


_FORMATS = (
    "give a CSV with TIMESTAMP,ContextTokens,GeneratedTokens (Azure) or lines of JSON with "
    "timestamp in ms, input_length and output_length (Mooncake)"
)
Numbered = tuple[int, str]


def _azure(first: Numbered, rest: Iterable[Numbered]) -> Iterator[Arrival]:
    names = [name.strip().lower() for name in next(csv.reader([first[1]]))]
    due = ("timestamp", "contexttokens", "generatedtokens")
    if missing := [name for name in due if name not in names]:
        raise PlanError(f"the trace's first line has no column {missing[0]!r}", hint=_FORMATS)
    columns = [names.index(name) for name in due]

    def read(line: str) -> Arrival:
        cells = next(csv.reader([line]))
        at, context, generated = (cells[column].strip() for column in columns)
        return _arrival(_seconds(at), float(context), float(generated))

    return _each(rest, read)


def _mooncake(first: Numbered, rest: Iterable[Numbered]) -> Iterator[Arrival]:
    def read(line: str) -> Arrival:
        entry: Mapping[str, Any] = json.loads(line)
        length = entry["input_length"], entry["output_length"]
        at_s, blocks = float(entry["timestamp"]) / 1000, tuple(map(int, entry.get("hash_ids", ())))
        return replace(_arrival(at_s, float(length[0]), float(length[1])), blocks=blocks)

    yield from _each([first], read)
    yield from _each(rest, read)


def _each(lines: Iterable[Numbered], read: Callable[[str], Arrival]) -> Iterator[Arrival]:
    for number, line in lines:
        try:
            yield read(line)
        except (ValueError, KeyError, IndexError, TypeError) as error:
            raise PlanError(
                f"line {number} of the trace is wrong: {line.strip()[:80]!r} "
                f"({type(error).__name__}: {error})",
                hint=_FORMATS,
            ) from None


def _arrival(at_s: float, input_tokens: float, output_tokens: float) -> Arrival:
    if not math.isfinite(at_s):
        raise ValueError("the time is no number")
    if not (input_tokens >= 0 and output_tokens >= 0):
        raise ValueError("tokens below zero")
    # A request has a prompt and an answer; traces count some empty ones as 0.
    return Arrival(at_s, max(1, int(input_tokens)), max(1, int(output_tokens)))


def _seconds(text: str) -> float:
    """Of a point in time, as a date or as a number of seconds."""
    try:
        return float(text)
    except ValueError:
        moment = datetime.fromisoformat(text)
    # Only differences count; a fixed zone keeps them clear of a local clock's jumps.
    return (moment.replace(tzinfo=None) - datetime(2000, 1, 1)).total_seconds()
