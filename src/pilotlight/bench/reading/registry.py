"""Which tool wrote a file, and who reads it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from pilotlight.bench.reading import aiperf, guidellm, inference_perf, vllm
from pilotlight.bench.reading.stated import Tree
from pilotlight.bench.report import Report, Stage, Tested, Tool
from pilotlight.errors import BenchError
from pilotlight.planner import reported


@dataclass(frozen=True, slots=True)
class Reader:
    tested: Callable[[Tree], Tested]
    stages: Callable[[Tree], Iterator[Stage]]


READERS: Mapping[Tool, Reader] = {
    "vllm": Reader(vllm.tested, vllm.stages),
    "guidellm": Reader(guidellm.tested, guidellm.stages),
    "aiperf": Reader(aiperf.tested, aiperf.stages),
    "inference-perf": Reader(inference_perf.tested, inference_perf.stages),
}


def reports_of(document: Mapping[str, Any], source: str) -> tuple[Report, ...]:
    """Who wrote it and its metrics are told as the planner tells them.

    Raises:
        PlanError: no known tool writes such a file.
        BenchError: it is a known tool's, but broken.
    """
    runs = reported.read(document)
    reader = READERS.get(runs[0].tool) if runs else None
    if reader is None:
        raise BenchError(
            f"{source} has figures but no stages to show", hint="name a report as it was written"
        )
    try:
        stages = tuple(
            _told(stage, run) for stage, run in zip(reader.stages(document), runs, strict=True)
        )
        subject = reader.tested(document)
    except (KeyError, TypeError, AttributeError) as error:
        raise BenchError(
            f"{source} looks like {runs[0].tool}'s, but {error!r} is wrong in it",
            hint="name the file as the tool wrote it",
        ) from error
    return (Report(tool=runs[0].tool, subject=subject, stages=stages),)


def _told(stage: Stage, run: reported.Reported) -> Stage:
    """With what the planner reads of the same run."""
    numbers = replace(stage.numbers, concurrency=run.concurrency)
    return replace(stage, metrics=run.metrics, numbers=numbers)
