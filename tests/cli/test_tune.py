"""`pilotlight tune` on the fake engine: flags in, evidence and a configuration out."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from pilotlight import config
from pilotlight.bench.subjects import Ground
from pilotlight.cli.exits import Exit
from pilotlight.cli.tune import tune
from pilotlight.cli.tune_setup import quantized
from pilotlight.engines import registry
from pilotlight.errors import PilotlightError
from pilotlight.meter.ledger.rate import Rate
from pilotlight.testing import FACTORY
from pilotlight.tune import perform
from pilotlight.tune.goal import Goal
from pilotlight.tune.space import single
from pilotlight.tune.spaces.registry import TUNABLE, Tunable
from pilotlight.tune.trial import Outcome, Trial

FAKE = Path(__file__).parents[1] / "bench" / "command" / "fake_serve.py"
COMMAND = (sys.executable, str(FAKE), "serve")


@pytest.fixture
def weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The fake engine among the engines, and nothing of the user who runs the tests."""
    for name in [name for name in os.environ if name.startswith("PILOTLIGHT_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(registry.FACTORIES, "fake", FACTORY)  # type: ignore[arg-type]
    slots = single("parallel", (1, 2, 4, 8), 4)
    fake = Tunable(axes=lambda terrain: (slots,), starts=lambda setting, terrain: ())
    monkeypatch.setitem(TUNABLE, "fake", fake)  # type: ignore[arg-type]
    made = Ground.of
    monkeypatch.setattr(
        Ground, "of", lambda *args: replace(made(*args), command=COMMAND, ready_timeout_s=60.0)
    )
    path = tmp_path / "weights.gguf"
    path.write_bytes(b"none")
    return path


class Formula:
    """In place of processes: so many requests a second by the number of slots."""

    def __init__(self, by_slots: Mapping[int, float]) -> None:
        self.by_slots = by_slots
        self.asked: list[Trial] = []
        self.ends_after = 10_000

    def __call__(self, performer: perform.Performer, trial: Trial) -> Outcome:
        if len(self.asked) == self.ends_after:
            raise perform.SearchStoppedError
        self.asked.append(trial)
        able = self.by_slots[trial.setting.options.get("parallel", 4)]
        return Outcome(
            wall_s=trial.seconds + 1, requests=50, met_share=1.0, goodput_per_s=able,
            good_output_tokens_per_s=able * 50, output_tokens_per_s=able * 50,
            ttft_tail_ms=120.0,
        )  # fmt: skip


@pytest.fixture
def formula(weights: Path, monkeypatch: pytest.MonkeyPatch) -> Formula:
    found = Formula({1: 1.0, 2: 2.0, 4: 4.0, 6: 5.0, 8: 8.0})
    monkeypatch.setattr(perform.Performer, "__call__", lambda *args: found(*args))
    return found


def call(*args: str) -> Result:
    return CliRunner().invoke(tune, args, prog_name="pilotlight tune")


def test_what_is_found_is_shown_written_and_kept(weights: Path, formula: Formula) -> None:
    result = call(str(weights), "--engine", "fake", "--concurrency", "8", "--write", "p.yaml")
    assert result.exit_code == Exit.OK, result.output
    assert "2.00x the default (2.00 to 2.00)" in result.stdout
    assert "parallel=8" in result.stdout
    assert "held against chat-relaxed: TTFT ≤ 1,000 ms, TPOT ≤ 100 ms" in result.stdout
    model = config.load(Path("p.yaml")).models["weights"]
    assert (model.engine, model.options) == ("fake", {"parallel": 8})
    tree = json.loads(Path("tune.json").read_text())
    assert tree["format"] == "pilotlight-tune-1"
    assert len(tree["trials"]) == len(formula.asked)
    assert tree["verdict"]["duel"]["won"] is True


def test_the_default_is_kept_where_nothing_beats_it(weights: Path, formula: Formula) -> None:
    formula.by_slots = dict.fromkeys(range(1, 9), 4.0)
    result = call(str(weights), "--engine", "fake", "--concurrency", "8", "--write", "p.yaml")
    assert "keep the default: nothing that was tried is better" in result.stdout
    text = Path("p.yaml").read_text()
    assert text.startswith("# pilotlight tune: the default")
    assert config.load(Path("p.yaml")).models["weights"].options == {}


def test_a_search_that_was_stopped_goes_on(weights: Path, formula: Formula) -> None:
    formula.ends_after = 3
    args = (str(weights), "--engine", "fake", "--concurrency", "8")
    stopped = call(*args)
    assert isinstance(stopped.exception, KeyboardInterrupt) or stopped.exit_code != Exit.OK
    assert "tune.json has 3 trials, and the same command goes on" in stopped.stderr
    formula.ends_after = 10_000
    again = call(*args)
    assert again.exit_code == Exit.OK, again.output
    assert again.stderr.count("(measured before)") == 3
    done = len(formula.asked)
    third = call(*args, "--json")
    assert len(formula.asked) == done, "nothing is measured again"
    assert json.loads(third.stdout)["verdict"]["chosen"]["options"] == {"parallel": 8}


def test_other_conditions_want_another_file(weights: Path, formula: Formula) -> None:
    args = (str(weights), "--engine", "fake", "--concurrency", "8")
    assert call(*args).exit_code == Exit.OK
    result = call(*args, "--ttft", "300")
    assert isinstance(result.exception, PilotlightError)
    assert "was measured with service level" in result.exception.message


def test_the_lowest_cost(weights: Path, formula: Formula) -> None:
    args = (str(weights), "--engine", "fake", "--rate", "2", "--goal", "cost")
    result = call(*args)
    assert isinstance(result.exception, PilotlightError)
    assert "nobody says what this machine costs" in result.exception.message
    result = call(*args, "--ledger-usd-per-hour", "0.36")
    assert result.exit_code == Exit.OK, result.output
    assert "$0.25 per million output tokens" in result.stdout, "0.0001 $/s over 8 x 50 tokens/s"


def test_joules_that_cost_something_have_to_be_metered(weights: Path, formula: Formula) -> None:
    """Trials of a search that needed no meter would seem to take no electricity."""
    args = (str(weights), "--engine", "fake", "--rate", "2")
    assert call(*args).exit_code == Exit.OK
    asked = len(formula.asked)
    result = call(*args, "--goal", "cost", "--ledger-usd-per-kwh", "0.2")
    assert isinstance(result.exception, PilotlightError)
    assert "was measured with joules None, and now it is 'metered'" in result.exception.message
    assert len(formula.asked) == asked


def test_what_was_not_metered_has_no_cost() -> None:
    rate = Rate(usd_per_s=0.001, usd_per_joule=1e-6)
    goal = Goal(aim="cost", rate=rate)
    metered = Outcome(wall_s=1.0, good_output_tokens_per_s=20.0, watts=1000.0)
    assert goal.score(metered) == pytest.approx(20 / 0.002)
    assert goal.usd_per_mtok(metered) == pytest.approx(100.0)
    unmetered = replace(metered, watts=None)
    assert goal.score(unmetered) == 0
    assert goal.usd_per_mtok(unmetered) is None
    assert replace(goal, rate=Rate(usd_per_s=0.001)).score(unmetered) == 20 / 0.001


def test_a_configuration_is_not_written_over(weights: Path, formula: Formula) -> None:
    Path("p.yaml").write_text(f"models:\n  m: {{ref: 'file:{weights}', engine: fake}}\n")
    before = Path("p.yaml").read_text()
    result = call("m", "--config", "p.yaml", "--write", "./p.yaml")
    assert result.exit_code == Exit.USAGE
    assert "would replace all of that configuration" in result.stderr
    assert Path("p.yaml").read_text() == before


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (("--concurrency", "2", "--rate", "1"), "exclude each other"),
        (("--slo", "none"), "needs a service level"),
        (("--budget", "10s"), "too small"),
        (("--workload", "wishes"), "wishes"),
        (("--engine", "steam"), "unknown engine 'steam'"),
        (("--engine", "fake", "--option", "slots=4"), "no option 'slots'"),
        (("--write", "nowhere/p.yaml"), "there is no directory 'nowhere'"),
    ],
)
def test_wrong_usage(weights: Path, args: tuple[str, ...], said: str) -> None:
    result = call(str(weights), *args)
    assert result.exit_code != Exit.OK
    assert said in result.output + str(result.exception)


def test_quantizations_of_one_model() -> None:
    assert quantized(("m.gguf",), ()) == ("m.gguf",)
    assert quantized(("llama-3.2-1b",), ("q4_k_m", "q8_0")) == [
        "llama-3.2-1b@q4_k_m",
        "llama-3.2-1b@q8_0",
    ]
    for ref in ("hf:org/repo", "hf:org/repo:Q2_K", "hf:org/repo/path/file-Q2_K.gguf"):
        assert quantized((ref,), ("Q8_0",)) == ["hf:org/repo:Q8_0"]
    assert quantized(("hf:org/repo@v1:Q2_K",), ("Q8_0",)) == ["hf:org/repo@v1:Q8_0"]
    with pytest.raises(PilotlightError, match="nobody knows where 'pypi:m' is in Q8_0"):
        quantized(("pypi:m",), ("Q8_0",))


@pytest.mark.real
def test_for_real(weights: Path) -> None:
    """Processes and sockets; the fake's tokens take 4 ms, and eight users want eight slots."""
    result = call(
        str(weights), "--engine", "fake", "--concurrency", "8", "--option", "token_delay_ms=4",
        "--trial", "300ms", "--budget", "55s", "--write", "p.yaml",
    )  # fmt: skip
    assert result.exit_code == Exit.OK, result.output
    tree: dict[str, Any] = json.loads(Path("tune.json").read_text())
    assert all(each["outcome"]["failed"] is None for each in tree["trials"])
    model = config.load(Path("p.yaml")).models["weights"]
    assert model.options == {"token_delay_ms": 4, "parallel": 8}
