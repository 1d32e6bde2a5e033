"""Image, fetch or mount: seconds and dollars by the catalog's rows."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pilotlight.catalog import catalog
from pilotlight.deploy.image.choices import choices, text
from pilotlight.deploy.size import Size

GIB = 2**30
SIZE = Size(vcpus=2, memory_bytes=6 * GIB, disk_bytes=2 * GIB)
ROWS = catalog.load(()).platforms
LAMBDA = ROWS["lambda-x86"]


def test_lambda_by_hand() -> None:
    image, fetch, mount = choices(LAMBDA, SIZE, model_bytes=750_000_000, image_bytes=GIB)
    # 75 MB/s: ten seconds behind a second of boot, which isn't billed; 6 GiB at the rate of a GiB.
    assert image.start_s == pytest.approx(11)
    assert image.usd_per_start == pytest.approx(10 * 6 * 0.0000166667)
    assert (image.disk_usd_per_hour, mount.disk_usd_per_hour) == (0, 0)
    paid_gib = 750_000_000 / GIB - 0.5
    assert fetch.disk_usd_per_hour == pytest.approx(paid_gib * 0.0000000309 * 3600)
    assert (image.pushed_bytes, fetch.pushed_bytes) == (750_000_000, 0)


@pytest.mark.parametrize(("over_bytes", "fits"), [(-1, True), (0, True), (1, False)])
def test_the_image_limit_counts_all_of_the_image(over_bytes: int, fits: bool) -> None:
    model_bytes = 10 * GIB - GIB + over_bytes
    image, fetch, _ = choices(LAMBDA, SIZE, model_bytes=model_bytes, image_bytes=GIB)
    assert (image.problem is None) is fits
    assert fetch.problem is None


@pytest.mark.parametrize(("over_bytes", "fits"), [(-1, True), (0, True), (1, False)])
def test_the_disk_limit_counts_what_is_fetched(over_bytes: int, fits: bool) -> None:
    _, fetch, mount = choices(LAMBDA, SIZE, model_bytes=10 * GIB + over_bytes, image_bytes=0)
    assert (fetch.problem is None) is fits
    assert mount.problem is None


@given(st.integers(1, 10**12), st.integers(1, 10**12), st.sampled_from(sorted(ROWS)))
def test_more_bytes_never_start_sooner_or_cost_less(one: int, other: int, name: str) -> None:
    small, large = sorted((one, other))
    for less, more in zip(
        choices(ROWS[name], SIZE, model_bytes=small, image_bytes=0),
        choices(ROWS[name], SIZE, model_bytes=large, image_bytes=0),
        strict=True,
    ):
        assert less.start_s <= more.start_s
        assert (less.usd_per_start or 0) <= (more.usd_per_start or 0)
        assert less.disk_usd_per_hour <= more.disk_usd_per_hour


def test_what_isnt_known_is_not_said() -> None:
    gpu = Size(vcpus=4, memory_bytes=16 * GIB, disk_bytes=0, gpu="L4", gpus=1)
    found = choices(ROWS["cloud-run-gpu"], gpu, model_bytes=GIB, image_bytes=0)
    assert all(one.usd_per_start is None for one in found)
    assert "$" not in text(found)


def test_a_line_each() -> None:
    found = choices(LAMBDA, SIZE, model_bytes=750_000_000, image_bytes=GIB)
    lines = text(found).splitlines()
    assert [line.split()[1] for line in lines] == ["image", "fetch", "mount"]
    assert "another model pushes" in lines[0]
