"""Reports that outlive the program: written, read, refused by name, and published as a schema."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest

from bench.numbers.test_compare import SLO, WORK
from bench.numbers.timings import CLOSED, called, noisy
from pilotlight.bench.files import decode, encode, read, write
from pilotlight.bench.machine_facts import machine_facts, versions
from pilotlight.bench.report import FORMAT, Predicted, Report
from pilotlight.bench.schema import schema
from pilotlight.bench.subjects.subject import ColdStart, Subject
from pilotlight.bench.summarize import summarize
from pilotlight.bench.tested import tested as facts_of
from pilotlight.errors import BenchError
from pilotlight.machine import Gpu, Machine
from pilotlight.metrics import Metrics, Spread
from pilotlight.planner import reported
from pilotlight.planner.requirements import Lengths

MACHINE = Machine("A CPU", 2, 8 << 30, (Gpu(0, "A GPU", 1 << 30),), frozenset({"avx2"}))


def whole() -> Report:
    return Report(
        made_at="2026-11-20T15:00:00+00:00",
        subject=called("smollm"),
        workload=WORK,
        slo=SLO,
        stages=(summarize([noisy(1), noisy(2)], CLOSED, SLO),),
        machine=machine_facts(MACHINE),
        versions=versions(),
        predicted=Predicted(plan="first", metrics=Metrics(ttft_ms=Spread(1, 1, 2))),
    )


def test_what_is_written_is_read(tmp_path: Path) -> None:
    write(whole(), tmp_path / "report.json")
    assert read(tmp_path / "report.json") == (whole(),)


def test_a_long_run_stays_a_small_file() -> None:
    report = whole()
    assert len(report.stage.columns) == 400
    assert len(encode(report)) < 120_000


@pytest.mark.parametrize("found", ["pilotlight-report-2", "pilotlight-plan-1", 7])
def test_another_version_is_refused_by_name(found: object) -> None:
    tree = {**json.loads(encode(whole())), "format": found}
    with pytest.raises(BenchError) as caught:
        decode(json.dumps(tree).encode(), "old.json")
    assert repr(found) in caught.value.message
    assert FORMAT in caught.value.message


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"stages": "none"}, "stages"),
        ({"chosen": 3}, "stage 3 of 1"),
        ({"stages": []}, "stage 0 of 0"),
    ],
)
def test_a_broken_report_says_where(change: dict[str, Any], said: str) -> None:
    tree = {**json.loads(encode(whole())), **change}
    with pytest.raises(BenchError, match=said):
        decode(json.dumps(tree).encode(), "broken.json")


@pytest.mark.parametrize(
    ("data", "said"), [(b"{", "not JSON"), (b"[1]", "a list"), (b'{"colour": 1}', "colour")]
)
def test_no_report_at_all(data: bytes, said: str) -> None:
    with pytest.raises(BenchError, match=said):
        decode(data, "some.json")


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(BenchError, match="No such file"):
        read(tmp_path / "none.json")


def test_plans_check_and_learn_read_a_report() -> None:
    (found,) = reported.read(json.loads(encode(whole())))
    assert found.tool == "pilotlight"
    assert found.metrics == whole().stage.metrics
    assert found.lengths == Lengths(input_tokens=10, output_tokens=16)
    assert found.concurrency == 4
    assert found.request_ms == pytest.approx(400, rel=0.02)


def test_the_published_schema_is_that_of_the_types() -> None:
    published = Path(__file__).parents[3] / "docs" / "report.schema.json"
    assert json.loads(published.read_text()) == json.loads(json.dumps(schema())), (
        "make it anew: python -m pilotlight.bench.schema > docs/report.schema.json"
    )


def test_the_schema_tells_units_and_meanings() -> None:
    numbers = schema()["$defs"]["Numbers"]["properties"]
    assert "From when the request was due" in numbers["ttft_ms"]["description"]
    assert "serverless study" in numbers["study_tokens_per_s"]["description"]
    assert set(msgspec.to_builtins(whole().stage.numbers)) == set(numbers)


def test_no_secret_of_a_subject_goes_into_a_report() -> None:
    subject = Subject(
        name="mine", url="https://me:hunter2@host:8080/base?token=hunter2", model="m",
        key="hunter2", pid=17, cold_start=ColdStart(load_ms=5.0),
    )  # fmt: skip
    found = facts_of(subject)
    assert found.url == "https://host:8080/base"
    assert found.cold_start == ColdStart(load_ms=5.0)
    assert "hunter2" not in repr(found)


def test_versions_name_what_is_installed() -> None:
    assert set(versions(("pilotlight", "no-such-package"))) == {"python", "pilotlight"}
