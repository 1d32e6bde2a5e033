"""What is tried, and what came of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from pilotlight.metrics import EnergySource
from pilotlight.tune.setting import Setting

Purpose = Literal["load", "start", "look", "again", "duel"]
"""Finding the load; one of the starting points; a short look at an option; the longer one at what
looked good; the last comparison with the default."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """One setting under one load for a while."""

    setting: Setting
    level: float
    """Users of a closed loop, or requests/s of Poisson arrivals: as the goal says."""

    seconds: float
    """Measured ones; starting and warming up come on top."""

    purpose: Purpose
    round: int = 0
    """Of a duel, or how many trials this setting had at this load before. All settings meet the
    same requests in the same round, and other ones in each: a cache mustn't know them already."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What one trial measured. A setting that didn't start, fit or answer has `failed` alone."""

    wall_s: float
    """All of it: start, warm-up and stop too."""

    failed: str | None = None
    requests: int = 0
    errors: int = 0
    met_share: float = 0.0
    """Of all requests, errors among them, those that met the service level."""

    goodput_per_s: float = 0.0
    """Requests that met it."""

    good_output_tokens_per_s: float = 0.0
    """Of the requests that met it."""

    output_tokens_per_s: float = 0.0
    total_tokens_per_s: float = 0.0
    ttft_tail_ms: float | None = None
    tpot_tail_ms: float | None = None
    """At the service level's own share."""

    watts: float | None = None
    """Of the whole machine, as far as its meter sees; None where nothing meters it."""

    energy_source: EnergySource | None = None
    ram_bytes: int | None = None
    """As the engine predicted it."""

    limited_by_generator: bool = False
    """The load generator couldn't keep up: the figures are less than the server's."""

    started: bool = False
    """The setting was started for this trial, and not running from the one before."""


@dataclass(frozen=True, slots=True)
class Tried:
    """Evidence: nothing that was measured is thrown away."""

    trial: Trial
    outcome: Outcome
