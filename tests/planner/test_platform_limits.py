"""What platforms refuse, how long they take to start, and how they may be scaled."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from pilotlight.catalog import load
from pilotlight.catalog.platform import GIB, rentables
from pilotlight.planner.coldstart import cold_start
from pilotlight.planner.cost.refusal import Demand, refusals
from pilotlight.planner.cost.serving import scalings

CATALOG = load()
THERE = {one.offer.name: one for one in rentables(CATALOG.platforms, CATALOG.offers)}
MODEST = Demand(
    memory_bytes=GIB,
    image_bytes=2 * GIB,
    request_s=30,
    output_tokens=500,
    concurrency=1,
    instances=1,
)


def test_a_modest_plan_is_refused_nowhere() -> None:
    assert [name for name, there in THERE.items() if refusals(there, MODEST)] == []


@pytest.mark.parametrize(
    ("offer", "change", "said"),
    [
        (
            "lambda-x86-2048",
            {"memory_bytes": 3 * GIB},
            "lambda-x86-2048 is 1.1 GB short of memory",
        ),
        (
            "lambda-x86-6144",
            {"request_s": 1204.0},
            "a request may take 20 min, and AWS Lambda, x86 ends it after 15 min",
        ),
        (
            "lambda-arm-6144",
            {"concurrency": 8},
            "AWS Lambda, Arm gives an instance 1 request at once, not 8",
        ),
        (
            "lambda-x86-6144",
            {"image_bytes": 12 * GIB},
            "an image of 12.9 GB is over AWS Lambda, x86's 10 GiB",
        ),
        ("lambda-x86-6144", {"output_tokens": 2e6}, "an answer of 400.0 MB is over 200 MiB"),
        (
            "own-desktop-4090",
            {"instances": 9},
            "it takes 9 instances, and own has 8",
        ),
    ],
)
def test_a_refusal_names_the_figure_and_the_limit(
    offer: str, change: dict[str, Any], said: str
) -> None:
    assert refusals(THERE[offer], replace(MODEST, **change)) == (said,)


def test_a_cold_start_adds_its_phases_up() -> None:
    found = cold_start(
        CATALOG.platforms["ec2"], model_bytes=5_000_000_000, engine_start_s=8, load_bytes_per_s=1e9
    )
    assert {phase.name: phase.seconds for phase in found.phases} == {
        "start an instance": 90,
        "fetch the model": 10,
        "start the engine": 8,
        "load the weights": 5,
    }
    assert (found.seconds, found.billed_s) == (113, 113)


def test_lambda_breaks_a_long_start_off_and_begins_again() -> None:
    platform = CATALOG.platforms["lambda-x86"]
    small = cold_start(platform, model_bytes=100_000_000, engine_start_s=1)
    large = cold_start(platform, model_bytes=1_500_000_000, engine_start_s=1)
    assert small.billed_s == pytest.approx(100 / 75 + 1)
    assert large.billed_s == pytest.approx(10 + 20 + 1)
    assert large.seconds == large.billed_s + 1, "the sandbox isn't billed"


@pytest.mark.parametrize(
    ("platform", "labels"),
    [
        ("lambda-x86", ["to-zero", "standby"]),
        ("cloud-run-request", ["to-zero", "standby"]),
        ("cloud-run-gpu", ["to-zero", "standby", "always-on"]),
        ("runpod", ["always-on"]),
        ("own", ["always-on"]),
        ("gce", ["to-zero", "always-on"]),
    ],
)
def test_platforms_scale_as_they_can(platform: str, labels: list[str]) -> None:
    assert [scaling.label for scaling in scalings(CATALOG.platforms[platform])] == labels
