"""What is due next: arrivals, sessions' later turns and a closed loop's users in one order.

Pure: seconds from the run's start come in as arguments, and nothing is waited for.
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Iterator
from itertools import count, islice
from typing import Literal

from pilotlight.bench.arrivals import arrivals
from pilotlight.bench.generator.visit import Visit, Visits
from pilotlight.bench.load import Load
from pilotlight.errors import BenchError

End = Literal["requests", "duration", "asks", "stopped"]
"""What ended it: the load's count, its time, the workload's end, or the one who watched."""


class Agenda:
    """Each visit that was taken is `answered` later, once for each time it was taken."""

    def __init__(self, load: Load, visits: Visits) -> None:
        self._load = load
        self._visits = visits
        self._end_s = math.inf if load.duration_s is None else load.duration_s
        self._left = math.inf if load.requests is None else load.warmup_requests + load.requests
        self._due: list[tuple[float, int, Visit]] = []
        self._order = count()
        self._time_is_over = False
        self._trace_zero_s: float | None = None
        """When a replay's first request came, as its trace counts: files may have dates."""

        self.last_due_s = 0.0
        self.dropped_turns = 0
        self._arriving = self._replayed() if load.kind == "replay" else self._scheduled()
        self._arrive()
        for _ in range((load.concurrency or 0) if load.kind == "closed" else 0):
            self._come(0.0)

    @property
    def next_s(self) -> float:
        """Infinite while nothing is known to be due."""
        return self._due[0][0] if self._due else math.inf

    @property
    def ended_by(self) -> End:
        """Once nothing more will be due."""
        if self._left <= 0:
            return "requests"
        return "duration" if self._time_is_over else "asks"

    def take(self) -> tuple[float, Visit]:
        """The visit whose turn is due next, with its moment."""
        due_s, _, visit = heapq.heappop(self._due)
        self.last_due_s = due_s
        self._left -= 1
        if self._left <= 0:
            self._drop_all()
        elif visit.is_new:
            self._arrive()
        return due_s, visit

    def answered(self, visit: Visit, ended_s: float, text: str | None) -> None:
        """`text` None: there is no answer that its next turn could follow."""
        if visit.left and text is not None:
            visit.answered(text)
            self._add(self._followed_s(visit, ended_s), visit)
            return
        self.dropped_turns += visit.left
        if self._load.kind == "closed":
            self._come(ended_s)

    def _followed_s(self, visit: Visit, ended_s: float) -> float:
        due_s = ended_s + visit.ask.think_s
        if self._load.kind == "replay" and visit.ask.at_s is not None:
            return max(due_s, self._replay_s(visit.ask.at_s))
        return due_s

    def _replay_s(self, at_s: float) -> float:
        if self._trace_zero_s is None:
            self._trace_zero_s = at_s
        return (at_s - self._trace_zero_s) / self._load.speed

    def _come(self, free_s: float) -> None:
        """A closed loop's user is free for the next visit."""
        if free_s >= self._end_s:
            self._time_is_over = True
            return
        visit = self._visits.next()
        if visit is not None:
            self._add(free_s + visit.ask.think_s, visit)

    def _arrive(self) -> None:
        """One arrival ahead is enough: they come in order."""
        for due_s, visit in islice(self._arriving, 1):
            self._add(due_s, visit)

    def _add(self, due_s: float, visit: Visit) -> None:
        if due_s >= self._end_s:
            self._time_is_over = True
        if due_s >= self._end_s or self._left <= 0:
            self._drop(visit)
        else:
            heapq.heappush(self._due, (due_s, next(self._order), visit))

    def _drop_all(self) -> None:
        for _, _, visit in self._due:
            self._drop(visit)
        self._due = []

    def _drop(self, visit: Visit) -> None:
        """A visit that never began isn't missed: the run is simply over."""
        if not visit.is_new:
            self.dropped_turns += visit.left + 1

    def _scheduled(self) -> Iterator[tuple[float, Visit]]:
        """A visit takes as many arrivals as it has turns, so the rate is one of requests."""
        times = arrivals(self._load)
        for due_s in times:
            visit = self._visits.next()
            if visit is None:
                return
            yield due_s, visit
            for _ in islice(times, visit.count - 1):
                pass
        self._time_is_over = self._load.kind != "closed"

    def _replayed(self) -> Iterator[tuple[float, Visit]]:
        before_s = -math.inf
        while (visit := self._visits.next()) is not None:
            if visit.ask.at_s is None:
                raise BenchError(
                    "a replay needs the time of each request, and this workload has none",
                    hint="take a trace, or other arrivals such as poisson",
                )
            if visit.ask.at_s < before_s:
                raise BenchError(
                    f"the trace goes back in time, from {before_s} s to {visit.ask.at_s} s",
                    hint="sort its requests by time",
                )
            before_s = visit.ask.at_s
            yield self._replay_s(before_s), visit
