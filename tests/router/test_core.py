"""The router in virtual time: the production scheduler, driven by hand and by hypothesis."""

from __future__ import annotations

import itertools
import math
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pilotlight.config import ModelSettings
from pilotlight.core import ReplicaState
from pilotlight.errors import (
    DoesNotFitError,
    DrainingError,
    EngineCrashedError,
    EngineGoneError,
    HoldExceededError,
    QueueFullError,
    QueueTimeoutError,
    SourceError,
)
from pilotlight.router.core import RouterCore, backoff_s
from pilotlight.router.decisions import Drain, Resolve, Sleep, Start, Stop, Wake
from pilotlight.router.events import (
    DrainBegan,
    LoadWanted,
    ModelChanged,
    ReplicaEnded,
    ResolveFailed,
    StopWanted,
    Ticked,
)
from pilotlight.router.simulation import Behaviour, Outcome, Simulation

MODEL = ModelSettings(ref="fake:a")
ENDLESS = 10_000.0


def check(core: RouterCore, now: float) -> None:
    """What must hold after every event, whatever happened."""
    state = core.state
    assert state.charged_bytes <= state.capacity_bytes
    for replica in state.replicas.values():
        assert len(replica.in_flight) <= replica.slots
        if replica.in_flight:
            assert replica.state in (ReplicaState.READY, ReplicaState.DRAINING)
    for model in state.models.values():
        replicas = list(state.of(model.name))
        if any(r.open for r in replicas):
            assert not model.queue, "a request waits beside a free slot"
        leaving = sum(r.state is ReplicaState.DRAINING or r.outdated for r in replicas)
        assert len(replicas) <= max(model.settings.max, model.settings.min) + leaving
    assert core.deadline_s(now) > now


def simulate(
    models: dict[str, ModelSettings],
    behaviours: dict[str, Behaviour],
    capacity_bytes: int = 100,
    swap_patience_s: float = 5.0,
) -> Simulation:
    core = RouterCore(
        models, capacity_bytes=capacity_bytes, swap_patience_s=swap_patience_s, drain_s=30.0
    )
    return Simulation(core, behaviours, check)


def decisions(simulation: Simulation, kind: type) -> list[float]:
    return [when for when, decision in simulation.log if isinstance(decision, kind)]


def state_of(simulation: Simulation, model: str) -> list[ReplicaState]:
    return [replica.state for replica in simulation.core.state.of(model)]


def test_many_waiters_share_one_load() -> None:
    sim = simulate({"a": MODEL}, {"a": Behaviour(50, slots=4, load_s=2.0, service_s=1.0)})
    outcomes = [sim.submit(0.1 * n, "a") for n in range(8)]
    sim.run(ENDLESS)
    assert len(decisions(sim, Start)) == 1
    assert [round(outcome.granted_s or -1, 6) for outcome in outcomes] == [2.0] * 4 + [3.0] * 4


def test_idle_goes_to_zero_after_keep_alive_and_comes_back() -> None:
    sim = simulate({"a": replace(MODEL, keep_alive=60.0)}, {"a": Behaviour(50, load_s=2.0)})
    sim.submit(0.0, "a")
    sim.run(100.0)
    assert decisions(sim, Stop) == [3.0 + 60.0]
    again = sim.submit(100.0, "a")
    sim.run(200.0)
    assert again.granted_s == 102.0


def test_min_is_brought_up_without_a_request_and_stays() -> None:
    sim = simulate({"a": replace(MODEL, min=1, keep_alive=1.0)}, {"a": Behaviour(50)})
    sim.at(0.0, Ticked())
    sim.run(ENDLESS)
    assert state_of(sim, "a") == [ReplicaState.READY]
    assert len(decisions(sim, Start)) == 1


def test_a_stopped_min_model_waits_for_the_next_request() -> None:
    sim = simulate({"a": replace(MODEL, min=1)}, {"a": Behaviour(50)})
    sim.at(0.0, Ticked())
    sim.at(5.0, StopWanted("a"))
    sim.run(50.0)
    assert state_of(sim, "a") == []
    wanted = sim.submit(50.0, "a")
    sim.run(60.0)
    assert wanted.granted_s == 51.0


def test_a_changed_model_is_replaced_before_its_old_replica_leaves() -> None:
    sim = simulate({"a": MODEL}, {"a": Behaviour(50, load_s=2.0, service_s=0.5, slots=2)})
    outcomes = [sim.submit(0.5 * n, "a") for n in range(40)]
    sim.at(5.0, ModelChanged("a"))
    sim.run(30.0)
    assert decisions(sim, Start) == [0.0, 5.0]
    assert decisions(sim, Drain)[0] == 7.0
    assert all(outcome.waited_s == 0 for outcome in outcomes if outcome.arrived_s >= 5)


def test_without_room_for_two_a_changed_model_hands_over() -> None:
    sim = simulate({"a": MODEL}, {"a": Behaviour(60, load_s=2.0, service_s=1.0)})
    running, waiting = sim.submit(3.0, "a"), sim.submit(5.5, "a")
    sim.at(5.3, ModelChanged("a"))
    sim.run(30.0)
    assert (running.granted_s, running.error) == (5.0, None)
    assert (waiting.granted_s, waiting.error) == (8.1, None)


def test_every_replica_of_a_changed_model_is_replaced_once_one_by_one() -> None:
    model = replace(MODEL, min=3, max=3)
    sim = simulate({"a": model}, {"a": Behaviour(20, load_s=2.0)})
    sim.at(0.0, Ticked())
    sim.at(20.0, ModelChanged("a"))
    sim.run(100.0)
    assert len(decisions(sim, Start)) == 6
    assert decisions(sim, Drain) == [22.0, 24.0, 26.0]
    assert state_of(sim, "a") == [ReplicaState.READY] * 3
    assert {r.version for r in sim.core.state.of("a")} == {1}


def test_sleeps_then_wakes_faster_than_a_load() -> None:
    model = replace(MODEL, sleep_after=10.0, keep_alive=1000.0)
    sim = simulate(
        {"a": model}, {"a": Behaviour(50, load_s=5.0, wake_s=0.5, can_sleep=True, asleep_bytes=5)}
    )
    sim.submit(0.0, "a")
    sim.run(30.0)
    assert state_of(sim, "a") == [ReplicaState.ASLEEP]
    assert sim.core.state.charged_bytes == 5
    woken = sim.submit(30.0, "a")
    sim.run(40.0)
    assert woken.waited_s == 0.5
    assert len(decisions(sim, Sleep)) == len(decisions(sim, Wake)) == 1


def test_an_engine_that_cannot_sleep_is_not_asked_to() -> None:
    model = replace(MODEL, sleep_after=10.0, keep_alive=50.0)
    sim = simulate({"a": model}, {"a": Behaviour(50, can_sleep=False)})
    sim.submit(0.0, "a")
    sim.run(ENDLESS)
    assert decisions(sim, Sleep) == []
    assert decisions(sim, Stop) == [52.0]


def test_an_idle_model_makes_room_at_once() -> None:
    sim = simulate({"a": MODEL, "b": MODEL}, {"a": Behaviour(60), "b": Behaviour(60)})
    sim.submit(0.0, "a")
    second = sim.submit(10.0, "b")
    sim.run(20.0)
    assert second.waited_s == pytest.approx(1.1)  # a's stop, then b's load
    assert [d.replica for _, d in sim.log if isinstance(d, Drain)] == ["a-1"]


def test_the_least_likely_to_be_used_again_leaves() -> None:
    models = {"hot": MODEL, "cold": MODEL, "new": MODEL}
    behaviours = dict.fromkeys(models, Behaviour(50, service_s=0.01))
    sim = simulate(models, behaviours)
    sim.submit(0.0, "cold")
    for n in range(30):
        sim.submit(1.0 + 3 * n, "hot")
    sim.submit(91.0, "new")
    sim.run(95.0)
    assert [d.replica for _, d in sim.log if isinstance(d, Drain)] == ["cold-1"]


def test_no_more_leave_than_must() -> None:
    models = dict.fromkeys(("small", "large", "new"), MODEL)
    sim = simulate(models, {"small": Behaviour(10), "large": Behaviour(70), "new": Behaviour(80)})
    sim.submit(0.0, "small")
    sim.submit(0.0, "large")
    sim.submit(50.0, "new")
    sim.run(60.0)
    assert [d.replica for _, d in sim.log if isinstance(d, Drain)] == ["large-1"]


def test_min_models_are_never_evicted_and_the_refusal_says_what_is_left() -> None:
    models = {"kept": replace(MODEL, min=1), "big": MODEL}
    sim = simulate(models, {"kept": Behaviour(60), "big": Behaviour(60)})
    sim.at(0.0, Ticked())
    refused = sim.submit(5.0, "big")
    sim.run(6.0)
    assert isinstance(refused.error, DoesNotFitError)
    assert state_of(sim, "kept") == [ReplicaState.READY]


def test_larger_than_the_machine_is_refused_at_once() -> None:
    sim = simulate({"a": MODEL}, {"a": Behaviour(101)})
    refused = sim.submit(0.0, "a")
    sim.run(1.0)
    assert isinstance(refused.error, DoesNotFitError)
    assert decisions(sim, Start) == []


def test_two_busy_models_take_turns_within_the_bound() -> None:
    """Neither starves: a turn lasts `swap_patience`, then the other is loaded."""
    patience_s, load_s, service_s = 5.0, 1.0, 0.5
    behaviour = Behaviour(60, slots=2, load_s=load_s, service_s=service_s)
    model = replace(MODEL, queue=1000, queue_timeout=1000.0, hold=1000.0)
    sim = simulate(
        {"a": model, "b": model}, {"a": behaviour, "b": behaviour}, swap_patience_s=patience_s
    )
    outcomes = [sim.submit(0.4 * n, "ab"[n % 2]) for n in range(100)]
    sim.run(ENDLESS)
    waits = [outcome.waited_s for outcome in outcomes]
    assert all(wait is not None for wait in waits)
    swap_s = service_s + behaviour.stop_s + load_s
    assert max(w for w in waits if w is not None) <= 2 * (patience_s + swap_s)
    starts = [when for when in decisions(sim, Start) if when < 40.0]  # while requests arrive
    gaps = [later - earlier for earlier, later in itertools.pairwise(starts[1:])]
    assert min(gaps) >= patience_s, "swapped before a turn was over"


def test_a_large_model_is_not_starved_by_a_small_one_that_fits_beside_it() -> None:
    """The small one's place in memory is free again at every turn; it must not be retaken."""
    patient = replace(MODEL, queue=2000, queue_timeout=5000.0, hold=5000.0)
    sim = simulate(
        {"small": patient, "large": patient},
        {"small": Behaviour(50, service_s=1.0), "large": Behaviour(100, service_s=1.0)},
        capacity_bytes=101,
        swap_patience_s=5.0,
    )
    for n in range(400):
        sim.submit(0.5 * n, "small")
    wanted = sim.submit(10.0, "large")
    sim.run(60.0)
    assert wanted.waited_s is not None
    assert wanted.waited_s <= 5.0 + 1.0 + 0.1 + 1.0 + 0.1
    sim.run(ENDLESS)
    assert all(outcome.done_s is not None for outcome in sim.outcomes.values())


def test_a_small_model_still_takes_what_a_waiting_large_one_leaves_over() -> None:
    sim = simulate(
        {"busy": MODEL, "large": MODEL, "small": MODEL},
        {
            "busy": Behaviour(60, service_s=30.0),
            "large": Behaviour(80),
            "small": Behaviour(15),
        },
        swap_patience_s=5.0,
    )
    sim.submit(0.0, "busy")
    large = sim.submit(5.0, "large")
    small = sim.submit(6.0, "small")
    sim.run(100.0)
    assert small.granted_s == 7.0
    assert large.granted_s is not None


def test_min_counts_who_is_awake() -> None:
    """Two slept and nobody was woken for `min`."""
    model = replace(MODEL, min=1, max=2, sleep_after=10.0, keep_alive=1000.0)
    behaviour = Behaviour(40, service_s=2.0, can_sleep=True, asleep_bytes=2)
    sim = simulate({"a": model}, {"a": behaviour})
    for _ in range(3):
        sim.submit(0.0, "a")
    sim.run(200.0)
    assert sorted(state_of(sim, "a")) == [ReplicaState.ASLEEP, ReplicaState.READY]
    sim.run(5000.0)
    assert state_of(sim, "a") == [ReplicaState.READY]


def test_an_id_is_never_given_twice() -> None:
    sim = simulate({"a": replace(MODEL, keep_alive=1.0)}, {"a": Behaviour(50)})
    for n in range(3):
        sim.submit(100.0 * n, "a")
    sim.run(1000.0)
    started = [d.replica for _, d in sim.log if isinstance(d, Start)]
    assert started == ["a-1", "a-2", "a-3"]


def test_failed_fetches_are_no_crashes() -> None:
    core = RouterCore({"a": MODEL}, capacity_bytes=100)
    sim = Simulation(core, {"a": Behaviour(50)}, check)
    for n in range(5):
        core.handle(ResolveFailed("a", SourceError("offline")), float(n))
    served = sim.submit(100.0, "a")
    sim.at(101.5, ReplicaEnded("a-1", EngineCrashedError("once")))
    sim.run(200.0)
    assert served.granted_s == 101.0
    assert not core.state.models["a"].given_up


def test_who_made_way_serves_on_when_the_other_gives_up() -> None:
    impatient = replace(MODEL, hold=7.0)
    patient = replace(MODEL, queue_timeout=1000.0)
    sim = simulate(
        {"a": patient, "b": impatient},
        {"a": Behaviour(60, service_s=20.0), "b": Behaviour(60)},
        swap_patience_s=5.0,
    )
    sim.submit(0.0, "a")
    lost = sim.submit(2.0, "b")
    next_a = sim.submit(3.0, "a")
    sim.run(100.0)
    assert isinstance(lost.error, HoldExceededError)
    assert next_a.granted_s == 21.0
    assert len(decisions(sim, Start)) == 1


def test_more_replicas_come_only_into_free_memory() -> None:
    busy = replace(MODEL, max=3)
    sim = simulate(
        {"a": busy, "b": MODEL}, {"a": Behaviour(40, service_s=50.0), "b": Behaviour(20)}
    )
    sim.submit(0.0, "b")
    for n in range(3):
        sim.submit(5.0 + n, "a")
    sim.run(20.0)
    assert state_of(sim, "a") == [ReplicaState.READY] * 2
    assert state_of(sim, "b") == [ReplicaState.READY]


def test_a_full_queue_refuses_with_the_measured_wait() -> None:
    sim = simulate({"a": replace(MODEL, queue=2)}, {"a": Behaviour(50, service_s=2.0)})
    sim.submit(0.0, "a")
    sim.run(10.0)
    for n in range(3):
        sim.submit(10.0 + n / 10, "a")
    late = sim.submit(10.5, "a")
    sim.run(11.0)
    assert isinstance(late.error, QueueFullError)
    assert late.error.retry_after_s == pytest.approx(2.0 * 3)


def test_the_queue_has_a_deadline() -> None:
    sim = simulate({"a": replace(MODEL, queue_timeout=10.0)}, {"a": Behaviour(50, service_s=60.0)})
    sim.submit(0.0, "a")
    waits = sim.submit(2.0, "a")
    sim.run(20.0)
    assert isinstance(waits.error, QueueTimeoutError)


def test_hold_ends_a_wait_with_the_measured_eta() -> None:
    behaviour = Behaviour(50, load_s=30.0)
    sim = simulate({"a": replace(MODEL, hold=10.0)}, {"a": behaviour})
    waits = sim.submit(0.0, "a")
    sim.run(11.0)
    assert isinstance(waits.error, HoldExceededError)
    assert waits.error.retry_after_s == pytest.approx(20.0)
    sim.run(40.0)
    assert state_of(sim, "a") == [ReplicaState.READY], "the load outlives who asked for it"


def test_crashes_back_off_and_end_with_the_last_words() -> None:
    model = replace(MODEL, max_crashes=3, hold=1000.0)
    sim = simulate({"a": model}, {"a": Behaviour(50, load_s=5.0)})
    waits = sim.submit(0.0, "a")
    for when_s, replica in ((1.0, "a-1"), (2.0, "a-2"), (4.5, "a-3")):
        sim.at(when_s, ReplicaEnded(replica, EngineCrashedError("out of spoons")))
    sim.run(100.0)
    assert decisions(sim, Start) == [0.0, 1.0, 3.0]  # at once, then a second later
    assert isinstance(waits.error, EngineGoneError)
    assert "out of spoons" in str(waits.error)
    refused = sim.submit(100.0, "a")
    sim.run(101.0)
    assert isinstance(refused.error, EngineGoneError)
    sim.at(101.0, LoadWanted("a"))
    forgiven = sim.submit(101.0, "a")
    sim.run(120.0)
    assert forgiven.granted_s == 106.0


def test_queued_requests_are_served_by_the_restarted_replica() -> None:
    sim = simulate({"a": MODEL}, {"a": Behaviour(50, load_s=1.0, service_s=10.0)})
    sim.submit(0.0, "a")
    queued = sim.submit(0.5, "a")
    sim.at(3.0, ReplicaEnded("a-1", EngineCrashedError("killed")))
    sim.run(30.0)
    assert queued.granted_s == 4.0


def test_backoff_grows_to_its_bound() -> None:
    assert [backoff_s(n) for n in (0, 1, 2, 3, 4)] == [0.0, 0.0, 1.0, 2.0, 4.0]
    assert backoff_s(50) == 30.0


def test_a_failed_resolve_tells_whoever_waits_and_is_tried_again_later() -> None:
    core = RouterCore({"a": MODEL}, capacity_bytes=100)
    sim = Simulation(core, {"a": Behaviour(50)}, check)
    first = sim.submit(0.0, "a")
    core.state.models["a"].resolving = True  # the simulation's store would answer at once
    sim.run(0.5)
    sim.at(0.5, ResolveFailed("a", SourceError("the hub is down")))
    sim.run(1.0)
    assert isinstance(first.error, SourceError)
    again = sim.submit(5.0, "a")
    sim.run(10.0)
    assert decisions(sim, Resolve) == [5.0]
    assert again.granted_s == 6.0


def test_drain_finishes_what_is_in_flight_and_takes_nothing_new() -> None:
    sim = simulate({"a": MODEL}, {"a": Behaviour(50, load_s=1.0, service_s=10.0)})
    running = sim.submit(0.0, "a")
    queued = sim.submit(0.5, "a")
    sim.at(5.0, DrainBegan())
    late = sim.submit(6.0, "a")
    sim.run(60.0)
    assert running.done_s == 11.0
    assert decisions(sim, Stop) == [11.0]
    assert isinstance(queued.error, DrainingError)
    assert isinstance(late.error, DrainingError)
    assert not sim.core.state.replicas


def test_drain_has_an_end() -> None:
    sim = simulate({"a": MODEL}, {"a": Behaviour(50, load_s=1.0, service_s=1000.0)})
    sim.submit(0.0, "a")
    sim.at(5.0, DrainBegan())
    sim.run(100.0)
    assert decisions(sim, Stop) == [35.0]


traffic = st.lists(
    st.tuples(st.floats(0, 120, allow_nan=False), st.sampled_from("abc")), min_size=1, max_size=60
)
behaviours = st.builds(
    Behaviour,
    ram_bytes=st.integers(10, 100),
    slots=st.integers(1, 4),
    load_s=st.floats(0.01, 10),
    wake_s=st.floats(0.01, 2),
    stop_s=st.floats(0, 3),
    service_s=st.floats(0.01, 8),
    can_sleep=st.booleans(),
    asleep_bytes=st.integers(0, 5),
)
policies = st.builds(
    ModelSettings,
    ref=st.just("fake:x"),
    min=st.sampled_from([0, 0, 0, 1]),
    max=st.integers(1, 3),
    keep_alive=st.floats(0, 60) | st.just(math.inf),
    sleep_after=st.floats(0, 20) | st.just(math.inf),
    hold=st.just(5000.0),
    queue=st.just(1000),
    queue_timeout=st.just(5000.0),
)


@settings(max_examples=150, deadline=None)
@given(
    traffic,
    traffic,
    st.fixed_dictionaries(dict.fromkeys("abc", st.tuples(policies, behaviours))),
)
def test_whatever_the_traffic_everybody_is_served_and_memory_holds(
    arrivals: list[tuple[float, str]],
    changes: list[tuple[float, str]],
    models: dict[str, tuple[ModelSettings, Behaviour]],
) -> None:
    """No lost request, no overbooked memory or slot, no starvation, and rest at the end."""
    sim = simulate(
        {name: policy for name, (policy, _) in models.items()},
        {name: behaviour for name, (_, behaviour) in models.items()},
    )
    outcomes: list[Outcome] = [sim.submit(when, model) for when, model in sorted(arrivals)]
    for when, model in changes:
        sim.at(when, ModelChanged(model))
    sim.run(20_000.0)
    promised = sum(b.ram_bytes for policy, b in models.values() if policy.min)
    for outcome in outcomes:
        if models[outcome.model][1].ram_bytes + promised > 100:
            continue  # what `min` promises others may leave no room, and is never evicted
        assert outcome.error is None
        assert outcome.done_s is not None
    for name, (policy, behaviour) in models.items():
        states = state_of(sim, name)
        if not math.isinf(policy.keep_alive) and not policy.min:
            assert states == []
        assert all(state in (ReplicaState.READY, ReplicaState.ASLEEP) for state in states)
        present = sim.core.state.models[name].version
        awake = [r for r in sim.core.state.of(name) if r.state is ReplicaState.READY]
        assert all(r.version == present and not r.outdated for r in awake)
        assert sum(r.charged_bytes for r in sim.core.state.of(name)) <= max(
            behaviour.ram_bytes * policy.max, 0
        )
