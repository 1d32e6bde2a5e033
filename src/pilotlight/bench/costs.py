"""What the tokens of a stage cost, one way to pay beside the other, each with its arithmetic."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from pilotlight.metrics import EnergySource

Way = Literal["electricity", "own", "platform", "api", "study"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Served:
    """What was answered whole in the windows of a stage; the rest are means of these answers.

    Tokens are None where the server counted none.
    """

    seconds: float
    requests: int
    input_tokens: float | None
    output_tokens: float | None
    ttft_s: float | None
    """From sending."""

    request_s: float
    """From sending to the end: what a platform bills."""

    at_once: float
    """In flight, errors too, in the mean over the windows."""

    busy_share: float
    """Of the time, with at least one in flight."""

    busy_spans: int = 1
    """Times without a pause that make up the busy ones."""

    watts: float | None = None
    """Gross, of the machine that served."""

    @property
    def requests_per_s(self) -> float:
        return self.requests / self.seconds

    @property
    def total_tokens(self) -> float | None:
        if self.input_tokens is None or self.output_tokens is None:
            return None
        return self.input_tokens + self.output_tokens


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """One way to pay for these answers, at the load that was served. None: it can't be told."""

    kind: Way
    name: str
    """A key: of the catalog's row, or of the kind."""

    title: str
    usd_per_request: float | None = None
    usd_per_output_mtok: float | None = None
    """For a million output tokens; their prompts are in it."""

    usd_per_total_mtok: float | None = None
    """For a million tokens, prompt and output together."""

    usd_per_month: float | None = None
    """Of 730 hours at this load."""

    arithmetic: tuple[str, ...] = ()
    source: str = ""
    as_of: str | None = None
    energy_source: EnergySource | None = None
    """Of the power in it; None where no power is."""

    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """Where a machine at a fixed price becomes the cheaper one than paying by the token."""

    one: str
    """`name` of the fixed way."""

    other: str
    requests_per_month: float | None
    """None where one of them is the cheaper at every load looked at."""

    cheaper: Literal["above", "below", "always", "never"]
    """On which side of it `one` is."""

    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Costs:
    """The cheapest for a token comes first within each kind."""

    served: Served
    ways: tuple[Cost, ...] = ()
    turns: tuple[Turn, ...] = ()
    notes: tuple[str, ...] = ()
    """What wasn't priced, and why."""
