"""`pilotlight deploy bench` of a served fake model: cold and warm apart, priced as it is billed."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from bench.command.conftest import ground, recipe
from deploy.core.fake_target import FakeTarget
from deploy.core.made import REF, plan_file
from pilotlight.bench.files import read
from pilotlight.bench.report import Report
from pilotlight.bench.subjects import Subject, serving
from pilotlight.bench.subjects.asking import Endpoint, ask
from pilotlight.bench.subjects.endpoint import is_cold
from pilotlight.deploy.remembered import Remembered

from .conftest import Call

QUICK = ("--requests", "6", "--warmup", "1", "--slo", "none")


@pytest.fixture(scope="module")
def fake(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Subject]:
    directory = tmp_path_factory.mktemp("deployed")
    with serving(recipe(directory, parallel=8, token_delay_ms=0.5), ground(directory)) as subject:
        yield subject


@pytest.fixture
def target(fake: Subject, monkeypatch: pytest.MonkeyPatch) -> FakeTarget:
    def cool() -> None:
        ask(Endpoint(fake.url), "/pilotlight/v1/stop", {"model": "fake"})
        while not is_cold(fake):
            pass

    made = FakeTarget(url=fake.url, cooled=cool)
    monkeypatch.setattr("pilotlight.deploy.registry.find", lambda name: made)
    return made


@pytest.fixture
def given(home: Path) -> tuple[str, ...]:
    file = home / "chat.yaml"
    file.write_text(
        "models: {fake: {ref: 'fake:m'}}\n"
        "deploy: {name: chat, image: a:1, memory: 6GiB, vcpus: 4, concurrency: 4}\n"
    )
    return ("fake", "-f", str(file))


def kept(home: Path) -> Report:
    (report,) = read(home / "data/pilotlight/deploy/reports/fake/chat/report.json")
    return report


def test_it_is_measured_where_it_runs_cold_first_then_alone_then_batched(
    call: Call, target: FakeTarget, given: tuple[str, ...], home: Path
) -> None:
    assert call("deploy", "apply", *given).exit_code == 0
    out = home / "mine.json"
    result = call("deploy", "bench", *given, *QUICK, "--cold", "2", "--table", "--out", str(out))
    assert result.exit_code == 0, result.output
    assert target.platform_.asked.count("cool") == 2

    report = kept(home)
    assert [stage.name for stage in report.stages] == ["1 at once", "4 at once"]
    assert [stage.numbers.completed for stage in report.stages] == [6, 6]
    assert report.subject.name == "chat on fake"
    assert report.subject.cold_start is not None
    assert report.subject.cold_start.first_token_ms is not None
    assert any(note.startswith("2 cold starts, to the first token in ms") for note in report.notes)
    assert all(stage.excluded.cold == 0 for stage in report.stages), "cold ones stand apart"
    assert read(out)[0].stages[0].numbers == report.stages[0].numbers
    assert (home / "data/pilotlight/deploy/reports/fake/chat/report.html").exists()

    for stage in report.stages:
        assert stage.costs is not None
        (way,) = stage.costs.ways
        assert (way.kind, way.name) == ("platform", "4 vCPU 6 GiB")
        served = stage.costs.served
        # To the next tenth of a second, half of which is lost in the mean.
        busy_s = served.busy_share * served.seconds + 0.05 * served.busy_spans
        usd = busy_s / served.requests * (4 * 0.000024 + 6 * 0.0000025) + 0.4e-6
        assert way.usd_per_request == pytest.approx(usd)
    assert "measured on Fake Cloud" in report.stages[0].costs.ways[0].note  # type: ignore[union-attr]

    table = [line.split() for line in result.stdout.splitlines() if line.startswith("Cloud Run")]
    assert [line[2] for line in table] == ["1", "1", "4"]
    measured = report.stages[1].numbers.study_tokens_per_s
    assert measured is not None
    assert float(table[2][3]) == pytest.approx(measured, rel=1e-3)
    assert table[2][4] == "0.00011100"

    standing = json.loads(call("deploy", "status", *given, "--json").stdout)
    assert [row["load"] for row in standing["measured"]] == ["1 at once", "4 at once"]
    assert standing["measured"][1]["usd_per_total_mtok"] > 0


def test_what_runs_is_left_alone_without_cold_starts(
    call: Call, target: FakeTarget, given: tuple[str, ...], home: Path
) -> None:
    call("deploy", "apply", *given)
    result = call("deploy", "bench", *given, *QUICK, "--cold", "0", "--concurrency", "2", "--json")
    assert result.exit_code == 0, result.output
    assert "cool" not in target.platform_.asked
    assert kept(home).subject.cold_start is None
    assert [stage["name"] for stage in json.loads(result.stdout)["stages"]] == ["2 at once"]


def test_what_was_measured_is_shown_even_where_it_cannot_be_kept(
    call: Call, target: FakeTarget, given: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(self: Remembered, report: Report) -> tuple[Path, ...]:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Remembered, "keep", full)
    call("deploy", "apply", *given)
    result = call("deploy", "bench", *given, *QUICK, "--cold", "0", "--concurrency", "2", "--json")
    assert result.exit_code == 1
    assert "error: No space left on device" in result.stderr
    assert [stage["name"] for stage in json.loads(result.stdout)["stages"]] == ["2 at once"]


def test_a_plan_says_what_to_ask_and_its_prediction_is_held_against_what_was_measured(
    call: Call, target: FakeTarget, home: Path
) -> None:
    (home / "plan.json").write_bytes(plan_file("cloud-run-request-2x4"))
    given = (
        "fake",
        "--plan",
        "plan.json",
        "--ref",
        REF,
        "--name",
        "chat",
        "--set",
        "concurrency=2",
    )
    assert call("deploy", "apply", *given, "--image", "a:1").exit_code == 0
    result = call("deploy", "bench", *given, "--model", "fake", "--cold", "1", "--requests", "4")
    assert result.exit_code == 0, result.output
    assert target.cooled_image == "a:1", "what runs goes on to be what runs"
    report = kept(home)
    assert report.predicted is not None
    assert report.predicted.source == "plan.json"
    assert report.predicted.metrics.usd_per_mtok is not None
    assert report.stage.metrics.usd_per_mtok is not None
    assert report.workload is not None
    assert report.stage.numbers.output_tokens is not None
    assert any(note.startswith("concurrency: ") and "2 here" in note for note in report.notes)
    told = call("deploy", "status", *given).stdout
    assert "predicted by the plan" in told
    assert "measured, 2 at once" in told


def test_what_is_not_up_is_not_measured(
    call: Call, target: FakeTarget, given: tuple[str, ...]
) -> None:
    result = call("deploy", "bench", *given, *QUICK)
    assert result.exit_code == 1
    assert "chat on Fake Cloud is absent, without an address" in result.stderr
    assert "hint: put it up first: pilotlight deploy apply fake" in result.stderr
    assert target.platform_.asked == []


def test_a_server_that_does_not_answer_is_named_before_any_load(
    call: Call, target: FakeTarget, given: tuple[str, ...]
) -> None:
    call("deploy", "apply", *given)
    target.url, target.cooled = "http://127.0.0.1:9", lambda: None
    result = call("deploy", "bench", *given, *QUICK)
    assert result.exit_code == 3
    assert "nobody answers at http://127.0.0.1:9" in result.stderr


def test_of_several_models_one_is_chosen(
    call: Call, target: FakeTarget, given: tuple[str, ...], home: Path
) -> None:
    (home / "chat.yaml").write_text("models: {a: 'fake:m', b: 'fake:m'}\ndeploy: {image: a:1}\n")
    result = call("deploy", "bench", *given, *QUICK)
    assert result.exit_code == 2
    assert "it serves 2 models: choose one with --model NAME" in result.stderr


def test_a_table_is_no_json(call: Call, target: FakeTarget, given: tuple[str, ...]) -> None:
    result = call("deploy", "bench", *given, "--table", "--json")
    assert result.exit_code == 2
    assert "--table is for people" in result.stderr
