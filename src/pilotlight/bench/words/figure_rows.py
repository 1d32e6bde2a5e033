"""The figures of a stage as people read them: one list for the page, Markdown and the terminal."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from pilotlight.bench.figures import Estimate
from pilotlight.bench.load import Load
from pilotlight.bench.report import Stage
from pilotlight.bench.told import bounds_words
from pilotlight.metrics import Spread
from pilotlight.planner.figures import UNKNOWN, milliseconds, number, percent


@dataclass(frozen=True, slots=True)
class FigureRow:
    """`bounds` are those of the 95 % interval, or said to be others; empty where there are none."""

    name: str
    value: str
    bounds: str = ""

    @property
    def whole(self) -> str:
        return f"{self.value} ({self.bounds})" if self.bounds else self.value


@dataclass(frozen=True, slots=True)
class Quantity:
    """Something a stage may have a figure of. `main` ones stand in every table."""

    name: str
    of: Callable[[Stage], Estimate | None]
    words: Callable[[float], str]
    main: bool = False
    quartiles: bool = False
    """Its bounds are quartiles over windows, not an interval."""

    def row(self, stage: Stage) -> FigureRow | None:
        found = self.of(stage)
        if found is None:
            return None
        bounds = bounds_words(found, self.words)
        quartiles = " (quartiles)" if bounds and self.quartiles else ""
        return FigureRow(self.name, self.words(found.value), bounds + quartiles)

    def cell(self, stage: Stage) -> str:
        row = self.row(stage)
        return row.value if row else UNKNOWN


def rows(stage: Stage, *, main: bool = False) -> Iterator[FigureRow]:
    """Every figure that the stage has."""
    for quantity in QUANTITIES:
        row = quantity.row(stage) if quantity.main or not main else None
        if row is not None:
            yield row


def of_spread(spread: Spread | None) -> Estimate | None:
    return None if spread is None else Estimate(spread.median, spread.low, spread.high)


def load_words(load: Load | None) -> str:
    """Such as ``8 at once`` or ``poisson, 4 requests/s``."""
    if load is None:
        return "as its file says"
    return _LOADS[load.kind](load)


def _percentile(name: str, percentile: float) -> Callable[[Stage], Estimate | None]:
    def of(stage: Stage) -> Estimate | None:
        return stage.numbers.percentile(name, percentile)

    return of


def _rate(name: str) -> Callable[[Stage], Estimate | None]:
    def of(stage: Stage) -> Estimate | None:
        return stage.numbers.rate(name)

    return of


def _energy(name: str) -> Callable[[Stage], Estimate | None]:
    def of(stage: Stage) -> Estimate | None:
        return None if stage.energy is None else of_spread(getattr(stage.energy, name))

    return of


def _wh(stage: Stage) -> Estimate | None:
    found = stage.energy.wh_per_output_token if stage.energy else None
    if found is None:
        return None
    return Estimate(found.median * 1000, found.low * 1000, found.high * 1000)


def _study(stage: Stage) -> Estimate | None:
    found = stage.numbers.study_tokens_per_s
    return None if found is None else Estimate(found)


def _errors(stage: Stage) -> Estimate | None:
    return Estimate(float(sum(stage.numbers.errors.values())))


def _latencies(title: str, name: str, main: tuple[float, ...]) -> tuple[Quantity, ...]:
    return tuple(
        Quantity(f"{title} p{at:g}", _percentile(name, at), milliseconds, at in main)
        for at in (50.0, 90.0, 95.0, 99.0)
    )


QUANTITIES: tuple[Quantity, ...] = (
    Quantity("requests/s", _rate("requests_per_s"), number, main=True),
    Quantity("output tokens/s", _rate("output_tokens_per_s"), number, main=True),
    Quantity("total tokens/s", _rate("total_tokens_per_s"), number, main=True),
    Quantity("goodput, requests/s", _rate("goodput_per_s"), number, main=True),
    Quantity("kept the SLO", _rate("slo_share"), percent, main=True),
    *_latencies("TTFT", "ttft_ms", (50.0, 95.0)),
    *_latencies("TTFT from send", "ttft_from_send_ms", ()),
    *_latencies("TPOT", "tpot_ms", (50.0, 95.0)),
    *_latencies("ITL", "itl_ms", ()),
    *_latencies("end to end", "e2e_ms", (50.0, 95.0)),
    Quantity(
        "output tokens/s of one answer, p50", _percentile("request_output_tokens_per_s", 50), number
    ),
    Quantity("in flight", lambda s: _as_estimate(s.numbers.concurrency), number),
    Quantity("errors", _errors, number, main=True),
    Quantity(
        "J per output token", _energy("joules_per_output_token"), number, main=True, quartiles=True
    ),
    Quantity(
        "of it beyond idling, J", _energy("net_joules_per_output_token"), number, quartiles=True
    ),
    Quantity("Wh per 1,000 output tokens", _wh, number, quartiles=True),
    Quantity("watts", _energy("watts"), number, quartiles=True),
    Quantity("the study's TPS (all tokens over wall time)", _study, number),
)


def _as_estimate(value: float | None) -> Estimate | None:
    return None if value is None else Estimate(value)


def _closed(load: Load) -> str:
    return f"{load.concurrency} at once"


def _rated(load: Load) -> str:
    return f"{load.kind}, {number(load.requests_per_s or 0)} requests/s"


def _gamma(load: Load) -> str:
    return f"{_rated(load)}, burstiness {number(load.burstiness)}"


def _ramp(load: Load) -> str:
    end = number(load.to_requests_per_s or 0)
    return f"ramp, {number(load.requests_per_s or 0)} to {end} requests/s"


def _replay(load: Load) -> str:
    return f"replay at {number(load.speed)}×"


_LOADS: dict[str, Callable[[Load], str]] = {
    "closed": _closed, "constant": _rated, "poisson": _rated, "gamma": _gamma, "ramp": _ramp,
    "replay": _replay,
}  # fmt: skip
