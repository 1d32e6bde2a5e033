"""Sweeps and searches performed over a server whose queue is known."""

from __future__ import annotations

import asyncio
import sys
from dataclasses import dataclass, field, replace

import pytest

from pilotlight.bench.health import GeneratorHealth
from pilotlight.bench.load import Load
from pilotlight.bench.measure import Measured, load_name, measure
from pilotlight.bench.profile.goodput import Search
from pilotlight.bench.profile.perform import holds, search, sweep
from pilotlight.bench.profile.profile import Profile, perform
from pilotlight.bench.profile.repeats import Repeats
from pilotlight.bench.profile.sweep import Climb
from pilotlight.bench.record import Record
from pilotlight.bench.run import Run
from pilotlight.bench.slo import Slo
from pilotlight.bench.subjects import Subject
from pilotlight.bench.summarize import summarize
from pilotlight.bench.workloads.registry import prepare
from pilotlight.errors import BenchError

SLO = Slo(ttft_ms=300.0, share=0.95)
HEALTH = GeneratorHealth(
    lag_p50_ms=0.0, lag_p99_ms=0.0, lag_max_ms=0.0, stall_p99_ms=0.0, stall_max_ms=0.0,
    cpu_share=0.0, held=0, reconnects=0,
)  # fmt: skip


@dataclass
class Queue:
    """`slots` requests at a time, each of which takes 100 ms and makes ten tokens."""

    slots: int
    loads: list[Load] = field(default_factory=list)
    stops_after: int | None = None
    interrupts: bool = False
    """Whether that is Ctrl-C between two runs, or in the last one."""

    def __call__(self, load: Load, *, name: str | None = None) -> Measured:
        self.loads.append(load)
        records = tuple(self._records(load))
        stopped = len(self.loads) == self.stops_after
        if stopped and self.interrupts:
            raise KeyboardInterrupt
        run = Run(
            load=load, records=records, health=HEALTH, started_at=0.0, started_s=0.0,
            sending_s=load.duration_s or 0.0, wall_s=max(one.ended_s for one in records),
            ended_by="stopped" if stopped else "duration",
        )  # fmt: skip
        stage = summarize([run], load, SLO, name=name or load_name(load))
        return Measured(stage=stage, runs=(run,))

    def _records(self, load: Load) -> list[Record]:
        free_s = [0.0] * self.slots
        found: list[Record] = []
        for due_s in self._due(load):
            slot = min(range(self.slots), key=lambda at: free_s[at])
            begins_s = max(due_s, free_s[slot])
            free_s[slot] = begins_s + 0.1
            found.append(
                Record(
                    index=len(found),
                    scheduled_s=due_s,
                    sent_s=due_s,
                    first_s=begins_s + 0.01,
                    last_s=begins_s + 0.1,
                    ended_s=begins_s + 0.1,
                    input_tokens=5,
                    output_tokens=10,
                )
            )
        return found

    def _due(self, load: Load) -> list[float]:
        if load.kind != "closed":
            rate = load.requests_per_s or 1.0
            return [nth / rate for nth in range(int((load.duration_s or 1.0) * rate))]
        users = load.concurrency or 1
        rounds = int(60 * min(users, self.slots) / users)
        wait_s = 0.1 * max(1.0, users / self.slots)
        return sorted(nth * wait_s for nth in range(rounds) for _ in range(users))


CLOSED = Load(kind="closed", duration_s=6.0)
OPEN = Load(kind="poisson", requests_per_s=1.0, duration_s=10.0)


def test_a_sweep_chooses_the_fewest_users_with_all_the_throughput() -> None:
    queue = Queue(slots=4)
    found = sweep(queue, CLOSED, Climb())
    users = [load.concurrency for load in queue.loads]
    assert users == [1, 2, 4, 8, 16]
    assert found.stages[found.chosen].name == "4 at once"
    assert "4 at once is the fewest" in found.notes[0]


@pytest.mark.parametrize("kind", ["closed", "sweep", "goodput"])
def test_each_load_asks_something_else(kind: str) -> None:
    """A server that caches prefixes would know all prompts of the load before."""
    queue = Queue(slots=2)
    load = OPEN if kind == "goodput" else replace(CLOSED, concurrency=2)
    perform(Profile(kind=kind, loads=(load,) * 3), queue, SLO)  # type: ignore[arg-type]
    seeds = [load.seed for load in queue.loads]
    assert len(set(seeds)) == len(seeds) >= 3


def test_a_search_finds_what_the_queue_can_take() -> None:
    """Four at a time, 100 ms each: 40 a second, and beyond it the queue grows."""
    found = search(Queue(slots=4), OPEN, Search(start=3.0, resolution=0.05), SLO.share)
    chosen = found.stages[found.chosen]
    assert chosen.load is not None
    assert 37 <= (chosen.load.requests_per_s or 0) <= 40
    assert holds(chosen, SLO.share)
    assert chosen.name.endswith("(confirm)")


def test_a_slow_rate_is_watched_for_longer() -> None:
    queue = Queue(slots=1)
    search(queue, OPEN, Search(start=1.0, most=1.0), SLO.share)
    assert queue.loads[0].duration_s == 40.0, "40 requests, for a share of 95 % to mean anything"


def test_a_search_without_a_rate_begins_at_what_one_user_gets() -> None:
    queue = Queue(slots=2)
    perform(Profile(kind="goodput", loads=(OPEN,)), queue, SLO)
    alone, first = queue.loads[:2]
    assert (alone.kind, alone.concurrency, alone.duration_s) == ("closed", 1, None)
    assert first.requests_per_s == pytest.approx(10.0)


def test_a_search_needs_a_service_level() -> None:
    with pytest.raises(BenchError, match="needs a service level"):
        perform(Profile(kind="goodput", loads=(OPEN,)), Queue(slots=1), None)


@pytest.mark.parametrize("kind", ["sweep", "goodput"])
def test_whoever_stops_it_gets_what_was_measured(kind: str) -> None:
    queue = Queue(slots=4, stops_after=2)
    loads = {"sweep": CLOSED, "goodput": OPEN}
    profile = Profile(kind=kind, loads=(loads[kind],), start_per_s=4.0)  # type: ignore[arg-type]
    found = perform(profile, queue, SLO)
    assert found.stopped
    assert len(found.stages) == len(queue.loads) == 2


@pytest.mark.parametrize("kind", ["closed", "sweep", "goodput"])
def test_ctrl_c_between_two_runs_keeps_those_before(kind: str) -> None:
    queue = Queue(slots=4, stops_after=3, interrupts=True)
    load = OPEN if kind == "goodput" else replace(CLOSED, concurrency=2)
    profile = Profile(kind=kind, loads=(load,) * 4, start_per_s=4.0)  # type: ignore[arg-type]
    found = perform(profile, queue, SLO)
    assert found.stopped
    assert len(found.stages) == 2
    assert 0 <= found.chosen < 2


def test_a_search_that_is_stopped_before_it_begins_goes_no_further() -> None:
    queue = Queue(slots=2, stops_after=1)
    found = perform(Profile(kind="goodput", loads=(OPEN,)), queue, SLO)
    assert found.stopped
    assert len(found.stages) == len(queue.loads) == 1


def test_a_queue_that_grows_does_not_hold() -> None:
    """Its first requests keep the service level, but a longer run wouldn't."""
    slow = Slo(ttft_ms=60_000.0)
    queue = Queue(slots=1)
    load = Load(kind="constant", requests_per_s=15.0, duration_s=20.0)
    stage = summarize(queue(load).runs, load, slow)
    assert stage.numbers.slo_share is not None
    assert stage.numbers.slo_share.value == 1.0
    assert not holds(stage, 0.95)


def test_ctrl_c_between_two_runs_keeps_the_first(monkeypatch: pytest.MonkeyPatch) -> None:
    load = Load(kind="closed", concurrency=2, duration_s=4.0)
    made = list(Queue(2)(load).runs)

    def run_here(*args: object, **flags: object) -> Run:
        if not made:
            raise KeyboardInterrupt
        return made.pop()

    module = sys.modules[measure.__module__]
    monkeypatch.setattr(module, "run_here", run_here)
    monkeypatch.setattr(module, "is_cold", lambda subject: False)
    subject = Subject(name="m", url="http://127.0.0.1:1", model="m")
    workload = asyncio.run(prepare("builtin"))
    found = measure(subject, workload, load, repeats=Repeats(least=3, most=3))
    assert found.stopped
    assert found.stage.runs == 1
    assert found.stage.numbers.completed
    with pytest.raises(KeyboardInterrupt):
        measure(subject, workload, load)
