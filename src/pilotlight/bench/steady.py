"""The part of a run in which the load was on and its beginning was over."""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import fmean, pvariance, stdev

from pilotlight.bench.load import Load
from pilotlight.bench.numbers import Window
from pilotlight.bench.record import Record
from pilotlight.bench.slicing import Pieces

BATCH = 5
FEWEST_BATCHES = 8
"""Of fewer, nothing is cut off."""

SURE = 3.0
"""Standard errors: by less, two means don't differ."""

MATTERS = 0.01
"""Of the mean: what changes it by less isn't worth the requests that would be left out."""


def window(records: Sequence[Record], load: Load, found: Pieces) -> Window:
    """Of the requests that count; those of the warm-up and cold ones end before it begins."""
    counted = [record for record in records if not record.warmup and not record.cold]
    if not counted:
        return Window(start_s=0.0, end_s=0.0, how="no request was warm and after the warm-up")
    begin = after_cold(records, counted)
    end, why = offered_until(records, load)
    end = max(end, begin)
    if load.kind == "ramp":
        return Window(start_s=begin, end_s=end, how=f"all of the ramp, {why}")
    inside = found.inside(begin, end)
    cut = mser([watched(load, found)[index] for index in inside])
    if cut is None:
        return Window(start_s=begin, end_s=end, how=f"from the first request that counts; {why}")
    settled = begin if cut == 0 else found.width_s * (inside.start + cut)
    return Window(
        start_s=settled,
        end_s=end,
        how=f"from {settled:.3g} s, where {_WATCHED[load.kind == 'closed']} had settled "
        f"(MSER-{BATCH} over {len(inside)} slices of {found.width_s:g} s); {why}",
    )


def watched(load: Load, found: Pieces) -> Sequence[float]:
    """What shows whether a run is steady: an open loop's rate is only what was asked of it."""
    return found.output_tokens if load.kind == "closed" else found.present


_WATCHED = {True: "the output rate", False: "the number of requests in hand"}


def after_cold(records: Sequence[Record], counted: Sequence[Record]) -> float:
    """A model that loads holds up everything: a cold start at the beginning lies before it."""
    begin = min(record.scheduled_s for record in counted)
    first = min((one.first_s for one in counted if one.first_s is not None), default=begin)
    cold = [
        one.ended_s if one.first_s is None else one.first_s
        for one in records
        if one.cold and one.scheduled_s <= first
    ]
    return max([begin, *cold])


def offered_until(records: Sequence[Record], load: Load) -> tuple[float, str]:
    """When the load ended, and why then: afterwards the server only empties.

    From when a user has nothing more to ask, all others have one answer to come. When requests were
    due wouldn't tell it: a user's next one is due when the last one ended, to the microsecond.
    """
    last = max(record.scheduled_s for record in records)
    if load.kind == "closed":
        ends = sorted(record.ended_s for record in records)
        idle = ends[-min(load.concurrency or 1, len(ends))]
        return max(idle, last), "until the first user had nothing more to ask"
    begin = min(record.scheduled_s for record in records)
    gap = (last - begin) / (len(records) - 1) if len(records) > 1 else 0.0
    ended = max(record.ended_s for record in records)
    return min(last + gap, ended), "until no more requests were due"


def mser(series: Sequence[float]) -> int | None:
    """How much of its beginning to leave out; None where it never settles, or is too short to tell.

    The Marginal Standard Error Rule on means of five (White, Simulation 69, 1997): the cut that
    leaves the least standard error of the rest's mean; one beyond the middle says that there is no
    steady rest. Nothing is cut that is like the rest, or that makes no difference.
    """
    batches = [fmean(series[at : at + BATCH]) for at in range(0, len(series) - BATCH + 1, BATCH)]
    if len(batches) < FEWEST_BATCHES:
        return None

    def error(cut: int) -> float:
        rest = batches[cut:]
        return pvariance(rest) / len(rest)

    cut = min(range(len(batches) * 3 // 4), key=error)
    if cut > len(batches) // 2:
        return None
    rest = fmean(batches[cut:])
    sure = cut and abs(fmean(batches[:cut]) - rest) > SURE * math.sqrt(error(cut))
    matters = abs(fmean(batches) - rest) > MATTERS * abs(rest)
    return BATCH * cut if sure and matters else 0


GREW = 0.1
"""Of the mean: less drift than that is no news, however sure."""


def drift(series: Sequence[float]) -> tuple[float, float] | None:
    """The means of its first and last third where they differ for sure, else None."""
    third = len(series) // 3
    if third < 4:
        return None
    parts = series[:third], series[-third:]
    first, last = (fmean(part) for part in parts)
    noise = math.hypot(*(_error(part) for part in parts))
    if abs(last - first) <= max(SURE * noise, GREW * abs(fmean(series))):
        return None
    return first, last


def _error(series: Sequence[float]) -> float:
    """Of the mean, from four batches, for neighbours aren't independent."""
    size = len(series) // 4
    means = [fmean(series[at * size : (at + 1) * size]) for at in range(4)]
    return stdev(means) / 2
