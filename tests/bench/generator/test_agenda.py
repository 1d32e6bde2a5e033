"""What is due when, without any server: sessions, users, counts and ends."""

from __future__ import annotations

import math
from collections.abc import Iterable
from itertools import count
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pilotlight.bench.ask import Ask
from pilotlight.bench.generator.agenda import Agenda
from pilotlight.bench.generator.visit import Visits
from pilotlight.bench.load import Load
from pilotlight.errors import BenchError


def agenda(asks: Iterable[Ask], **load: Any) -> Agenda:
    return Agenda(Load(**load), Visits(asks, "m"))


def endless() -> Iterable[Ask]:
    return (Ask(content=str(number)) for number in count())


def session(name: str, turns: int, think_s: float = 0.0) -> list[Ask]:
    return [
        Ask(content=f"{name}{turn}", session=name, turn=turn, think_s=think_s if turn else 0.0)
        for turn in range(turns)
    ]


def play(found: Agenda, takes_s: float = 1.0) -> list[tuple[float, str]]:
    """A server with room for all, each answer of which takes `takes_s`: what was due, and when."""
    sent: list[tuple[float, str]] = []
    under_way: list[tuple[float, Any]] = []
    while found.next_s < math.inf or under_way:
        end_s = min((moment for moment, _ in under_way), default=math.inf)
        if found.next_s <= end_s:
            due_s, visit = found.take()
            sent.append((due_s, str(visit.ask.content)))
            under_way.append((due_s + takes_s, visit))
        else:
            ended = min(under_way, key=lambda item: item[0])
            under_way.remove(ended)
            found.answered(ended[1], ended[0], "said")
    return sent


def test_a_closed_loops_user_asks_again_when_the_answer_is_in() -> None:
    found = agenda(endless(), kind="closed", concurrency=2, requests=5)
    assert [due_s for due_s, _ in play(found)] == [0.0, 0.0, 1.0, 1.0, 2.0]
    assert found.ended_by == "requests"


def test_a_closed_loop_ends_with_its_time() -> None:
    found = agenda(endless(), kind="closed", concurrency=1, duration_s=3.0)
    assert [due_s for due_s, _ in play(found)] == [0.0, 1.0, 2.0]
    assert found.ended_by == "duration"


def test_a_workload_that_ends_ends_the_run() -> None:
    found = agenda(session("a", 1), kind="closed", concurrency=4, requests=100)
    assert play(found) == [(0.0, "a0")]
    assert found.ended_by == "asks"


def test_a_workload_without_asks_is_over_at_once() -> None:
    found = agenda([], kind="poisson", requests_per_s=5.0)
    assert found.next_s == math.inf
    assert found.ended_by == "asks"


def test_warm_up_requests_come_on_top_of_the_count() -> None:
    found = agenda(endless(), kind="constant", requests_per_s=1.0, requests=2, warmup_requests=3)
    assert len(play(found)) == 5


def test_an_open_loop_does_not_wait_for_answers() -> None:
    found = agenda(endless(), kind="constant", requests_per_s=2.0, duration_s=2.0)
    assert [due_s for due_s, _ in play(found, takes_s=60.0)] == [0.0, 0.5, 1.0, 1.5]
    assert found.ended_by == "duration"


def test_a_turn_follows_its_answer_and_the_time_to_think() -> None:
    found = agenda(session("a", 3, think_s=5.0), kind="constant", requests_per_s=1.0)
    assert play(found) == [(0.0, "a0"), (6.0, "a1"), (12.0, "a2")]


def test_sessions_keep_the_rate_one_of_requests() -> None:
    """A session of three turns takes three arrivals, so the next one comes three later."""
    asks = [*session("a", 3), *session("b", 1), *session("c", 1)]
    found = agenda(asks, kind="constant", requests_per_s=1.0)
    assert play(found, takes_s=0.1) == [
        (0.0, "a0"),
        (pytest.approx(0.1), "a1"),
        (pytest.approx(0.2), "a2"),
        (3.0, "b0"),
        (4.0, "c0"),
    ]


def test_a_user_stays_with_a_session_to_its_end() -> None:
    asks = [*session("a", 2), *session("b", 2)]
    found = agenda(asks, kind="closed", concurrency=1)
    assert [name for _, name in play(found)] == ["a0", "a1", "b0", "b1"]


def test_asks_without_a_session_are_visits_of_their_own() -> None:
    found = agenda([Ask(content="x"), Ask(content="y")], kind="closed", concurrency=2)
    assert play(found) == [(0.0, "x"), (0.0, "y")]


def test_an_error_ends_its_session_and_the_user_goes_on() -> None:
    found = agenda([*session("a", 3), *session("b", 1)], kind="closed", concurrency=1)
    _, visit = found.take()
    found.answered(visit, 1.0, None)
    assert found.dropped_turns == 2
    due_s, visit = found.take()
    assert (due_s, visit.ask.content) == (1.0, "b0")


def test_turns_that_the_count_cut_off_are_said() -> None:
    found = agenda(session("a", 4), kind="constant", requests_per_s=1.0, requests=2)
    assert len(play(found)) == 2
    assert found.dropped_turns == 2


def test_turns_after_the_end_are_said() -> None:
    found = agenda(session("a", 4), kind="constant", requests_per_s=1.0, duration_s=1.5)
    assert len(play(found)) == 2
    assert (found.dropped_turns, found.ended_by) == (2, "duration")


def test_a_turn_carries_what_was_said_before() -> None:
    asks = [Ask(content=text, session="s", turn=turn, system="Be kind.")
            for turn, text in enumerate(("one", "two", "three"))]  # fmt: skip
    found = agenda(asks, kind="closed", concurrency=1)
    for _ in range(2):
        due_s, visit = found.take()
        found.answered(visit, due_s + 1, f"to {visit.ask.content}")
    _, visit = found.take()
    assert msgspec.json.decode(visit.body)["messages"] == [
        {"role": "system", "content": "Be kind."},
        {"role": "user", "content": "one"},
        {"role": "assistant", "content": "to one"},
        {"role": "user", "content": "two"},
        {"role": "assistant", "content": "to two"},
        {"role": "user", "content": "three"},
    ]


def trace(*moments: float | None) -> list[Ask]:
    return [Ask(content=str(number), at_s=at_s) for number, at_s in enumerate(moments)]


def test_a_replay_keeps_the_traces_times_at_its_speed() -> None:
    found = agenda(trace(0.0, 1.0, 1.0, 7.0), kind="replay", speed=2.0)
    assert [due_s for due_s, _ in play(found, takes_s=9.0)] == [0.0, 0.5, 0.5, 3.5]


def test_a_replay_begins_with_its_first_request_whatever_the_date() -> None:
    """A user's own lines may have seconds since 1970: nobody waits that long."""
    found = agenda(trace(1.7e9, 1.7e9 + 1.0, 1.7e9 + 7.0), kind="replay", speed=2.0)
    assert [due_s for due_s, _ in play(found)] == [0.0, 0.5, 3.5]


def test_a_replay_ends_with_its_time() -> None:
    found = agenda(trace(0.0, 1.0, 2.0), kind="replay", duration_s=1.5)
    assert len(play(found)) == 2
    assert found.ended_by == "duration"


def test_a_later_turn_of_a_trace_waits_for_both_its_time_and_the_answer() -> None:
    asks = [Ask(content="a", session="s", at_s=0.0), Ask(content="b", session="s", at_s=5.0)]
    assert play(agenda(asks, kind="replay"), takes_s=1.0)[1] == (5.0, "b")
    assert play(agenda(asks, kind="replay"), takes_s=9.0)[1] == (9.0, "b")


def test_a_replay_without_times_is_refused() -> None:
    with pytest.raises(BenchError, match="time of each request"):
        agenda(trace(None), kind="replay")


def test_a_trace_that_goes_back_in_time_is_refused() -> None:
    with pytest.raises(BenchError, match=r"back in time, from 3\.0 s to 1\.0 s"):
        play(agenda(trace(0.0, 3.0, 1.0), kind="replay"))


@given(
    turns=st.lists(st.integers(1, 5), max_size=12),
    kind=st.sampled_from(["closed", "constant", "poisson"]),
    requests=st.integers(1, 40) | st.none(),
    duration_s=st.floats(0.5, 20) | st.none(),
    takes_s=st.floats(0.1, 5),
    users=st.integers(1, 4),
)
def test_no_ask_is_lost_or_doubled(
    turns: list[int],
    kind: Any,
    requests: int | None,
    duration_s: float | None,
    takes_s: float,
    users: int,
) -> None:
    """Each is sent once, in its session's order, or its session began and it is counted."""
    asks = [ask for number, count in enumerate(turns) for ask in session(f"{number}-", count)]
    found = agenda(
        asks,
        kind=kind,
        concurrency=users,
        requests_per_s=2.0,
        requests=requests,
        duration_s=duration_s,
    )
    sent = play(found, takes_s)
    names = [name for _, name in sent]
    assert len(set(names)) == len(names)
    assert all(due_s < (duration_s or math.inf) for due_s, _ in sent)
    assert len(sent) <= (requests or math.inf)
    begun = {name.split("-")[0] for name in names}
    for number in begun:
        of_it = [name for name in names if name.startswith(f"{number}-")]
        assert of_it == [f"{number}-{turn}" for turn in range(len(of_it))]
    assert len(sent) + found.dropped_turns == sum(turns[int(number)] for number in begun)
    if found.ended_by == "asks":
        assert len(sent) == len(asks)
