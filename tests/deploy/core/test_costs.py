"""The bill by the hour, against the platforms' rates multiplied by hand."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pilotlight.catalog.platform import GIB
from pilotlight.deploy.costs import Hourly, hourly
from pilotlight.deploy.rented import rented
from pilotlight.deploy.resolve import resolve
from pilotlight.deploy.size import Size
from pilotlight.deploy.standing import standing
from pilotlight.deploy.target import Status

from .fake_target import FakeTarget
from .made import facts, known, planned, released
from .reports import report

SMALL = Size(vcpus=2, memory_bytes=4 * GIB, disk_bytes=GIB // 2)


def bill(platform: str, size: Size = SMALL, minimum: int = 0) -> Hourly | None:
    release = released()
    scaling = replace(release.scaling, minimum=minimum)
    found = rented(replace(release, size=size, scaling=scaling), platform, facts())
    return None if found is None else hourly(replace(release, size=size, scaling=scaling), found)


@pytest.mark.parametrize(
    ("platform", "size", "minimum", "busy", "idle", "standby"),
    [
        ("lambda-x86", SMALL, 0, 4 * 0.0000166667, 0, 0),
        ("lambda-x86", SMALL, 2, 4 * 0.0000166667, 0, 2 * 4 * 0.0000041667),
        ("lambda-arm", SMALL, 1, 4 * 0.0000133334, 0, 4 * 0.0000033334),
        ("lambda-x86", replace(SMALL, disk_bytes=10 * GIB), 0,
         4 * 0.0000166667 + 9.5 * 0.0000000309, 0, 0),
        ("cloud-run-request", SMALL, 3, 2 * 0.000024 + 4 * 0.0000025, 0,
         3 * (2 * 0.0000025 + 4 * 0.0000025)),
        ("cloud-run-instance", SMALL, 1, 2 * 0.000018 + 4 * 0.000002,
         2 * 0.000018 + 4 * 0.000002, 2 * 0.000018 + 4 * 0.000002),
        ("cloud-run-gpu", Size(vcpus=4, memory_bytes=16 * GIB, disk_bytes=1, gpu="l4", gpus=1), 1,
         4 * 0.000018 + 16 * 0.000002 + 0.0001867, 4 * 0.000018 + 16 * 0.000002 + 0.0001867,
         4 * 0.000018 + 16 * 0.000002 + 0.0001867),
        ("gce", replace(SMALL, vcpus=8), 0, (0.3628 + 100 * 0.10 / 730) / 3600,
         (0.3628 + 100 * 0.10 / 730) / 3600, 0),
    ],
)  # fmt: skip
def test_an_hour_costs_what_the_platform_says(
    platform: str, size: Size, minimum: int, busy: float, idle: float, standby: float
) -> None:
    found = bill(platform, size, minimum)
    assert found is not None
    assert found.busy_usd == pytest.approx(busy * 3600)
    assert found.idle_usd == pytest.approx(idle * 3600)
    assert found.standby_usd == pytest.approx(standby * 3600)
    assert found.standby == minimum
    assert found.source == facts().platforms[platform].source
    assert found.arithmetic


def test_a_size_that_is_sold_has_its_name_and_any_other_says_what_it_is() -> None:
    exact = rented(released("vcpus=3.47", "memory=6GiB"), "lambda-x86", facts())
    between = rented(released("vcpus=3", "memory=5GiB"), "cloud-run-request", facts())
    assert exact is not None
    assert between is not None
    assert exact.offer.name == "lambda-x86-6144"
    assert between.offer.name == "3 vCPU 5 GiB"
    assert (between.offer.vcpus, between.offer.memory_gib) == (3, 5)


@pytest.mark.parametrize(
    ("platform", "overrides"),
    [
        ("nowhere", ()),
        ("cloud-run-request", ("gpu=l4",)),
        ("cloud-run-gpu", ("gpu=h100-sxm",)),
        ("gce", ("memory=9000GB",)),
        ("own", ()),
    ],
)
def test_what_nobody_knows_is_absent(platform: str, overrides: tuple[str, ...]) -> None:
    assert rented(released(*overrides), platform, facts()) is None


def test_a_machine_is_the_cheapest_that_holds_it_unless_the_plan_chose_one() -> None:
    found = rented(released("vcpus=8", "memory=16GiB"), "ec2", facts())
    assert found is not None
    assert found.offer.name == "c7i.2xlarge"
    arm = rented(released("vcpus=8", "memory=16GiB", "architecture=arm64"), "ec2", facts())
    assert arm is not None
    assert arm.offer.name == "c7g.2xlarge"
    release = resolve(FakeTarget(), planned("m7i.2xlarge"), known())
    chosen = rented(release, "ec2", facts())
    assert chosen is not None
    assert chosen.offer.name == "m7i.2xlarge"
    larger = resolve(FakeTarget(), planned("m7i.2xlarge"), known(), ("memory=60GiB",))
    other = rented(larger, "ec2", facts())
    assert other is not None
    assert other.offer.name == "m7i.4xlarge"


@given(
    platform=st.sampled_from(["lambda-x86", "cloud-run-request", "cloud-run-instance"]),
    vcpus=st.floats(0.5, 8),
    gib=st.floats(0.5, 32),
    minimum=st.integers(0, 5),
)
def test_it_grows_with_the_size_and_with_what_is_kept_ready(
    platform: str, vcpus: float, gib: float, minimum: int
) -> None:
    size = Size(vcpus=vcpus, memory_bytes=int(gib * GIB), disk_bytes=2**29)
    found = bill(platform, size, minimum)
    double = replace(size, vcpus=2 * vcpus, memory_bytes=2 * size.memory_bytes)
    larger, more = bill(platform, double, minimum), bill(platform, size, minimum + 1)
    assert found is not None
    assert larger is not None
    assert more is not None
    assert larger.busy_usd == pytest.approx(2 * found.busy_usd)
    assert found.idle_usd <= found.busy_usd
    assert more.standby_usd - found.standby_usd == pytest.approx(more.standby_usd / (minimum + 1))
    assert (found.standby_usd == 0) == (minimum == 0)


def test_it_stands_with_its_bill_its_speed_and_what_was_predicted() -> None:
    release = resolve(FakeTarget(), planned("cloud-run-request-2x4"), known())
    status = Status(state="ready", url="http://a")
    found = standing(FakeTarget(), release, status, facts(), report(study=200.0))
    assert release.plan is not None
    assert found.hourly is not None
    assert found.hourly.offer == "cloud-run-request-2x4"
    assert [each.load for each in found.measured] == ["1 at once", "8 at once"]
    first = found.measured[0]
    assert (first.total_tokens_per_s, first.usd_per_total_mtok) == (100.0, 1.5)
    assert found.cold_start_ms == 1234.0
    assert found.predicted is not None
    assert found.predicted.usd_per_output_mtok == release.plan.money.usd_per_mtok


def test_without_a_report_a_plan_or_a_price_nothing_is_made_up() -> None:
    found = standing(FakeTarget(row="own"), released(), Status(state="absent"), facts(), None)
    assert (found.hourly, found.measured, found.measured_at) == (None, (), None)
    assert (found.predicted, found.cold_start_ms) == (None, None)
