"""When requests are due: pure schedules, the same for the same load and seed."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Iterator, Mapping
from itertools import count, takewhile

from pilotlight.bench.load import Load, LoadKind
from pilotlight.errors import BenchError


def arrivals(load: Load) -> Iterator[float]:
    """Seconds from the start, never falling, until the load's `duration_s`; else without end.

    Of constant, Poisson, gamma and ramp. A closed loop and a replay have none: the answers and
    the trace say when.
    """
    schedule = _SCHEDULES.get(load.kind)
    if schedule is None:
        return iter(())
    end_s = math.inf if load.duration_s is None else load.duration_s
    return takewhile(lambda due_s: due_s < end_s, schedule(load))


def _constant(load: Load) -> Iterator[float]:
    rate = _rate(load)
    return (number / rate for number in count())


def _gamma(load: Load) -> Iterator[float]:
    """Gaps with a squared coefficient of variation of `burstiness`; a gamma of shape 1 is
    exponential, which makes the arrivals Poisson's."""
    spread = load.burstiness if load.kind == "gamma" else 1.0
    draw = random.Random(load.seed).gammavariate
    due_s = 0.0
    while True:
        due_s += draw(1.0 / spread, spread / _rate(load))
        yield due_s


def _ramp(load: Load) -> Iterator[float]:
    """Request n is due when the integral of the rate reaches n."""
    first, duration_s = load.requests_per_s or 0.0, load.duration_s or 0.0
    slope = ((load.to_requests_per_s or 0.0) - first) / duration_s
    yield 0.0
    for number in count(1):
        under_root = first * first + 2 * slope * number
        if under_root < 0:  # a falling ramp's rate reaches zero before
            return
        yield 2 * number / (first + math.sqrt(under_root))


def _rate(load: Load) -> float:
    if load.requests_per_s is None:
        raise _missing(load, "requests_per_s")
    return load.requests_per_s


_SCHEDULES: Mapping[LoadKind, Callable[[Load], Iterator[float]]] = {
    "constant": _constant,
    "poisson": _gamma,
    "gamma": _gamma,
    "ramp": _ramp,
}

_NEEDS: Mapping[LoadKind, tuple[str, ...]] = {
    "closed": ("concurrency",),
    "constant": ("requests_per_s",),
    "poisson": ("requests_per_s",),
    "gamma": ("requests_per_s",),
    "ramp": ("requests_per_s", "to_requests_per_s", "duration_s"),
    "replay": (),
}

_MAY_BE_ZERO = ("warmup_requests",)


def check(load: Load) -> None:
    """Raises BenchError for a load that can't be, naming the field."""
    if load.kind not in _NEEDS:
        raise BenchError(
            f"arrivals of kind {load.kind!r} are unknown", hint=f"use one of {', '.join(_NEEDS)}"
        )
    for name in _NEEDS[load.kind]:
        if getattr(load, name) is None:
            raise _missing(load, name)
    for name in _NUMBERS:
        _check_number(load, name)
    if load.kind == "ramp" and load.requests_per_s == load.to_requests_per_s == 0:
        raise BenchError("a ramp from 0 to 0 requests/s has none", hint="give it an end above 0")


_NUMBERS = (
    "concurrency", "requests_per_s", "to_requests_per_s", "burstiness", "speed", "duration_s",
    "requests", "most_at_once", "warmup_requests",
)  # fmt: skip


def _check_number(load: Load, name: str) -> None:
    value = getattr(load, name)
    if value is None:
        return
    least_is_zero = name in _MAY_BE_ZERO or (load.kind == "ramp" and "requests_per_s" in name)
    if not math.isfinite(value) or value < 0 or (value == 0 and not least_is_zero):
        bound = "0 or more" if least_is_zero else "above 0"
        raise BenchError(f"{name} of a {load.kind} load is {value!r}", hint=f"give it {bound}")


def _missing(load: Load, name: str) -> BenchError:
    return BenchError(f"a {load.kind} load has no {name}", hint=f"give it a {name}")
