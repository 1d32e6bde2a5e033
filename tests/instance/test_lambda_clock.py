"""The clock that stands still while the environment is frozen."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from pilotlight.instance.lambda_clock import AwakeClock
from pilotlight.testing import VirtualClock


def frozen(base: VirtualClock, clock: AwakeClock, duration_s: float) -> None:
    """The base's time jumps, and its timers come due within the jump."""
    clock.pause()
    base.advance(duration_s)
    clock.resume()


def test_it_runs_as_its_base_does() -> None:
    base = VirtualClock()
    clock = AwakeClock(base)
    fired: list[float] = []
    began_s = clock.now()
    clock.call_at(began_s + 2.0, lambda: fired.append(clock.now()))
    base.advance(1.5)
    assert fired == []
    base.advance(1.0)
    assert fired == [began_s + 2.0]


def test_a_pause_never_counts() -> None:
    base = VirtualClock()
    clock = AwakeClock(base)
    began_s = clock.now()
    frozen(base, clock, 3600.0)
    assert clock.now() == began_s
    base.advance(1.0)
    assert clock.now() == began_s + 1.0


def test_a_timer_that_comes_due_in_a_pause_waits_for_what_was_left() -> None:
    base = VirtualClock()
    clock = AwakeClock(base)
    fired: list[str] = []
    clock.call_at(clock.now() + 5.0, lambda: fired.append("x"))
    base.advance(4.0)
    frozen(base, clock, 3600.0)
    assert fired == []
    base.advance(0.9)
    assert fired == []
    base.advance(0.2)
    assert fired == ["x"]


def test_a_timer_that_was_set_before_a_pause_and_is_due_after_it() -> None:
    base = VirtualClock()
    clock = AwakeClock(base)
    fired: list[str] = []
    clock.call_at(clock.now() + 5.0, lambda: fired.append("x"))
    frozen(base, clock, 2.0)
    base.advance(4.9)
    assert fired == []
    base.advance(0.2)
    assert fired == ["x"]


def test_a_timer_set_within_a_pause_begins_with_its_end() -> None:
    base = VirtualClock()
    clock = AwakeClock(base)
    fired: list[str] = []
    clock.pause()
    clock.call_at(clock.now() + 1.0, lambda: fired.append("x"))
    base.advance(100.0)
    clock.resume()
    base.advance(0.9)
    assert fired == []
    base.advance(0.2)
    assert fired == ["x"]


def test_a_cancelled_timer_is_silent_wherever_it_waits() -> None:
    base = VirtualClock()
    clock = AwakeClock(base)
    fired: list[str] = []
    awake = clock.call_at(clock.now() + 1.0, lambda: fired.append("awake"))
    asleep = clock.call_at(clock.now() + 1.0, lambda: fired.append("asleep"))
    awake.cancel()
    clock.pause()
    base.advance(10.0)
    asleep.cancel()
    clock.resume()
    base.advance(10.0)
    assert fired == []


def test_pausing_twice_is_pausing_once() -> None:
    base = VirtualClock()
    clock = AwakeClock(base)
    began_s = clock.now()
    clock.pause()
    base.advance(1.0)
    clock.pause()
    base.advance(1.0)
    clock.resume()
    clock.resume()
    assert clock.now() == began_s


@given(
    steps=st.lists(st.tuples(st.booleans(), st.floats(0.0, 100.0)), max_size=12),
    due_s=st.floats(0.0, 300.0),
)
def test_a_timer_fires_once_and_after_just_its_waking_time(
    steps: list[tuple[bool, float]], due_s: float
) -> None:
    base = VirtualClock(0.0)
    clock = AwakeClock(base)
    fired: list[float] = []
    clock.call_at(due_s, lambda: fired.append(clock.now()))
    awake_s = 0.0
    for is_frozen, duration_s in steps:
        if is_frozen:
            frozen(base, clock, duration_s)
        else:
            base.advance(duration_s)
            awake_s += duration_s
        base.advance(0.0)
    assert abs(clock.now() - awake_s) < 1e-6
    assert len(fired) <= 1
    if awake_s < due_s - 0.002:
        assert fired == []
    if awake_s > due_s + 0.002:
        assert fired
        assert fired[0] >= due_s - 0.002
