"""`pilotlight plan` from the command line: answers, files, and what can't be asked."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from pilotlight import config
from pilotlight.calibration.here import device_of
from pilotlight.calibration.kept import Calibration, save
from pilotlight.calibration.shaped_gguf import write
from pilotlight.catalog.architecture import Architecture
from pilotlight.config import Settings
from pilotlight.engines.registry import Engines
from pilotlight.machine import survey
from pilotlight.planner.default_rates import default_rates
from pilotlight.planner.listing import rows
from planner.searches import answer, asked, facts_of

from .conftest import Call
from .test_pull import Holding, Ranges

SMALL = ("llama-3.2-1b", "--rps", "0.05", "--platform", "lambda-x86-6144", "--platform", "modal-l4")
ON_L4 = ("llama-3.1-8b", "--gpu", "l4", "--platform", "ec2", "--engine", "vllm")


def test_a_plan_says_what_was_asked_what_is_best_and_why_not_the_rest(call: Call) -> None:
    result = call("plan", *ON_L4, "--max-gpus", "1")
    assert result.exit_code == 0, result.stderr
    text = result.stdout
    assert "load: 1 requests/s" in text
    assert "TTFT ≤ 1,000 ms, TPOT ≤ 100 ms for 95 % of requests" in text
    assert "g6.xlarge" in text
    assert "turned down:" in text
    assert "kernels for it need compute capability 10" in text
    assert "pilotlight plan explain" in text


def test_json_holds_plans_the_front_and_a_workload(call: Call) -> None:
    found = json.loads(call("plan", *ON_L4, "--json").stdout)
    assert found["format"] == "pilotlight-plan-1"
    assert found["plans"][0]["deployment"]["gpu"] == "l4"
    assert found["found"] >= len(found["plans"]) >= len(found["front"]) > 0
    assert found["workload"]["input_tokens"] == 512
    assert found["advice"]
    assert found["constants"]


def test_explain_shows_the_working_of_the_last_plan(call: Call) -> None:
    call("plan", *ON_L4)
    text = call("plan", "explain").stdout
    for title in ("Speed", "Memory", "Money", "Break-even", "Constants"):
        assert f"\n{title}\n" in text
    found = json.loads(call("plan", "explain", "2", "--json").stdout)
    assert found["plan"]["rank"] == 2


def test_explain_without_a_plan_says_to_make_one(call: Call) -> None:
    result = call("plan", "explain")
    assert result.exit_code == 2
    assert "no plan was made yet" in result.stderr


def test_compare_takes_ranks_and_files(call: Call, home: Path) -> None:
    made = call("plan", *ON_L4, "--json", "--all").stdout
    (home / "one.json").write_text(made)
    text = call("plan", "compare", "1", "one.json:2").stdout
    assert "dollars a month" in text
    assert text.startswith("A: llama-3.1-8b")
    same = json.loads(call("plan", "compare", "1", "one.json", "--json").stdout)
    assert same["a"] == same["b"]
    assert {each["change"] for each in same["differences"]} <= {"1×", ""}


def test_what_if_changes_one_thing(call: Call) -> None:
    call("plan", *ON_L4)
    text = call("plan", "what-if", "--gpu", "h100-sxm", "--batch", "64").stdout
    assert "L4" in text
    assert "H100 SXM5" in text
    assert "B AGAINST A" in text
    assert call("plan", "what-if").exit_code == 2


def test_what_if_takes_another_load_in_other_words(call: Call) -> None:
    call("plan", *ON_L4, "--rps", "1")
    assert call("plan", "what-if", "--users", "900").exit_code == 0


def test_what_if_leaves_out_what_another_load_has_no_place_for(call: Call) -> None:
    call("plan", *ON_L4, "--users", "300", "--per-user-hour", "9", "--hours", "8")
    assert call("plan", "what-if", "--rps", "2").exit_code == 0
    assert call("plan", "what-if", "--profile", ",".join(["0.5"] * 24)).exit_code == 0
    asked = json.loads(call("plan", "what-if", "--users", "600", "--json").stdout)
    assert asked["differences"]


def test_a_plan_of_a_file_is_explained_from_another_directory(
    call: Call, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shape = Architecture(
        layers=2, hidden=256, heads=4, kv_heads=2, head_dim=64, feed_forward=512,
        vocabulary=512, context=4096, tied=True,
    )  # fmt: skip
    write(home / "tiny-Q8_0.gguf", shape, "Q8_0")
    made = call("plan", "tiny-Q8_0.gguf", "--platform", "lambda-x86-2048", "--rps", "0.01")
    assert made.exit_code == 0, made.output
    (home / "elsewhere").mkdir()
    monkeypatch.chdir(home / "elsewhere")
    assert "tiny in q8_0" in call("plan", "explain").stdout


def test_a_ref_without_a_file_to_write_is_wrong_usage(call: Call) -> None:
    result = call("plan", *ON_L4, "--ref", "hf:org/repo")
    assert result.exit_code == 2
    assert "--write" in result.stderr


def test_the_written_file_is_what_serve_takes(call: Call, home: Path) -> None:
    result = call("plan", *SMALL, "--engine", "llamacpp", "--write", "pilotlight.yaml")
    assert result.exit_code == 0, result.stderr
    model = config.load(home / "pilotlight.yaml", environ={}).models["llama-3.2-1b"]
    assert model.engine == "llamacpp"
    assert model.ref.startswith("hf:")
    assert model.options["context"] == 2048


def test_the_page_is_written_beside_the_answer(call: Call, home: Path) -> None:
    assert call("plan", *ON_L4, "--html", "plan.html").exit_code == 0
    assert "<svg" in (home / "plan.html").read_text()


def test_a_file_of_the_users_own_is_planned_from_its_header(call: Call, home: Path) -> None:
    shape = Architecture(
        layers=2, hidden=256, heads=4, kv_heads=2, head_dim=64, feed_forward=512,
        vocabulary=512, context=4096, tied=True,
    )  # fmt: skip
    write(home / "tiny-Q8_0.gguf", shape, "Q8_0")
    result = call("plan", "tiny-Q8_0.gguf", "--here", "--platform", "this-machine", "--json")
    found = json.loads(result.stdout)["plans"][0]["deployment"]
    assert found["offer"] == "this-machine"
    assert found["ref"] == f"file:{home / 'tiny-Q8_0.gguf'}"
    assert (found["model"], found["quantization"]) == ("tiny", "q8_0")


def test_a_file_in_another_quantization_than_asked_is_no_plan(call: Call, home: Path) -> None:
    shape = Architecture(
        layers=2, hidden=256, heads=4, kv_heads=2, head_dim=64, feed_forward=512,
        vocabulary=512, context=4096, tied=True,
    )  # fmt: skip
    write(home / "tiny-Q8_0.gguf", shape, "Q8_0")
    result = call("plan", "tiny-Q8_0.gguf", "--quantization", "q4_0")
    assert "'tiny-Q8_0.gguf' is in q8_0, not in q4_0" in result.stderr


def test_this_machines_own_measurements_go_before_what_is_assumed(call: Call, home: Path) -> None:
    machine = survey()
    build = Engines(Settings().engines, machine).get("llamacpp").build
    assumed = default_rates(device_of(machine, build), "llamacpp")
    measured = replace(assumed, source="measured by this test")
    data_dir = home / "data" / "pilotlight"
    save(Calibration(machine.fingerprint, build, "2026-11-20", measured, True), data_dir)
    here = ("--here", "--platform", "this-machine", "--engine", "llamacpp", "--slo", "batch")
    assert call("plan", "smollm2-135m", *here, "--rps", "0.1").exit_code == 0
    assert "measured by this test" in call("plan", "explain").stdout


def test_a_batch_bounds_no_latency_for_bench_either(call: Call) -> None:
    asked_for = ("--mode", "batch", "--tpot", "1", "--rps", "0.1", "--json")
    found = json.loads(call("plan", *ON_L4, *asked_for).stdout)
    assert found["plans"]
    assert found["workload"]["slo"] == {"ttft_ms": None, "tpot_ms": None, "percentile": 95.0}


class Hub(Holding):
    """One repository with one file."""

    def __init__(self, name: str, body: bytes) -> None:
        super().__init__(body, after_bytes=2**40)
        self.RequestHandlerClass = HubPages
        self.listing = {"id": "org/repo", "sha": "c" * 40, "siblings": [
            {"rfilename": name, "size": len(body), "blobId": "0" * 40}
        ]}  # fmt: skip


class HubPages(Ranges):
    server: Hub

    def do_GET(self) -> None:
        if self.path.startswith("/api/models/org/repo"):
            answer = json.dumps(self.server.listing).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)
        else:
            super().do_GET()


def test_a_file_on_the_hub_is_planned_from_its_first_bytes(
    call: Call, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shape = Architecture(
        layers=8, hidden=1024, heads=8, kv_heads=2, head_dim=128, feed_forward=2048,
        vocabulary=4096, context=4096, tied=True,
    )  # fmt: skip
    write(home / "far-Q8_0.gguf", shape, "Q8_0")
    body = (home / "far-Q8_0.gguf").read_bytes()
    with Hub("far-Q8_0.gguf", body) as hub:
        monkeypatch.setenv("PILOTLIGHT_STORE_HF_ENDPOINT", hub.url)
        result = call("plan", "hf:org/repo:Q8_0", "--platform", "lambda-x86-2048", "--rps", "0.01",
                      "--slo", "batch", "--json")  # fmt: skip
        assert hub.sent_bytes < len(body) / 4
    assert result.exit_code == 0, result.output
    found = json.loads(result.stdout)["plans"][0]["deployment"]
    assert (found["ref"], found["quantization"]) == ("hf:org/repo:Q8_0", "q8_0")
    local = json.loads(
        call("plan", "far-Q8_0.gguf", "--platform", "lambda-x86-2048", "--slo", "batch", "--json")
        .stdout
    )["plans"][0]["deployment"]  # fmt: skip
    assert found["parameters"] == local["parameters"]


def test_a_class_plans_for_every_model_in_it(call: Call) -> None:
    found = json.loads(
        call("plan", "--class", "tiny", "--platform", "lambda-x86-4096", "--slo", "chat-relaxed",
             "--rps", "0.01", "--all", "--json").stdout
    )  # fmt: skip
    assert len({plan["deployment"]["model"] for plan in found["plans"] or found["nearest"]}) > 1


def test_a_trace_says_when_requests_come_and_how_long_they_are(call: Call, home: Path) -> None:
    rows = [f"2023-11-16 18:{minute:02}:00.0,{400 + minute},{90 + minute}" for minute in range(60)]
    trace = ["TIMESTAMP,ContextTokens,GeneratedTokens", *rows]
    (home / "trace.csv").write_text("\n".join(trace))
    result = call("plan", *SMALL[:1], *SMALL[3:], "--trace", "trace.csv", "--slo", "batch")
    assert result.exit_code == 0, result.stderr
    assert "430 tokens in, 120 out" in result.stdout


@pytest.mark.parametrize(
    ("arguments", "said", "hint"),
    [
        (("llama-3.1-8b", "--rps", "0"), "is no load", "--rps 0.01"),
        (("llama-3.1-8b", "--rps", "-2"), "is no load", "more than 0"),
        (("llama-3.1-8b", "--gpu", "h1000"), "unknown GPU 'h1000'", "h100"),
        (("llama-3.1-8b", "--context", "999999"), "beyond llama-3.1-8b's 131072", "131072"),
        (("llama-3.1-8b", "--slo", "chatt"), "'chatt'", "chat"),
        (("llama-3.1-8b", "--engine", "sglang"), "'sglang'", "vllm"),
        (("llama-3.1-8b", "--budget", "-1"), "budget is -1", "above zero"),
        (("llama-3.1-8b", "--hours", "25"), "25.0 hours", "up to 24"),
        (("llama-3.1-8b", "--rps", "1", "--users", "3"), "both say the load", "one of them"),
        (("llama-3.1-8b", "--trace", "none.csv"), "none.csv", "trace"),
        (("llama-3.1-8b", "--region", "mars"), "region 'mars'", "us-east-1"),
        (("llama-3.1-8b", "--per-user-hour", "9"), "of how many users", "--users"),
        (("llama-3.1-8b", "--users", "9", "--per-user-hour", "0"), "--per-user-hour 0", "than 0"),
        (
            ("llama-3.1-8b", "--hours", "8", "--profile", ",".join("1" * 24)),
            "--hours 8 and --profile both say",
            "leave --hours out",
        ),
        (("llama-3.1-8b", "--min-bits", "nan"), "--min-bits is nan", "bits of a weight"),
        (("llama-3.1-8b", "--profile", "1,2,x"), "isn't a list of numbers", "24 or 168"),
        (("llama-3.1-9b",), "unknown model 'llama-3.1-9b'", "llama-3.1-8b"),
        ((), "give a MODEL or --class", "catalog list models"),
        (("--class", "giant"), "unknown class 'giant'", "small"),
    ],
)
def test_what_cant_be_is_said_with_the_next_step(
    call: Call, arguments: tuple[str, ...], said: str, hint: str
) -> None:
    result = call("plan", *arguments)
    assert result.exit_code == 2, result.stdout
    assert said in result.stderr
    assert hint in result.stderr.partition("hint:")[2]


def test_a_negative_price_in_a_users_file_names_its_line(call: Call, home: Path) -> None:
    (home / "mine.yaml").write_text(
        "offers:\n  g6.xlarge:\n    usd_per_hour: -1\n    source: me\n    as_of: 2026-11-20\n"
    )
    result = call("plan", *ON_L4, "--catalog", "mine.yaml")
    assert result.exit_code == 2
    assert "mine.yaml:3" in result.stderr
    assert "usd_per_hour" in result.stderr


def test_no_plan_at_all_fails_and_shows_what_comes_nearest(call: Call) -> None:
    result = call("plan", *ON_L4, "--ttft", "1", "--tpot", "0.1")
    assert result.exit_code == 1
    assert "no plan does what is asked" in result.stdout
    assert "nearest:" in result.stdout
    assert "misses: p95 TTFT" in result.stdout


def test_nothing_to_write_still_says_what_comes_nearest(call: Call, home: Path) -> None:
    result = call("plan", *ON_L4, "--tpot", "0.1", "--write", "pilotlight.yaml")
    assert result.exit_code != 0
    assert "misses: p95 TPOT" in result.stdout
    assert "nothing to write" in result.stderr
    assert not (home / "pilotlight.yaml").exists()


def test_a_narrow_terminal_gets_the_columns_that_matter() -> None:
    plans = answer("llama-3.1-8b", asked(1), facts_of("g6.xlarge", "modal-l4")).plans[:6]
    header, cells = rows(plans, 80)
    widths = [max(map(len, column)) for column in zip(header, *cells, strict=True)]
    assert sum(widths) + 2 * (len(widths) - 1) <= 80
    assert {"OFFER", "$/MTOK", "$/MONTH", "TPOT"} <= set(header)
    assert len(rows(plans)[0]) > len(header)
