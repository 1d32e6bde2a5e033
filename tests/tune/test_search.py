"""The search, on machines whose best setting is known."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pilotlight.errors import BenchError
from pilotlight.tune.book import Budget
from pilotlight.tune.goal import Goal
from pilotlight.tune.search import search
from pilotlight.tune.setting import Setting
from pilotlight.tune.space import Space
from pilotlight.tune.trial import Outcome, Trial
from tune.surface import BATCHES, BUDGET, SLOTS, Surface, drive, hill, space, tuned

RATE = Goal(levels="rate")
DEFAULT: Mapping[str, Any] = {}


@given(st.sampled_from(SLOTS), st.sampled_from(BATCHES))
@settings(max_examples=60, deadline=None)
def test_one_summit_is_found_in_few_trials(slots: int, batch: int) -> None:
    capacity = hill(slots, batch)
    verdict, machine = tuned(capacity)
    assert capacity(verdict.chosen.options) == capacity(
        {"slots": slots, "batch": batch, "kind": "fast"}
    )
    assert len(machine.asked) <= 45, "there are 144 settings, and a duel of ten trials"


@given(st.floats(2, 128), st.floats(64, 2048))
@settings(max_examples=60, deadline=None)
def test_a_summit_between_the_values_is_halved_towards(slots: float, batch: float) -> None:
    capacity = hill(slots, batch)
    verdict, _ = tuned(capacity)
    summit = capacity({"slots": slots, "batch": batch, "kind": "fast"})
    assert capacity(verdict.chosen.options) > 0.8 * summit, "slots are whole: 1.5 are none"


surfaces = st.dictionaries(
    st.tuples(st.sampled_from(SLOTS), st.sampled_from(BATCHES), st.booleans()),
    st.floats(0.0, 20.0), max_size=100,
)  # fmt: skip


@given(surfaces, st.floats(0.1, 20.0), st.booleans(), st.floats(200, 3000))
@settings(max_examples=150, deadline=None)
def test_never_worse_than_the_default(
    heights: dict[Any, float], default: float, searched: bool, total_s: float
) -> None:
    """On any surface, with holes where nothing starts, and with any budget."""

    def capacity(options: Mapping[str, Any]) -> float:
        place = (options.get("slots", 4), options.get("batch", 512), options.get("kind") == "fast")
        return default if not options else heights.get(place, 0.0)

    goal = RATE if searched else Goal(levels="users", level=16)
    budget = Budget(total_s=total_s, full_s=15, look_s=5)
    verdict, _ = tuned(capacity, goal=goal, budget=budget)
    assert capacity(verdict.chosen.options) >= capacity(DEFAULT)


def test_noise_alone_hardly_ever_beats_the_default() -> None:
    """All settings are alike; a test at 95 % from both sides may be wrong in 2.5 % of its duels."""
    verdicts = Counter[bool]()
    for seed in range(120):
        verdict, _ = tuned(lambda options: 10.0, noise=0.08, random=random.Random(seed))
        verdicts[bool(verdict.chosen.options)] += 1
    assert verdicts[True] <= 8


def test_a_real_gain_is_found_in_noise() -> None:
    for seed in range(20):
        verdict, _ = tuned(hill(16, 128), noise=0.05, random=random.Random(seed))
        assert hill(16, 128)(verdict.chosen.options) > 0.7 * 12
        assert verdict.duel is not None
        assert verdict.duel.ratio is not None
        true = hill(16, 128)(verdict.chosen.options) / hill(16, 128)(DEFAULT)
        assert verdict.duel.ratio.low <= true * 1.1
        assert verdict.duel.ratio.high >= true / 1.1


def test_a_machine_that_gets_slower_meanwhile_favours_nobody() -> None:
    """One per cent with every trial: what is measured later looks worse, but not in a duel."""
    verdict, _ = tuned(hill(16, 512), noise=0.02, drift_per_trial=-0.01)
    assert verdict.chosen.options["slots"] == 16
    verdict, _ = tuned(lambda options: 10.0, noise=0.02, drift_per_trial=0.01)
    assert not verdict.chosen.options, "nor does one that gets faster make a winner"


def test_clearly_worse_is_dropped_after_a_short_look() -> None:
    _, machine = tuned(hill(4, 512, steep=1.0))
    away = [t for t in machine.asked if t.setting.options.get("slots", 4) != 4]
    assert {t.seconds for t in away} == {BUDGET.look_s}


def test_the_highest_load_is_found_where_none_was_asked_for() -> None:
    verdict, _ = tuned(hill(16, 128), goal=RATE)
    assert verdict.chosen.options == {"slots": 16, "batch": 128, "kind": "fast"}
    assert 12 * 0.8 < verdict.level <= 12 * 1.03, "95 % still meet it at 1.026 of the capacity"
    assert verdict.duel is not None
    assert verdict.duel.default.level == pytest.approx(2.86, rel=0.2), "each at its own best load"


def test_users_are_whole() -> None:
    goal = Goal(levels="users")

    def capacity(options: Mapping[str, Any]) -> float:
        return float(options.get("slots", 4))

    class Crowded(Surface):
        """Each user has a tenth of a request a second; all miss beyond the capacity."""

        def __call__(self, trial: Trial) -> Outcome:
            self.asked.append(trial)
            offered = trial.level / 10
            able = self.capacity(trial.setting.options)
            share = 1.0 if offered <= able else 0.5
            good = min(offered, able) * share
            return Outcome(
                wall_s=trial.seconds, requests=50, met_share=share, goodput_per_s=good,
                output_tokens_per_s=able * 50,
            )  # fmt: skip

    machine = Crowded(capacity, goal)
    verdict = drive(search(space(), goal, BUDGET), machine)
    assert all(trial.level == round(trial.level) for trial in machine.asked)
    assert verdict.chosen.options == {"slots": 128}
    assert verdict.level > 1100


def test_nothing_that_meets_the_service_level_still_has_a_slope() -> None:
    """At sixteen users the default meets it for nobody, and neither do its neighbours."""

    class Late(Surface):
        def __call__(self, trial: Trial) -> Outcome:
            self.asked.append(trial)
            able = self.capacity(trial.setting.options)
            met = able > 9
            return Outcome(
                wall_s=trial.seconds, requests=50, met_share=float(met),
                goodput_per_s=able * met, output_tokens_per_s=able * 50,
            )  # fmt: skip

    goal = Goal(levels="users", level=16)
    machine = Late(hill(64, 512), goal)
    verdict = drive(search(space(), goal, BUDGET), machine)
    assert verdict.chosen.options["slots"] == 64
    assert verdict.duel is not None
    assert verdict.duel.ratio is None, "there is no ratio to nothing"


def test_the_best_of_several_starts_is_built_upon() -> None:
    """Two summits: the default's is the lower one, and a valley lies between."""

    def capacity(options: Mapping[str, Any]) -> float:
        low, high = hill(2, 512, steep=1.0, base=5), hill(64, 256, steep=1.0, base=20)
        return max(low(options), high(options))

    stuck, _ = tuned(capacity)
    assert capacity(stuck.chosen.options) < 7
    started, _ = tuned(capacity, where=space(starts=(Setting(ref="m", options={"slots": 64}),)))
    assert capacity(started.chosen.options) == pytest.approx(24)


def test_what_fails_is_evidence_and_no_more() -> None:
    def capacity(options: Mapping[str, Any]) -> float:
        return 0.0 if options.get("slots", 4) > 4 else hill(4, 128)(options)

    verdict, machine = tuned(capacity)
    assert verdict.chosen.options["batch"] == 128
    failed = [t for t in machine.asked if t.setting.options.get("slots", 4) > 4]
    assert len(failed) == len({t.setting.key for t in failed}), "none was tried twice"


def test_other_engines_and_weights_compete() -> None:
    def answer(trial: Trial) -> Outcome:
        able = {"small": 9.0, "large": 4.0}[trial.setting.ref]
        able *= 1.5 if trial.setting.engine == "other" else 1.0
        return Outcome(wall_s=1, requests=50, met_share=1.0, goodput_per_s=able)

    default = Setting(ref="large")
    starts = (
        Setting(ref="small"),
        Setting(ref="large", engine="other"),
        Setting(ref="small", engine="other"),
    )
    where = Space(default=default, starts=starts, axes={})
    verdict = drive(search(where, Goal(levels="users", level=1), BUDGET), answer)
    assert verdict.chosen == starts[2]
    assert verdict.changes_answers == ("the weights", "the engine")


def test_the_budget_holds_and_keeps_enough_for_the_duel() -> None:
    for total_s in (300.0, 600.0, 1500.0):
        budget = Budget.of(total_s, 10)
        verdict, machine = tuned(hill(128, 2048), budget=budget)
        spent_s = sum(trial.seconds + machine.start_s for trial in machine.asked)
        assert spent_s <= total_s
        assert verdict.duel is not None
        assert verdict.duel.won


def test_a_budget_that_tells_nothing_is_refused() -> None:
    with pytest.raises(BenchError, match="too small"):
        Budget.of(30)


def test_the_same_outcomes_ask_for_the_same_trials() -> None:
    _, first = tuned(hill(16, 128), noise=0.05, random=random.Random(7))
    _, second = tuned(hill(16, 128), noise=0.05, random=random.Random(7))
    assert first.asked == second.asked


def test_the_duel_takes_turns() -> None:
    _, machine = tuned(hill(16, 128))
    duel = [trial for trial in machine.asked if trial.purpose == "duel"]
    sides = ["default" if not trial.setting.options else "best" for trial in duel]
    assert sides == ["default", "best", "best", "default"] * 2 + ["default", "best"]
    assert [trial.round for trial in duel] == [0, 0, 1, 1, 2, 2, 3, 3, 4, 4]
