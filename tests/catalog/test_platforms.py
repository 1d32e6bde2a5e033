"""Platforms and their offers: what ships is priced and within the platforms' own limits."""

from __future__ import annotations

from pathlib import Path

import pytest

from pilotlight.catalog import load
from pilotlight.catalog.platform import Rentable, rentables
from pilotlight.errors import ConfigError

CATALOG = load()
THERE = rentables(CATALOG.platforms, CATALOG.offers)


def test_every_platform_has_offers_of_known_hardware() -> None:
    assert {there.platform.name for there in THERE} == set(CATALOG.platforms)
    assert {there.offer.cpu for there in THERE} <= set(CATALOG.cpus)
    assert {there.offer.gpu for there in THERE} - {None} <= set(CATALOG.gpus)


@pytest.mark.parametrize("there", THERE, ids=lambda there: there.offer.name)
def test_offers_are_within_their_platforms_limits(there: Rentable) -> None:
    limits, offer = there.platform.limits, there.offer
    assert offer.memory_gib <= (limits.memory_gib or offer.memory_gib)
    assert offer.vcpus <= (limits.vcpus or offer.vcpus)
    if limits.gib_per_vcpu:
        assert offer.memory_gib <= limits.gib_per_vcpu * offer.vcpus


def test_prices_per_gpu_hour_are_those_of_the_reference() -> None:
    hour = {
        there.offer.name: (there.offer.usd_per_hour or 0) + 3600 * (there.offer.gpu_usd_per_s or 0)
        for there in THERE
    }
    assert hour["p5.48xlarge"] == 55.04
    assert hour["a3-highgpu-1g"] == 10.98
    assert hour["runpod-h100"] == 3.49
    assert hour["modal-h100"] == pytest.approx(3.95, abs=0.01)
    assert hour["g2-standard-96"] / hour["g2-standard-24"] == pytest.approx(4, abs=0.01)


def write(path: Path, text: str) -> Path:
    path.write_text(text)
    return path


MINE = """
offers:
  my-box:
    platform: own
    vcpus: 16
    memory_gib: 32
    cpu: epyc-9554
    capital_usd: 900
    years: 4
    load_w: 180
    source: my receipt
    as_of: 2026-11-20
"""


def test_a_machine_of_ones_own_is_added_with_its_tariff(tmp_path: Path) -> None:
    tariff = """
platforms:
  own:
    billing: {kind: owned, usd_per_kwh: 0.31}
    source: my bill
    as_of: 2026-11-20
"""
    catalog = load([write(tmp_path / "mine.yaml", MINE + tariff)])
    mine = rentables(catalog.platforms, catalog.offers)[-1]
    assert mine.offer.name == "my-box"
    assert mine.platform.billing.usd_per_kwh == 0.31  # type: ignore[union-attr]
    assert mine.platform.private, "the rest of the row is kept"


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (("capital_usd: 900", "capital_usd: -900"), r"capital_usd is '-900', expected at least 0"),
        (("years: 4", "years: 0"), r"years is '0', expected more than 0"),
        (("memory_gib: 32", "gpus: 2\n    memory_gib: 32"), r"gpus"),
        (("vcpus: 16", "vcpus: many"), r"vcpus is 'many', expected a number"),
    ],
)
def test_a_bad_offer_names_file_line_and_field(
    tmp_path: Path, change: tuple[str, str], said: str
) -> None:
    path = write(tmp_path / "mine.yaml", MINE.replace(*change))
    with pytest.raises(ConfigError, match=said) as caught:
        load([path])
    assert caught.value.message.startswith(f"{path}:")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (("platform: own", "platform: mars"), r"platform 'mars' that isn't there"),
        (("capital_usd: 900\n", "usd_per_hour: 1\n"), r"'my-box' on 'own' has a 'usd_per_hour'"),
        (("    years: 4\n", ""), r"has no 'years'"),
        (("platform: own", "platform: gce"), r"'my-box' on 'gce' has no 'usd_per_hour'"),
    ],
)
def test_an_offer_that_cant_be_priced_says_why(
    tmp_path: Path, change: tuple[str, str], said: str
) -> None:
    catalog = load([write(tmp_path / "mine.yaml", MINE.replace(*change))])
    with pytest.raises(ConfigError, match=said):
        rentables(catalog.platforms, catalog.offers)
