"""The words of a search."""

from __future__ import annotations

from dataclasses import replace

from pilotlight.bench.slo import Slo
from pilotlight.cli.tune_text import notes, ratio_text, trial_text, verdict_text
from pilotlight.meter.ledger.rate import Rate
from pilotlight.metrics import Spread
from pilotlight.tune.duel import Duel, Side
from pilotlight.tune.evidence import Evidence
from pilotlight.tune.goal import Goal
from pilotlight.tune.search import Verdict
from pilotlight.tune.setting import Setting
from pilotlight.tune.trial import Outcome, Trial, Tried

SMALL = Setting(ref="hf:org/repo/small-Q4.gguf")
WIDE = SMALL.having({"parallel": 16})
USERS = Goal(levels="users", level=16)
SLO = Slo(name="chat", ttft_ms=200, tpot_ms=50, share=0.99)
SLOW = Outcome(wall_s=9, requests=40, met_share=0.5, goodput_per_s=1.0, output_tokens_per_s=80.0)
FAST = Outcome(
    wall_s=9, requests=70, met_share=0.995, goodput_per_s=3.5, output_tokens_per_s=130.0,
    good_output_tokens_per_s=125.0, ttft_tail_ms=182.4, tpot_tail_ms=44.0,
)  # fmt: skip


def tried(setting: Setting, outcome: Outcome) -> Tried:
    return Tried(Trial(setting=setting, level=16, seconds=20, purpose="look"), outcome)


RATIO = Spread(3.5, 3.2, 3.8)


def evidence(*, won: bool = True, ratio: Spread | None = RATIO) -> Evidence:
    duel = Duel(
        default=Side(setting=SMALL, level=16, outcomes=(SLOW, SLOW)),
        best=Side(setting=WIDE, level=16, outcomes=(FAST, FAST)),
        ratio=ratio,
        won=won,
    )
    verdict = Verdict(
        chosen=WIDE if won else SMALL, level=16, duel=duel, end="nothing better is near"
    )
    return Evidence(conditions={}, trials=[tried(SMALL, SLOW), tried(WIDE, FAST)], verdict=verdict)


def test_a_trial_in_a_line() -> None:
    assert trial_text(7, tried(WIDE, FAST), USERS, known=False) == (
        "  7 look  small-Q4.gguf on llamacpp, parallel=16: 3.50 requests/s met it (100 %), "
        "130 tokens/s"
    )
    failed = Outcome(wall_s=1, failed="no such kernel")
    assert trial_text(8, tried(WIDE, failed), USERS, known=True).endswith(
        "parallel=16: failed: no such kernel (measured before)"
    )
    searched = replace(USERS, level=None, levels="rate")
    assert " at 16/s: " in trial_text(9, tried(SMALL, SLOW), searched, known=False)
    limited = replace(FAST, limited_by_generator=True)
    assert "the load generator was the limit" in trial_text(
        1, tried(WIDE, limited), USERS, known=False
    )


def test_a_verdict() -> None:
    assert verdict_text(evidence(), USERS, SLO).splitlines() == [
        "held against chat: TTFT ≤ 200 ms, TPOT ≤ 50 ms for 99 % of requests, at 16 users; "
        "nothing better is near",
        "SETTING                                  LOAD      SECONDS  GOODPUT  MET    TTFT TAIL  "
        "TPOT TAIL  TOKENS/S",
        "small-Q4.gguf on llamacpp, parallel=16   16 users  20       3.50/s   100 %  182 ms     "
        "44 ms      130",
        "small-Q4.gguf on llamacpp, its defaults  16 users  20       1.00/s   50 %   -          "
        "-          80",
        "",
        "in 2 more rounds, by turns:",
        "  default 1.00 requests/s (50 % met it), 80 tokens/s, at 16 users",
        "  found   3.50 requests/s (100 % met it), 130 tokens/s, at 16 users",
        "  3.50x the default (3.20 to 3.80)",
        "",
        "serve small-Q4.gguf on llamacpp, parallel=16",
    ]


def test_a_verdict_for_the_default() -> None:
    lost = evidence(won=False, ratio=Spread(1.02, 0.97, 1.07))
    assert verdict_text(lost, USERS, SLO).endswith("keep the default: the difference may be chance")
    assert lost.verdict is not None
    assert notes(lost.verdict, USERS) == [
        "pilotlight tune: the default, for nothing was found to be better"
    ]
    alone = Verdict(chosen=SMALL, level=16, duel=None, end="the budget is spent")
    text = verdict_text(replace(lost, trials=lost.trials[:1], verdict=alone), USERS, SLO)
    assert text.endswith("the default took all of the budget: give more with --budget")
    text = verdict_text(replace(lost, verdict=alone), USERS, SLO)
    assert text.endswith("keep the default: nothing that was tried is better")


def test_what_changes_answers_is_said() -> None:
    found = evidence()
    assert found.verdict is not None
    verdict = replace(found.verdict, changes_answers=("kv_type", "the weights"))
    last = verdict_text(replace(found, verdict=verdict), USERS, SLO).splitlines()[-1]
    assert last.startswith("note: kv_type and the weights may change answers too")


def test_dollars() -> None:
    cost = replace(USERS, aim="cost", rate=Rate(usd_per_s=0.0001))
    text = verdict_text(evidence(), cost, SLO)
    assert "found   $0.8 per million output tokens" in text
    assert "default no token that met it" in text
    assert ", $0.8 per million, " in trial_text(1, tried(WIDE, FAST), cost, known=False)


def test_no_ratio_to_nothing() -> None:
    duel = evidence(ratio=None).verdict
    assert duel is not None
    assert duel.duel is not None
    assert ratio_text(duel.duel).startswith("no ratio")
