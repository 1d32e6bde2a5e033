"""The starting study's table from a report: its own figures come out where its own go in."""

from __future__ import annotations

import pytest

from pilotlight.catalog.platform import GIB
from pilotlight.deploy.size import Size
from pilotlight.deploy.study_table import HEADER, study_table
from pilotlight.planner.cost.study import CLOUD_RUN, LAMBDA

from .reports import report

SIZE = Size(vcpus=4, memory_bytes=6 * GIB, disk_bytes=1)


def test_the_studys_own_speed_gives_the_studys_own_prices() -> None:
    rows = study_table(report(study=LAMBDA.total_tokens_per_s), SIZE)
    published, _, mine = rows[0], rows[1], rows[2]
    assert (mine.platform, mine.at_once) == ("AWS Lambda", 1)
    assert mine.usd_per_s == published.usd_per_s == pytest.approx(LAMBDA.printed_usd_per_s)
    assert mine.usd_per_token == pytest.approx(LAMBDA.printed_usd_per_token, rel=1e-3)
    assert mine.usd_per_answer == pytest.approx(LAMBDA.printed_usd_per_answer, rel=1e-3)
    cloud = study_table(report(study=CLOUD_RUN.total_tokens_per_s), SIZE)[3]
    assert cloud.usd_per_s == pytest.approx(CLOUD_RUN.usd_per_s)
    assert cloud.usd_per_token == pytest.approx(CLOUD_RUN.usd_per_token)


def test_batched_costs_a_token_as_much_less_as_it_is_faster() -> None:
    rows = study_table(report(study=10.0), SIZE)
    one, batched = rows[3], rows[5]
    assert (batched.platform, batched.at_once, batched.tokens_per_s) == ("Cloud Run", 8, 80.0)
    assert batched.usd_per_s == one.usd_per_s
    assert batched.usd_per_token == pytest.approx(one.usd_per_token / 8)
    assert "Lambda doesn't do" in rows[4].note
    assert batched.note == ""
    assert all(len(row.cells) == len(HEADER) for row in rows)


def test_a_container_is_priced_as_large_as_it_is() -> None:
    half = Size(vcpus=2, memory_bytes=3 * GIB, disk_bytes=1)
    rows = study_table(report(study=10.0), half)
    assert rows[2].usd_per_s == pytest.approx(3 * LAMBDA.gib_usd_per_s)
    assert rows[3].usd_per_s == pytest.approx(2 * 0.000024 + 3 * 0.0000025)


def test_a_load_that_answered_nothing_has_no_row() -> None:
    assert len(study_table(report(study=None), SIZE)) == 2
