"""A search in words: a line for each trial, and what came of all."""

from __future__ import annotations

from collections.abc import Iterable
from statistics import fmean
from typing import TYPE_CHECKING

from pilotlight.bench.told import slo_words
from pilotlight.cli.table import table

if TYPE_CHECKING:
    from pilotlight.bench.slo import Slo
    from pilotlight.tune.duel import Duel, Side
    from pilotlight.tune.evidence import Evidence
    from pilotlight.tune.goal import Goal
    from pilotlight.tune.search import Verdict
    from pilotlight.tune.trial import Outcome, Trial, Tried

SHOWN = 8


def trial_text(number: int, tried: Tried, goal: Goal, *, known: bool) -> str:
    """``12 look   parallel=16: 1.42 requests/s met it (97 %), 84 tokens/s``."""
    said = f"failed: {tried.outcome.failed}" if tried.outcome.failed else _told(tried.outcome, goal)
    where = "" if goal.level is not None else f" at {_level(tried.trial.level, goal)}"
    again = " (measured before)" if known else ""
    return f"{number:3d} {tried.trial.purpose:5} {tried.trial.setting}{where}: {said}{again}"


def trying_text(trial: Trial, goal: Goal) -> str:
    return f"trying {trial.setting} at {_level(trial.level, goal)}"


def _told(outcome: Outcome, goal: Goal) -> str:
    parts = [f"{outcome.goodput_per_s:.2f} requests/s met it ({100 * outcome.met_share:.0f} %)"]
    cost = goal.usd_per_mtok(outcome) if goal.aim == "cost" else None
    if cost is not None:
        parts.append(f"${cost:.3g} per million")
    parts.append(f"{outcome.output_tokens_per_s:.0f} tokens/s")
    if outcome.limited_by_generator:
        parts.append("the load generator was the limit")
    return ", ".join(parts)


def verdict_text(found: Evidence, goal: Goal, slo: Slo) -> str:
    """The best of what was tried, the last comparison, and what is chosen."""
    verdict = found.verdict
    assert verdict is not None
    lines = [
        f"held against {slo_words(slo)}, {_load(verdict, goal)}; {verdict.end}",
        table(_COLUMNS, _rows(found.trials, goal)),
        "",
    ]
    if verdict.duel is not None:
        lines += [*_duel_lines(verdict.duel, goal), ""]
    return "\n".join([*lines, *_choice(verdict, _settings(found.trials))])


def _settings(trials: Iterable[Tried]) -> int:
    return len({tried.trial.setting.key for tried in trials})


_COLUMNS = ("SETTING", "LOAD", "SECONDS", "GOODPUT", "MET", "TTFT TAIL", "TPOT TAIL", "TOKENS/S")


def _rows(trials: Iterable[Tried], goal: Goal) -> list[list[str]]:
    """The best settings by the mean of their trials, with the longest of them shown."""
    by_place: dict[tuple[str, float], list[Tried]] = {}
    for tried in trials:
        if tried.outcome.failed is None:
            by_place.setdefault((tried.trial.setting.key, tried.trial.level), []).append(tried)
    ranked = sorted(by_place.values(), key=lambda found: -_mean_score(found, goal))
    return [_row(found, goal) for found in ranked[:SHOWN]]


def _mean_score(found: list[Tried], goal: Goal) -> float:
    return fmean(goal.merit(tried.outcome) for tried in found)


def _row(found: list[Tried], goal: Goal) -> list[str]:
    longest = max(found, key=lambda tried: tried.trial.seconds).outcome
    first = found[0].trial
    return [
        str(first.setting),
        _level(first.level, goal),
        f"{sum(tried.trial.seconds for tried in found):.0f}",
        f"{fmean(tried.outcome.goodput_per_s for tried in found):.2f}/s",
        f"{100 * fmean(tried.outcome.met_share for tried in found):.0f} %",
        _ms(longest.ttft_tail_ms),
        _ms(longest.tpot_tail_ms),
        f"{fmean(tried.outcome.output_tokens_per_s for tried in found):.0f}",
    ]


def _duel_lines(duel: Duel, goal: Goal) -> list[str]:
    rounds = len(duel.best.outcomes)
    return [
        f"in {rounds} more rounds, by turns:",
        f"  default {_side(duel.default, goal)}",
        f"  found   {_side(duel.best, goal)}",
        f"  {ratio_text(duel)}",
    ]


def _side(side: Side, goal: Goal) -> str:
    share = fmean(each.met_share for each in side.outcomes)
    tokens = fmean(each.output_tokens_per_s for each in side.outcomes)
    return (
        f"{_score(side, goal)} ({100 * share:.0f} % met it), {tokens:.0f} tokens/s, at "
        + _level(side.level, goal)
    )


def _score(side: Side, goal: Goal) -> str:
    mean = fmean(goal.score(each) for each in side.outcomes)
    if goal.aim == "goodput":
        return f"{mean:.2f} requests/s"
    return f"${1e6 / mean:.3g} per million output tokens" if mean else "no token that met it"


def ratio_text(duel: Duel) -> str:
    """``1.62x the default (1.51 to 1.74)``."""
    if duel.ratio is None:
        return "no ratio: one of them met the service level with nothing"
    ratio = duel.ratio
    return f"{ratio.median:.2f}x the default ({ratio.low:.2f} to {ratio.high:.2f})"


def _choice(verdict: Verdict, settings: int) -> list[str]:
    if verdict.duel is None and settings < 2:
        return ["the default took all of the budget: give more with --budget"]
    if verdict.duel is None:
        return ["keep the default: nothing that was tried is better"]
    if not verdict.duel.won:
        return ["keep the default: the difference may be chance"]
    lines = [f"serve {verdict.chosen}"]
    changed = verdict.changes_answers
    if changed:
        lines.append(
            f"note: {' and '.join(changed)} may change answers too; compare them with the "
            "default's: pilotlight eval"
        )
    return lines


def notes(verdict: Verdict, goal: Goal) -> list[str]:
    """The head of the file that is written."""
    if verdict.duel is None or not verdict.duel.won:
        return ["pilotlight tune: the default, for nothing was found to be better"]
    return [f"pilotlight tune: {goal.aim} {ratio_text(verdict.duel)} at "
            f"{_level(verdict.level, goal)}"]  # fmt: skip


def _load(verdict: Verdict, goal: Goal) -> str:
    if goal.level is not None:
        return f"at {_level(goal.level, goal)}"
    return "at the highest load that is carried"


def _level(level: float, goal: Goal) -> str:
    return f"{level:.0f} users" if goal.levels == "users" else f"{level:.3g}/s"


def _ms(value: float | None) -> str:
    return "" if value is None else f"{value:.0f} ms"
