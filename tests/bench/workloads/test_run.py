"""Workloads through the load generator: what was made is what the server counts."""

from __future__ import annotations

import itertools
from collections import defaultdict

import pytest

from pilotlight.bench.load import Load
from pilotlight.bench.record import Record
from pilotlight.bench.run import run
from pilotlight.bench.target import Target
from pilotlight.bench.workloads.registry import prepare


async def records(target: Target, text: str, load: Load) -> tuple[Record, ...]:
    workload = await prepare(text, target=target)
    found = tuple((await run(target, workload.asks(), load)).records)
    assert [record.message for record in found if not record.ok] == []
    return found


async def test_prompts_are_as_long_as_asked_for(target: Target) -> None:
    load = Load(kind="closed", concurrency=4, requests=40)
    found = await records(target, "fixed:input=64,output=9", load)
    assert {(record.input_tokens, record.output_tokens) for record in found} == {(64, 9)}
    assert len(found) == 40


async def test_sessions_grow_by_what_was_asked_and_answered(target: Target) -> None:
    load = Load(kind="closed", concurrency=3, requests=24)
    found = await records(target, "sessions:turns=4,input=20,output=5,sessions=6", load)
    talks = defaultdict(list)
    for record in sorted(found, key=lambda record: record.sent_s):
        talks[record.session].append(record)
    assert len(talks) == 6
    for talk in talks.values():
        assert [record.turn for record in talk] == [0, 1, 2, 3]
        lengths = [record.input_tokens or 0 for record in talk]
        gained = {after - before for before, after in itertools.pairwise(lengths)}
        assert len(gained) == 1, "each turn adds the same question, answer and template"
        assert min(gained) >= 25


async def test_a_replay_keeps_the_traces_times(target: Target) -> None:
    load = Load(kind="replay", speed=50)
    found = await records(target, "sample:requests=20,max_input=100,max_output=5", load)
    workload = await prepare("sample:requests=20,max_input=100,max_output=5", target=target)
    due = [(ask.at_s or 0) / 50 for ask in workload.asks()]
    assert [record.scheduled_s for record in found] == pytest.approx(due, abs=1e-6)
    assert {record.input_tokens for record in found if record.index < 3} == {100}
