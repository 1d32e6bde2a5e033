"""docs/costs.md says what the code does: its rules, its example, the study's arithmetic."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from pilotlight.catalog import load
from pilotlight.catalog.platform import rentables
from pilotlight.planner.cost.study import serverless_study

PAGE = (Path(__file__).parents[2] / "docs" / "costs.md").read_text()
CATALOG = load()


def test_the_studys_rows_are_on_the_page() -> None:
    for row in serverless_study():
        assert f"\n{row.arithmetic}\n" in PAGE


def test_every_platform_has_its_rule_on_the_page() -> None:
    table = [line for line in PAGE.splitlines() if line.startswith("| `")]
    assert {name for line in table for name in re.findall("`([^`]+)`", line.split("|")[1])} == set(
        CATALOG.platforms
    )


@pytest.mark.parametrize(
    ("platform", "granularity_s", "minimum_s"),
    [
        ("lambda-x86", 0.001, 0),
        ("lambda-arm", 0.001, 0),
        ("cloud-run-request", 0.1, 0),
        ("cloud-run-instance", 0.1, 60),
        ("cloud-run-gpu", 0.1, 60),
        ("azure-container-apps", 1, 0),
        ("modal", 1, 0),
        ("runpod-serverless", 1, 0),
        ("runpod", 1, 0),
        ("gce", 1, 60),
        ("ec2", 1, 60),
    ],
)
def test_rounding_is_as_the_page_says(
    platform: str, granularity_s: float, minimum_s: float
) -> None:
    billing = CATALOG.platforms[platform].billing
    assert getattr(billing, "granularity_s", None) == granularity_s
    assert getattr(billing, "minimum_s", 0) == minimum_s


def test_the_example_is_a_catalog_file(tmp_path: Path) -> None:
    example = PAGE.split("```yaml\n")[1].split("```")[0]
    path = tmp_path / "mine.yaml"
    path.write_text(example)
    catalog = load([path])
    mine = rentables(catalog.platforms, catalog.offers)[-1]
    assert (mine.offer.name, mine.offer.gpu) == ("basement", "rtx-3090")
    assert mine.offer.cpu in catalog.cpus
