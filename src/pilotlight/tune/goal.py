"""What the search is to find the most of."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from pilotlight.meter.ledger.rate import Rate
from pilotlight.tune.trial import Outcome

Aim = Literal["goodput", "cost"]
LevelKind = Literal["users", "rate"]

_FAINT = 1e-9
"""So little that any request that met the service level outweighs all that didn't."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Goal:
    """The aim, under which load, held against which share of requests that must meet the SLO."""

    aim: Aim = "goodput"
    levels: LevelKind = "rate"
    level: float | None = None
    """The load to tune for; None looks for the highest that meets the service level."""

    share: float = 0.95
    rate: Rate = Rate()
    """What this machine costs while it serves; only the cost asks."""

    def score(self, outcome: Outcome) -> float:
        """More is better; 0 where nothing met the service level.

        Of goodput requests/s, of cost output tokens per dollar: both of those that met it alone.
        """
        if outcome.failed is not None:
            return 0.0
        if self.aim == "goodput":
            return outcome.goodput_per_s
        usd_per_s = self._usd_per_s(outcome)
        return outcome.good_output_tokens_per_s / usd_per_s if usd_per_s else 0.0

    def merit(self, outcome: Outcome) -> float:
        """The score, and where that is 0 a trace of the throughput: a slope to climb by."""
        if outcome.failed is not None:
            return 0.0
        return self.score(outcome) or _FAINT * outcome.output_tokens_per_s

    def usd_per_mtok(self, outcome: Outcome) -> float | None:
        """Of a million output tokens that met the service level."""
        usd_per_s = self._usd_per_s(outcome)
        if not usd_per_s or not outcome.good_output_tokens_per_s:
            return None
        return usd_per_s / outcome.good_output_tokens_per_s * 1e6

    def _usd_per_s(self, outcome: Outcome) -> float:
        """0 where nobody knows: joules cost something, and weren't metered."""
        if self.priced_by_joules and outcome.watts is None:
            return 0.0
        return self.rate.usd(1.0, outcome.watts or 0.0)

    @property
    def priced_by_joules(self) -> bool:
        """Trials have to be metered."""
        return self.aim == "cost" and bool(self.rate.usd_per_joule)
