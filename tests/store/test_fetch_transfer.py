"""The transfer's state machine under any order of failures: no chunk twice, none forgotten."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pilotlight.store.retry import Retry
from pilotlight.store.transfer import MOST_RACES, TransferCore
from pilotlight.store.transfer_events import (
    ORIGIN,
    Arrived,
    Cancel,
    Decision,
    Ended,
    Event,
    Failed,
    Finish,
    GiveUp,
    Granted,
    Keep,
    Measured,
    Offered,
    Open,
    Opened,
    Received,
    Refused,
    Rejected,
    Ticked,
)

CHUNK = 100
HALF = 50
MOST = 6
FAULTS = ("fail", "busy", "reject", "stall", "peer leaves", "peer refuses")


@dataclass
class Wire:
    """What a lane has under way in the simulated world."""

    order: Open
    chunk: int
    answered: bool = False
    raced: int = 0


@dataclass
class World:
    """Sources that answer, fail and lie as told; holds the core to its promises at every step."""

    core: TransferCore
    count: int
    ranges: bool = True
    now: float = 0.0
    lanes: dict[int, Wire] = field(default_factory=dict)
    filled: dict[int, int] = field(default_factory=dict)
    kept: list[int] = field(default_factory=list)
    end: Decision | None = None
    opened: list[Open] = field(default_factory=list)
    most: int = MOST

    def post(self, event: Event) -> list[Decision]:
        decisions = self.core.handle(event, self.now, self.most)
        for decision in decisions:
            self._perform(decision)
        assert len(self.lanes) <= MOST
        assert sum(wire.order.race for wire in self.lanes.values()) <= MOST_RACES
        writing = [wire.chunk for lane, wire in self.lanes.items() if self._writes(lane, wire)]
        assert len(writing) == len(set(writing)), "two lanes write one chunk"
        return decisions

    def _writes(self, lane: int, wire: Wire) -> bool:
        here = self.core.lanes.get(lane)
        if here is None or wire.order.race:
            return False
        return here.last is None or wire.chunk < here.last

    def _perform(self, decision: Decision) -> None:
        assert self.end is None, f"{decision} after the end"
        match decision:
            case Open():
                assert decision.lane not in self.lanes
                assert decision.first not in self.kept
                self.opened.append(decision)
                self.lanes[decision.lane] = Wire(decision, decision.first)
            case Cancel(lane):
                del self.lanes[lane]
            case Keep(lane, chunk):
                assert chunk not in self.kept, "a chunk is kept once"
                self.kept.append(chunk)
            case Finish() | GiveUp():
                self.end = decision

    def step(self, lane: int) -> None:
        """What a healthy source does next."""
        wire = self.lanes[lane]
        if not wire.answered:
            wire.answered = True
            self.post(Opened(lane, self.count * CHUNK, self.ranges))
            return
        last = self.core.lanes[lane].last
        if wire.chunk == (self.count if last is None else last):
            del self.lanes[lane]
            self.post(Ended(lane))
            return
        filled = (wire.raced if wire.order.race else self.filled.get(wire.chunk, 0)) + HALF
        if filled >= CHUNK:
            self._arrive(lane, wire)
            return
        if wire.order.race:
            wire.raced = filled
        else:
            self.filled[wire.chunk] = filled
        self.post(Received(lane, wire.chunk, filled))

    def _arrive(self, lane: int, wire: Wire) -> None:
        chunk, wire.chunk = wire.chunk, wire.chunk + 1
        self.post(Arrived(lane, chunk))
        if wire.order.race and lane in self.lanes:
            del self.lanes[lane]
            self.post(Ended(lane))

    def fault(self, kind: str, lane: int) -> None:
        wire = self.lanes[lane]
        if kind == "stall":
            self.now += 11.0
            self.post(Ticked())
            return
        peer = wire.order.source != ORIGIN
        if kind == "peer leaves" and peer:
            self.post(Offered(wire.order.source, frozenset()))
            return
        del self.lanes[lane]
        if kind == "peer refuses" and peer:
            self.post(Refused(lane))
        elif kind == "reject" and wire.answered:
            if not wire.order.race:
                self.filled.pop(wire.chunk, None)
            self.post(Rejected(lane, wire.chunk))
        else:
            self.post(Failed(lane, kind == "busy", 5.0 if kind == "busy" else None))

    def tick(self) -> None:
        deadline_s = self.core.deadline_s(self.now)
        assert deadline_s - self.now < 1000
        self.now = max(deadline_s, self.now + 0.01)
        self.post(Ticked())


def world(count: int, **more: object) -> World:
    return World(TransferCore(count * CHUNK, Retry(), chunk_bytes=CHUNK), count, **more)  # type: ignore[arg-type]


def finish(world: World) -> None:
    """Everything works from here on."""
    for _ in range(40 * world.count + 400):
        if world.end is not None:
            return
        for lane in [*world.lanes]:
            if lane in world.lanes and world.end is None:
                world.step(lane)
        world.tick()
    raise AssertionError(f"hangs with {len(world.kept)} of {world.count} and {world.lanes}")


@given(st.data(), st.integers(0, 40), st.booleans())
@settings(max_examples=300, deadline=None)
def test_every_chunk_is_kept_once_whatever_fails(
    data: st.DataObject, count: int, ranges: bool
) -> None:
    run = world(count, ranges=ranges)
    if data.draw(st.booleans()):
        for peer in (1, 2):
            has = data.draw(st.frozensets(st.integers(0, max(0, count - 1))))
            run.post(Offered(peer, has))
    run.post(Ticked())
    for _ in range(data.draw(st.integers(0, 60))):
        if run.end is not None:
            break
        if not run.lanes:
            run.tick()
            continue
        lane = data.draw(st.sampled_from(sorted(run.lanes)))
        kind = data.draw(st.sampled_from(("step", "step", "step", "tick", *FAULTS)))
        if kind == "step":
            run.step(lane)
        elif kind == "tick":
            run.tick()
        else:
            run.fault(kind, lane)
    finish(run)
    if isinstance(run.end, Finish):
        assert sorted(run.kept) == list(range(count))
    else:
        assert isinstance(run.end, GiveUp)


@given(st.sets(st.integers(0, 29)), st.integers(0, 29), st.integers(1, CHUNK - 1))
def test_only_what_is_missing_is_asked_for(kept: set[int], begun: int, filled: int) -> None:
    core = TransferCore(
        30 * CHUNK,
        Retry(),
        kept=kept,
        filled_bytes={} if begun in kept else {begun: filled},
        chunk_bytes=CHUNK,
    )
    run = World(core, 30)
    run.post(Ticked())
    if len(kept) < 30:
        finish(run)
    runs = [one for one in run.opened if not one.race]
    asked = [chunk for one in runs for chunk in range(one.first, one.last or 30)]
    assert sorted(asked) == sorted(set(range(30)) - kept)
    # A run asks for whole chunks but the first: one that is begun can only be first.
    assert not any(begun in range(one.first + 1, one.last or 30) for one in run.opened)


def test_goes_from_the_front_and_keeps_near_it() -> None:
    run = world(200)
    run.post(Ticked())
    assert [(one.first, one.last) for one in run.opened] == [(0, 1)]
    while run.end is None:
        for lane in [*run.lanes]:
            if lane in run.lanes:
                run.step(lane)
        run.now += 0.05
        run.post(Ticked())
        front = run.core.chunks.front
        assert all(wire.chunk < front + 64 for wire in run.lanes.values())
    assert len(run.opened) < 200, "runs of neighbours spare requests"


def test_a_source_that_is_down_is_tried_so_often_and_ever_later() -> None:
    run = world(10)
    run.post(Ticked())
    times: list[float] = []
    while run.end is None:
        for lane in [*run.lanes]:
            times.append(run.now)
            run.fault("fail", lane)
        if run.end is None:
            run.tick()
    assert isinstance(run.end, GiveUp)
    assert len(times) == Retry().attempts
    pauses = [later - earlier for earlier, later in itertools.pairwise(times)]
    assert pauses == sorted(pauses)


def test_a_busy_source_is_left_alone_as_long_as_it_asks() -> None:
    run = world(10)
    run.post(Ticked())
    (lane,) = run.lanes
    del run.lanes[lane]
    run.post(Failed(lane, busy=True, retry_after_s=17.0))
    assert run.core.deadline_s(run.now) == 17.0
    run.now = 16.9
    run.post(Ticked())
    assert not run.lanes
    run.tick()
    assert run.lanes


def test_the_last_slow_lane_is_raced_and_the_first_wins() -> None:
    run = world(8)
    run.post(Ticked())
    slow = None
    while slow is None or len(run.lanes) > 1:
        for lane in [*run.lanes]:
            if slow is None and lane != 0 and run.lanes[lane].answered:
                slow = lane
            if lane in run.lanes and lane != slow:
                run.step(lane)
        run.now += 0.1
        run.post(Ticked())
    while not any(wire.order.race for wire in run.lanes.values()):
        run.tick()
        assert run.now < 30
    (racer,) = [lane for lane, wire in run.lanes.items() if wire.order.race]
    while racer in run.lanes:
        run.step(racer)
    assert slow not in run.lanes, "the loser is cancelled"
    finish(run)
    assert isinstance(run.end, Finish)


def test_a_full_line_has_no_room_for_races() -> None:
    """One step at a time in all, and some lanes get far more of it than others."""
    run = world(12)
    run.post(Ticked())
    turn = 0
    while run.end is None:
        lanes = sorted(run.lanes)
        run.step(lanes[0] if turn % 8 == 0 else lanes[-1])
        turn += 1
        run.now += 0.1
        run.post(Ticked())
    assert isinstance(run.end, Finish)
    assert not any(one.race for one in run.opened)


def test_a_dead_connection_is_given_up_while_others_are_alive() -> None:
    run = world(60)
    run.post(Ticked())
    run.step(0)
    dead = max(run.lanes)
    while dead in run.lanes:
        for lane in [*run.lanes]:
            if lane != dead and lane in run.lanes:
                run.step(lane)
        run.now += 1.0
        run.post(Ticked())
        assert run.now < 30
    finish(run)


def test_lanes_grow_while_that_pays() -> None:
    core = TransferCore(2000 * CHUNK, Retry(), chunk_bytes=CHUNK)
    capped, shared = World(core, 2000), world(2000)
    for run, rate in ((capped, None), (shared, 2)):
        run.post(Ticked())
        for turn in range(200):
            lanes = [*run.lanes]
            served = lanes if rate is None else lanes[turn % max(1, len(lanes)) :][:rate]
            for lane in served:
                if lane in run.lanes:
                    run.step(lane)
            run.now += 0.1
            run.post(Ticked())
    assert len(capped.lanes) == MOST
    assert len(shared.lanes) < MOST


def test_peers_are_asked_before_the_origin_and_the_rarest_first() -> None:
    run = world(20)
    run.post(Offered(1, frozenset(range(20)), lanes=1))
    run.post(Offered(2, frozenset(range(10)), lanes=1))
    assert {one.source for one in run.opened} == {0, 1, 2}
    finish(run)
    first = next(one.first for one in run.opened if one.source == 1 and one.first != 0)
    assert first >= 10, "what fewest have"


def test_a_peer_that_lies_is_never_asked_again() -> None:
    run = world(20)
    run.post(Offered(1, frozenset(range(20)), lanes=2))
    lane = next(one.lane for one in run.opened if one.source == 1)
    run.step(lane)
    run.fault("reject", lane)
    before = len(run.opened)
    finish(run)
    assert all(one.source == ORIGIN for one in run.opened[before:])
    assert isinstance(run.end, Finish)


def test_without_a_lease_the_origin_is_left_alone() -> None:
    run = world(4)
    run.core.handle(Granted(frozenset()), 0.0, MOST)
    run.post(Offered(1, frozenset({0, 1, 2, 3}), lanes=1))
    finish(run)
    assert {one.source for one in run.opened} == {1}


@pytest.mark.parametrize("size_bytes", [0, 1, 3 * CHUNK, 3 * CHUNK + 1])
def test_a_stream_of_unknown_length_ends_where_it_ends(size_bytes: int) -> None:
    core = TransferCore(None, Retry(), chunk_bytes=CHUNK)
    run = World(core, 4)
    run.post(Ticked())
    (lane,) = run.lanes
    run.post(Opened(lane, None, ranges=False))
    chunks = -(-size_bytes // CHUNK)
    for chunk in range(chunks):
        run.post(Received(lane, chunk, HALF))
        run.post(Arrived(lane, chunk))
    run.post(Measured(size_bytes))
    assert run.end == Finish()
    assert run.kept == list(range(chunks))
