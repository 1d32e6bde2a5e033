"""Recorded traffic in the two published formats, and what is wrong with a bad line."""

from __future__ import annotations

import pytest

from pilotlight.errors import PlanError
from pilotlight.planner.traces import Arrival, parse_trace
from pilotlight.planner.traffic import from_trace

AZURE = """TIMESTAMP,ContextTokens,GeneratedTokens
2023-11-16 18:15:46.6805900,374,44
2023-11-16 18:15:50.9951690,396,109
2023-11-16 18:15:48.0000000,0,55
"""
MOONCAKE = """{"timestamp": 0, "input_length": 6955, "output_length": 52, "hash_ids": [46, 47]}
{"timestamp": 3000, "input_length": 6472, "output_length": 26, "hash_ids": [46, 47]}
"""


def test_azure_traces_are_sorted_and_counted_from_their_first_request() -> None:
    trace = parse_trace(AZURE.splitlines())
    assert [round(one.at_s, 6) for one in trace.arrivals] == [0, 1.31941, 4.314579]
    assert [one.output_tokens for one in trace.arrivals] == [44, 55, 109]
    assert trace.arrivals[1].input_tokens == 1, "no request is without a prompt"


def test_mooncake_traces_are_in_milliseconds() -> None:
    trace = parse_trace(MOONCAKE.splitlines())
    assert trace.arrivals == (Arrival(0, 6955, 52, (46, 47)), Arrival(3, 6472, 26, (46, 47)))
    assert trace.output_tokens == 39


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "the trace is empty"),
        ("TIMESTAMP,ContextTokens,GeneratedTokens\n", "no request"),
        ("a,b,c\n1,2,3\n", "no column 'timestamp'"),
        (
            AZURE + "2023-11-16 18:15:51,12\n",
            "line 5 of the trace is wrong: '2023-11-16 18:15:51,12'",
        ),
        (AZURE + "yesterday,12,3\n", "line 5"),
        (AZURE + "2023-11-16 18:15:51,-1,3\n", "tokens below zero"),
        (MOONCAKE + '{"timestamp": 1}\n', "line 3"),
        (MOONCAKE + '{"timestamp": NaN, "input_length": 1, "output_length": 1}\n', "line 3"),
    ],
)
def test_a_bad_trace_says_where(text: str, said: str) -> None:
    with pytest.raises(PlanError, match=said):
        parse_trace(text.splitlines())


def test_a_traces_means_become_traffic() -> None:
    lines = [f"{60 * minute},100,{10 + minute % 2}" for minute in range(120)]
    traffic = from_trace(parse_trace(["TIMESTAMP,ContextTokens,GeneratedTokens", *lines]))
    assert traffic.mean_per_s == pytest.approx(1 / 60)
    assert traffic.slot_s == pytest.approx(300)
    assert traffic.output_tokens == 10.5
    assert traffic.requests_per_month == pytest.approx(730 * 60)


def test_one_request_is_one_an_hour() -> None:
    traffic = from_trace(parse_trace(MOONCAKE.splitlines()[:1]))
    assert traffic.mean_per_s == pytest.approx(1 / 3600)
