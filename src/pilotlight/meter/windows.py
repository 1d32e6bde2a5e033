"""A span cut into windows: the joules and the tokens of each, and quartiles over them."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from pilotlight.metrics import Spread

WINDOW_S = 10.0
"""The least; sensors are too coarse, and some of them look away too long, for shorter ones."""
ENOUGH = 5
MOST = 100
WHISKER = 1.5
"""Interquartile ranges beyond the quartiles, outside of which a window is an outlier."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """One request on the meter's clock: its prompt was read until `first_s`, its tokens came until
    `last_s`."""

    begin_s: float
    first_s: float
    last_s: float
    input_tokens: float = 0.0
    output_tokens: float = 0.0


@dataclass(frozen=True, slots=True)
class Window:
    seconds: float
    output_tokens: float
    total_tokens: float
    joules: float | None = None
    net_joules: float | None = None


@dataclass(frozen=True, slots=True)
class Cut:
    """Equal windows over a span."""

    begin_s: float
    window_s: float
    count: int

    @classmethod
    def of(cls, begin_s: float, end_s: float) -> Cut:
        seconds = end_s - begin_s
        count = min(MOST, max(1, int(seconds / WINDOW_S + 1e-9)))
        return cls(begin_s, seconds / count, count)

    @property
    def edges(self) -> tuple[float, ...]:
        return tuple(self.begin_s + at * self.window_s for at in range(self.count + 1))

    def spread(self, lots: Iterable[tuple[float, float, float]]) -> list[float]:
        """Of lots that came evenly between two times, how much came in each window."""
        found = [0.0] * self.count
        for begin_s, end_s, amount in lots:
            low = (begin_s - self.begin_s) / self.window_s
            high = max((end_s - self.begin_s) / self.window_s, low)
            for at in range(max(0, int(low)), min(self.count, int(high) + 1)):
                found[at] += amount * _share(low, high, at)
        return found


def _share(low: float, high: float, at: int) -> float:
    """Of what came from `low` to `high`, the part within the window `at`."""
    if high <= low:
        return 1.0 if at <= low < at + 1 else 0.0
    return max(0.0, min(high, at + 1) - max(low, at)) / (high - low)


def windows(
    cut: Cut,
    answers: Sequence[Answer],
    joules: Callable[[float, float], float | None],
    idle_w: float | None,
) -> list[Window]:
    """Prompts and answers are spread over the time that they took."""
    output = cut.spread((each.first_s, each.last_s, each.output_tokens) for each in answers)
    prompts = cut.spread((each.begin_s, each.first_s, each.input_tokens) for each in answers)
    found = []
    for at, (begin_s, end_s) in enumerate(zip(cut.edges, cut.edges[1:], strict=False)):
        drawn = joules(begin_s, end_s)
        net = None if drawn is None or idle_w is None else drawn - idle_w * (end_s - begin_s)
        total = output[at] + prompts[at]
        found.append(Window(end_s - begin_s, output[at], total, drawn, net))
    return found


def with_output(found: Sequence[Window]) -> list[Window]:
    """One without an output token is joined to the next that has some: its joules belong to them.

    The last ones of a span that have none are joined to the last that has.
    """
    whole: list[Window] = []
    held: Window | None = None
    for window in found:
        joined = window if held is None else _joined(held, window)
        held = None if joined.output_tokens > 0 else joined
        if held is None:
            whole.append(joined)
    if held is not None and whole:
        whole[-1] = _joined(whole[-1], held)
    return whole


def _joined(one: Window, other: Window) -> Window:
    return Window(
        one.seconds + other.seconds,
        one.output_tokens + other.output_tokens,
        one.total_tokens + other.total_tokens,
        _sum(one.joules, other.joules),
        _sum(one.net_joules, other.net_joules),
    )


def _sum(one: float | None, other: float | None) -> float | None:
    return None if one is None or other is None else one + other


def quartiles(values: Sequence[float]) -> Spread | None:
    """Median, Q1 and Q3, linear between the two nearest values."""
    if not values:
        return None
    if len(values) == 1:
        return Spread(values[0], values[0], values[0])
    low, median, high = statistics.quantiles(values, n=4, method="inclusive")
    return Spread(median, low, high)


def outliers(values: Sequence[float]) -> int:
    spread = quartiles(values)
    if spread is None:
        return 0
    reach = WHISKER * (spread.high - spread.low)
    return sum(not spread.low - reach <= value <= spread.high + reach for value in values)
