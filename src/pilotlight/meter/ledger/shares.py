"""What the machine takes, shared out among those for whom it runs. Pure: times and joules come in.

The rule. At each moment what the machine takes, in joules and in dollars, is shared in equal parts
by all who use it then: each request that is on an engine here, and each load that requests wait
for. A load's part is shared in equal parts by the requests that wait for it. While there are
neither, it is idle. To queue for a slot of a busy model costs nothing: others keep the machine busy
then. So every joule and every dollar is somebody's or idle's, once.

What one user has cost since the beginning is a sum that all share, so a request costs two
subtractions however many run beside it.
"""

from __future__ import annotations

import msgspec

from pilotlight.meter.ledger.rate import Rate


class Taken(msgspec.Struct, frozen=True, gc=False):
    """A part of what the machine took. A struct, for each request makes a few of them."""

    seconds: float = 0.0
    joules: float = 0.0
    usd: float = 0.0
    dark_s: float = 0.0
    """Of the seconds, those for which the joules can't be told; there are none of them then."""

    def plus(self, other: Taken) -> Taken:
        return Taken(
            self.seconds + other.seconds,
            self.joules + other.joules,
            self.usd + other.usd,
            self.dark_s + other.dark_s,
        )

    def since(self, mark: Taken) -> Taken:
        return Taken(
            self.seconds - mark.seconds,
            self.joules - mark.joules,
            self.usd - mark.usd,
            self.dark_s - mark.dark_s,
        )

    def over(self, users: int) -> Taken:
        return Taken(
            self.seconds / users, self.joules / users, self.usd / users, self.dark_s / users
        )


NOTHING = Taken()


class Load:
    """One load that requests wait for: one user of the machine, however many wait."""

    __slots__ = ("_mark", "level", "over", "waiting")

    def __init__(self, mark: Taken) -> None:
        self._mark = mark
        self.waiting = 0
        self.level = NOTHING
        """What each has paid that waited since its beginning."""

        self.over = False

    def catch_up(self, level: Taken) -> None:
        """To be called before the number of those that wait changes."""
        if self.waiting and not self.over:
            self.level = self.level.plus(level.since(self._mark).over(self.waiting))
        self._mark = level


class Shares:
    """`advance` to a moment before anybody comes or goes at it."""

    def __init__(self, rate: Rate, now_s: float, joules: float | None) -> None:
        self._rate = rate
        self._now_s = now_s
        self._joules = joules
        self._users = 0
        self._level = NOTHING
        """What each has taken that used the machine since the beginning."""

        self._idle = NOTHING
        self._loads: dict[str, Load] = {}

    @property
    def idle(self) -> bool:
        return self._users == 0

    def advance(self, now_s: float, joules: float | None) -> None:
        """`joules` are those since the beginning; None where nobody can tell."""
        passed_s = max(0.0, now_s - self._now_s)
        if not passed_s and joules == self._joules:
            return
        spent, dark_s = 0.0, passed_s
        if joules is not None and self._joules is not None:
            spent, dark_s = joules - self._joules, 0.0
        taken = Taken(passed_s, spent, self._rate.usd(passed_s, spent), dark_s)
        if self._users:
            self._level = self._level.plus(taken.over(self._users))
        else:
            self._idle = self._idle.plus(taken)
        self._now_s += passed_s
        self._joules = joules

    def enter(self) -> Taken:
        """A request is on an engine. The mark is what `leave` wants of it."""
        self._users += 1
        return self._level

    def leave(self, mark: Taken) -> Taken:
        self._users -= 1
        return self._level.since(mark)

    def used(self, mark: Taken) -> Taken:
        """By a request that goes on."""
        return self._level.since(mark)

    def wait(self, model: str) -> tuple[Load, Taken]:
        """A request waits for `model` to load."""
        load = self._loads.get(model)
        if load is None:
            load = self._loads[model] = Load(self._level)
            self._users += 1
        load.catch_up(self._level)
        load.waiting += 1
        return load, load.level

    def waited(self, model: str, load: Load, mark: Taken) -> Taken:
        """It waits no longer: its load is over, or it left. What it waited for costs this."""
        load.catch_up(self._level)
        load.waiting -= 1
        if not load.waiting and not load.over:
            self._end(model, load)
        return load.level.since(mark)

    def loaded(self, model: str) -> None:
        """The model's load is over; some that waited for it may still wait for a slot."""
        load = self._loads.get(model)
        if load is not None:
            load.catch_up(self._level)
            self._end(model, load)

    def _end(self, model: str, load: Load) -> None:
        load.over = True
        del self._loads[model]
        self._users -= 1

    def drain_idle(self) -> Taken:
        """What nobody used since this was asked last."""
        idle, self._idle = self._idle, NOTHING
        return idle
