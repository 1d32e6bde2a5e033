"""Runs whose numbers can be worked out by hand."""

from __future__ import annotations

from dataclasses import replace
from random import Random

import pytest

from bench.numbers.timings import (
    CLOSED,
    INPUT,
    REQUEST_S,
    TOKENS,
    MadeRun,
    answered,
    closed,
    failed,
    noisy,
    slower,
)
from pilotlight.bench.costs import Cost, Costs, Served
from pilotlight.bench.figures import Distribution, Estimate
from pilotlight.bench.health import GeneratorHealth
from pilotlight.bench.load import Load
from pilotlight.bench.record import Record
from pilotlight.bench.slo import Slo
from pilotlight.bench.summarize import summarize, valued
from pilotlight.meter.energy import Energy
from pilotlight.metrics import Spread

SLO = Slo(ttft_ms=150, tpot_ms=25)


def value(found: Estimate | None) -> float:
    assert found is not None
    return found.value


def median(found: Distribution | None) -> float:
    assert found is not None
    return value(found.p50)


def test_a_steady_closed_loop() -> None:
    """Four users, each with a request of 0.4 s after the other: 10 requests a second."""
    stage = summarize([closed()], CLOSED, SLO)
    numbers = stage.numbers
    assert numbers.requests == numbers.completed == 200
    assert value(numbers.requests_per_s) == pytest.approx(10, rel=0.001)
    assert value(numbers.output_tokens_per_s) == pytest.approx(160, rel=0.01)
    assert value(numbers.total_tokens_per_s) == pytest.approx(260, rel=0.01)
    assert value(numbers.goodput_per_s) == pytest.approx(10, rel=0.001)
    assert value(numbers.slo_share) == 1
    assert numbers.concurrency == pytest.approx(4, rel=0.001)
    assert median(numbers.ttft_ms) == pytest.approx(100)
    assert median(numbers.tpot_ms) == pytest.approx(20)
    assert median(numbers.e2e_ms) == pytest.approx(400)
    assert median(numbers.request_output_tokens_per_s) == pytest.approx(40)
    assert stage.metrics.ttft_ms is not None
    assert stage.metrics.ttft_ms.low == pytest.approx(100)
    assert stage.metrics.tail_percentile == 95


def test_a_window_ends_when_the_first_user_goes_idle() -> None:
    """Four users, two rounds, a warm-up before: ends of one round and dues of the next differ by
    microseconds, either way."""
    ends = (1.0, 1.03, 1.03001, 1.0300731)
    first = [answered(at, 0.0, ended_s=end, warmup=True) for at, end in enumerate(ends)]
    rest = [answered(4 + at, end - 3e-6, ended_s=end + 1 + at / 10) for at, end in enumerate(ends)]
    (window,) = summarize([MadeRun([*first, *rest])], CLOSED).windows
    assert window.end_s == pytest.approx(2.0)


@pytest.mark.parametrize("whole", [False, True])
def test_the_studys_rate_is_all_tokens_over_all_time(whole: bool) -> None:
    """One after the other, with a cold start of 5 s: it is in that figure and in no other."""
    first = answered(0, 0.0, sent_s=5.0, scheduled_s=0.0, cold=True)
    rest = [answered(at, 5.4 + 0.4 * (at - 1)) for at in range(1, 50)]
    load = Load(kind="closed", concurrency=1)
    stage = summarize([MadeRun([first, *rest])], load, whole=whole)
    assert stage.numbers.study_tokens_per_s == pytest.approx(50 * (INPUT + TOKENS) / 25)
    assert value(stage.numbers.total_tokens_per_s) == pytest.approx(
        (INPUT + TOKENS) / 0.4, rel=0.02
    )
    assert [cold.ttft_ms for cold in stage.cold] == [pytest.approx(5100)]
    assert stage.excluded.cold == 1
    assert stage.numbers.requests == 49
    assert stage.windows[0].start_s >= 5.1, "what waits for the model to load says nothing of it"


@pytest.mark.parametrize("whole", [False, True])
def test_three_answers_bound_no_rate(whole: bool) -> None:
    """They are cut into dozens of slices and stay three: of such bounds 4 in 10 missed the rate."""
    few, enough = (
        summarize([noisy(1, users=1, requests=count)], replace(CLOSED, concurrency=1), whole=whole)
        for count in (3, 8)
    )
    assert few.numbers.requests_per_s is not None
    assert few.numbers.requests_per_s.low is None
    assert few.numbers.output_tokens_per_s is not None
    assert few.numbers.output_tokens_per_s.high is None
    assert enough.numbers.requests_per_s is not None
    assert enough.numbers.requests_per_s.low is not None


def test_warm_up_is_left_out_and_counted() -> None:
    run = closed(change=lambda at, _, one: replace(one, warmup=at < 8))
    stage = summarize([run], CLOSED)
    assert stage.excluded.warmup == 8
    assert stage.numbers.requests == 192
    assert len(stage.columns) == 200
    assert sum(stage.columns.counted) == 192


def test_a_warm_up_that_is_still_answered_is_the_servers_work() -> None:
    """One long answer of the warm-up, 3 s of its 4 in the window: its tokens were made there."""
    long = replace(answered(0, 0.0, output_tokens=400), first_s=0.1, last_s=4.1, ended_s=4.1)
    rest = [answered(at, 1.1 + 0.5 * (at - 1), output_tokens=10) for at in range(1, 11)]
    load = Load(kind="closed", concurrency=2)
    stage = summarize([MadeRun([replace(long, warmup=True), *rest])], load, whole=True)
    seconds = stage.windows[0].seconds
    assert value(stage.numbers.output_tokens_per_s) == pytest.approx((300 + 100) / seconds)
    assert stage.numbers.requests == 10


def test_tokens_that_come_together_are_told_apart() -> None:
    """Four reads of four tokens, 80 ms apart: 20 ms a token between reads, by what reads brought;
    TPOT has one token only in the first read, as its definition says."""
    records = [
        answered(at, 0.5 * at, gaps_ms=(80.0,) * 3, first_s=0.5 * at + 0.1, last_s=0.5 * at + 0.34)
        for at in range(100)
    ]
    numbers = summarize([MadeRun(records)], Load(kind="constant", requests_per_s=2)).numbers
    assert median(numbers.itl_ms) == pytest.approx(20)
    assert median(numbers.tpot_ms) == pytest.approx(240 / 15)


def test_answers_of_one_token_have_no_time_between_tokens() -> None:
    records = [
        answered(at, 0.5 * at, gaps_ms=(), output_tokens=1, last_s=0.5 * at + 0.1)
        for at in range(30)
    ]
    numbers = summarize([MadeRun(records)], Load(kind="constant", requests_per_s=2), SLO).numbers
    assert numbers.tpot_ms is None
    assert numbers.itl_ms is None
    assert value(numbers.slo_share) == 1


def test_what_waited_in_the_client_is_in_the_latency() -> None:
    """The coordinated omission trap: due every 10 ms, one connection, a server that stalls for 2 s.

    From sending every answer but one took 8 ms. From when they were due, half of them waited.
    """
    records, free = [], 0.0
    for at in range(1000):
        due = at * 0.01
        sent = max(due, free)
        took = 2.0 if at == 500 else 0.008
        free = sent + took
        records.append(
            Record(
                index=at, scheduled_s=due, sent_s=sent, first_s=free, last_s=free, ended_s=free,
                input_tokens=1, output_tokens=1,
            )
        )  # fmt: skip
    stage = summarize([MadeRun(records)], Load(kind="constant", requests_per_s=100))
    numbers = stage.numbers
    assert numbers.requests == 1000, "what came before the stall belongs to it"
    assert stage.stability is not None
    assert stage.stability.verdict == "not steady"
    assert numbers.ttft_from_send_ms is not None
    assert numbers.ttft_ms is not None
    assert value(numbers.ttft_from_send_ms.p99) == pytest.approx(8, abs=0.1)
    assert value(numbers.ttft_ms.p99) > 1900
    assert value(numbers.ttft_ms.p90) > 1000


def test_errors_are_misses_and_no_latencies() -> None:
    """Every fourth fails at once: a server that refuses fast isn't a fast server."""
    run = MadeRun(
        [failed(at, at * 0.1) if at % 4 == 0 else answered(at, at * 0.1) for at in range(200)]
    )
    numbers = summarize([run], Load(kind="constant", requests_per_s=10), SLO).numbers
    assert numbers.errors == {"server": 50}
    assert numbers.completed == 150
    assert value(numbers.slo_share) == pytest.approx(0.75)
    assert value(numbers.goodput_per_s) == pytest.approx(7.5, rel=0.05)
    assert median(numbers.ttft_ms) == pytest.approx(100)


def test_half_of_the_requests_too_slow() -> None:
    run = closed(change=lambda at, _, one: slower(one, 2.0) if at % 2 else one)
    numbers = summarize([run], CLOSED, SLO).numbers
    assert value(numbers.slo_share) == pytest.approx(0.5, abs=0.02)
    assert value(numbers.goodput_per_s) == pytest.approx(
        value(numbers.requests_per_s) / 2, rel=0.05
    )


def test_groups_are_told_apart() -> None:
    run = closed(change=lambda at, _, one: replace(one, group="long" if at % 2 else "short"))
    stage = summarize([run], CLOSED, SLO)
    assert set(stage.groups) == {"long", "short"}
    assert stage.groups["long"].requests == 100


def test_a_beginning_that_is_slower_is_left_out() -> None:
    """The first 8 s of 50 take three times as long."""
    run = closed(requests=440, change=lambda _, due, one: slower(one, 3.0) if due < 8 else one)
    stage = summarize([run], CLOSED)
    (window,) = stage.windows
    assert 8 <= window.start_s <= 13
    assert "MSER" in window.how
    assert stage.excluded.before_window >= 20
    assert value(stage.numbers.requests_per_s) == pytest.approx(10, rel=0.01)
    whole = summarize([run], CLOSED, whole=True)
    assert value(whole.numbers.requests_per_s) < 9.5
    assert whole.excluded.before_window == 0


def test_nothing_is_left_out_of_noise() -> None:
    windows = [summarize([noisy(seed)], CLOSED).windows[0] for seed in range(8)]
    assert sum(window.start_s > 0 for window in windows) <= 1


def test_an_open_loop_over_the_servers_limit_is_never_steady() -> None:
    """10 a second are due where 8 can be answered: what waits grows for as long as it lasts."""
    free, records = [0.0] * 4, []
    for at in range(400):
        server = min(range(4), key=free.__getitem__)
        begin = max(free[server], at * 0.1)
        free[server] = begin + 0.5
        records.append(
            Record(
                index=at, scheduled_s=at * 0.1, sent_s=at * 0.1, first_s=begin + 0.1,
                last_s=begin + 0.5, ended_s=begin + 0.5, input_tokens=10, output_tokens=16,
            )
        )  # fmt: skip
    stage = summarize([MadeRun(records)], Load(kind="constant", requests_per_s=10))
    assert stage.stability is not None
    assert stage.stability.verdict == "not steady"
    assert "more came than was answered" in stage.stability.why


def test_a_poisson_run_below_the_limit_is_steady() -> None:
    draw, due, records = Random(2), 0.0, []
    for at in range(600):
        due += draw.expovariate(10)
        records.append(slower(answered(at, due), draw.uniform(0.9, 1.1)))
    stage = summarize([MadeRun(records)], Load(kind="poisson", requests_per_s=10), SLO)
    assert stage.stability is not None
    assert stage.stability.verdict == "stable", stage.stability.why
    assert value(stage.numbers.requests_per_s) == pytest.approx(600 / due, rel=0.05)


def test_runs_that_differ_ask_for_more() -> None:
    """Means 100 %, 94 %: two runs are never enough for that."""
    stage = summarize([noisy(1), noisy(2, by=1.06)], CLOSED)
    assert stage.stability is not None
    assert stage.stability.verdict == "unstable"
    assert stage.stability.more_runs is not None
    assert stage.stability.more_runs >= 2
    steady = summarize([noisy(1), noisy(2), noisy(3)], CLOSED).stability
    assert steady is not None
    assert steady.verdict == "stable", steady.why
    assert steady.more_runs == 0


def test_a_handful_of_requests_is_too_short() -> None:
    found = summarize([closed(requests=12)], CLOSED).stability
    assert found is not None
    assert found.verdict == "too short"
    assert found.more_runs is None


def test_runs_are_pooled_and_kept_apart() -> None:
    stage = summarize([noisy(1), noisy(2, by=2.0)], CLOSED, SLO)
    first, second = stage.by_run["output_tokens_per_s"]
    assert first is not None
    assert second is not None
    assert first / second == pytest.approx(2, rel=0.02)
    assert stage.numbers.requests == 400
    assert stage.wall_s == pytest.approx(20 + 40, rel=0.05)
    assert {*stage.columns.run} == {0, 1}


def test_slices_hold_all_of_the_runs() -> None:
    stage = summarize([noisy(1), noisy(2)], CLOSED)
    slices = stage.slices
    assert sum(slices.output_tokens) == pytest.approx(400 * TOKENS, rel=1e-3)
    assert sum(slices.completed) == pytest.approx(400, rel=1e-3)
    in_flight_s = sum(slices.in_flight) * slices.seconds
    assert in_flight_s == pytest.approx(400 * REQUEST_S, rel=0.02)


def test_a_generator_that_was_the_limit_is_told() -> None:
    health = GeneratorHealth(
        lag_p50_ms=1, lag_p99_ms=50, lag_max_ms=80, stall_p99_ms=1, stall_max_ms=2, cpu_share=1,
        held=0, reconnects=0, reasons=("dispatch lag p99 of 50 ms",),
    )  # fmt: skip
    stage = summarize([MadeRun(closed().records, health)], CLOSED)
    assert any("the generator was the limit" in note for note in stage.notes)


def test_what_a_stopped_run_lost_is_told() -> None:
    run = replace(closed(), unfinished=3, dropped_turns=2)
    notes = summarize([run], CLOSED).notes
    assert any("3 then in flight" in note for note in notes)
    assert any("2 later turns" in note for note in notes)


def test_answers_without_usage_are_told() -> None:
    run = closed(change=lambda at, _, one: replace(one, output_tokens=None) if at == 9 else one)
    stage = summarize([run], CLOSED)
    assert any("1 of 200 answers came without usage" in note for note in stage.notes)
    assert stage.numbers.study_tokens_per_s is None


def test_rates_of_tokens_that_nobody_counted_are_unknown() -> None:
    run = closed(change=lambda _, __, one: replace(one, output_tokens=None, input_tokens=None))
    stage = summarize([run], CLOSED)
    assert stage.numbers.output_tokens_per_s is None
    assert stage.numbers.total_tokens_per_s is None
    assert value(stage.numbers.requests_per_s) == pytest.approx(4 / REQUEST_S, rel=0.02)
    assert any("rates of tokens are unknown" in note for note in stage.notes)
    assert stage.stability is not None
    assert (stage.stability.verdict, stage.stability.figure) == ("stable", "requests_per_s")


def test_answers_in_one_piece_have_no_time_between_tokens() -> None:
    """A server that doesn't stream: 0 ms a token would be faster than any hardware is."""
    run = closed(change=lambda _, __, one: replace(one, gaps_ms=(), first_s=one.last_s))
    stage = summarize([run], CLOSED, Slo(ttft_ms=1000, tpot_ms=25))
    assert stage.numbers.tpot_ms is None
    assert stage.metrics.tpot_ms is None
    assert value(stage.numbers.slo_share) == 1
    assert any("200 of 200 answers came in one piece" in note for note in stage.notes)
    assert not any("one piece" in note for note in summarize([closed()], CLOSED).notes)


def test_a_run_in_which_nothing_was_answered() -> None:
    stage = summarize([MadeRun([failed(at, at * 0.1) for at in range(30)])], CLOSED, SLO)
    assert stage.numbers.completed == 0
    assert stage.numbers.ttft_ms is None
    assert value(stage.numbers.slo_share) == 0
    assert value(stage.numbers.goodput_per_s) == 0


def test_a_run_that_was_over_before_its_warm_up() -> None:
    """Nothing is measured of it, but it is drawn like any other."""
    run = closed(requests=40, change=lambda _, __, one: slower(replace(one, warmup=True), 100.0))
    stage = summarize([run, closed(requests=4)], CLOSED, SLO)
    assert stage.excluded.warmup == 40
    assert stage.numbers.requests == 4
    assert len(stage.slices) <= 2600
    alone = summarize([run], CLOSED, SLO)
    assert (alone.numbers.requests, alone.numbers.output_tokens_per_s) == (0, None)


def test_a_run_that_was_stopped_before_any_answer() -> None:
    stage = summarize([MadeRun([])], CLOSED, SLO)
    assert stage.numbers.requests == 0
    assert stage.stability is not None
    assert stage.stability.verdict == "too short"


def test_the_metrics_have_the_joules_and_dollars() -> None:
    """A half of the tokens met the service level: each of them costs twice."""
    run = closed(change=lambda at, _, one: slower(one, 2.0) if at % 2 else one)
    energy = Energy(
        seconds=10, output_tokens=100, total_tokens=200, requests=5, source="measured-rapl",
        joules_per_output_token=Spread(2.0, 1.9, 2.1),
    )  # fmt: skip
    served = Served(
        seconds=10, requests=5, input_tokens=1, output_tokens=1, ttft_s=0.1, request_s=1,
        at_once=1, busy_share=1,
    )  # fmt: skip
    ways = (
        Cost(kind="api", name="some", title="an API", usd_per_output_mtok=9.0),
        Cost(kind="own", name="own", title="owned", usd_per_output_mtok=3.0),
    )
    stage = valued(summarize([run], CLOSED, SLO), energy, Costs(served=served, ways=ways))
    assert stage.metrics.joules_per_output_token == Spread(2.0, 1.9, 2.1)
    assert stage.metrics.energy_source == "measured-rapl"
    assert stage.metrics.usd_per_mtok is not None
    assert stage.metrics.usd_per_mtok.median == pytest.approx(6.0, rel=0.05)
