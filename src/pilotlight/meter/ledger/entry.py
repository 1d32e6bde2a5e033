"""What the ledger keeps: one entry a request, and what the machine took while it had none."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

from pilotlight.metrics import EnergySource

Counted = Literal["engine", "events"]
"""Who counted the tokens: the engine in its usage, or we, in the events of an answer that was
broken off before it said."""

Basis = Literal["machine", "price"]
"""What dollars are of: a part of this machine's, or the price of somebody else's engine."""

ANSWERED = "answered"
CANCELLED = "cancelled"

PICO = 10**12
MICRO = 10**6

Units = Annotated[int, msgspec.Meta(ge=0, le=10**16)]
"""Tokens, or joules and dollars in their parts: $10,000 for one request, and sums of hundreds, are
within SQLite's 64 bits."""


class Entry(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag="request"):
    """One request that reached a model's replica, or waited for one to load. Unknown is None.

    Joules and dollars are whole millionths and picodollars, so that sums are exact in any order.
    """

    at_s: float
    """When it ended, since the epoch."""

    request: str
    key: str = ""
    """The API key's id; empty without one."""

    model: str
    """The one that answered, also where another was asked and overflowed."""

    adapter: str = ""
    replica: str = ""
    operation: str
    outcome: str
    """``answered``, ``cancelled`` by its client, or the code of the error that ended it."""

    counted: Counted | None = None
    prompt_tokens: Units | None = None
    cached_tokens: Units | None = None
    completion_tokens: Units | None = None
    queue_s: float | None = None
    """From arrival to its slot, loading included; None for one that never got one."""

    engine_s: float = 0.0
    """From its slot to its end."""

    energy_uj: Units | None = None
    """Of the time on the engine."""

    load_uj: Units | None = None
    """Its part of the load it waited for."""

    energy_source: EnergySource | None = None
    cost_picousd: Units | None = None
    load_picousd: Units | None = None
    cost_basis: Basis | None = None


class Idle(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag="idle"):
    """A time in which nobody's request ran and nobody waited for a load."""

    at_s: float
    """When it ended, since the epoch."""

    seconds: float
    energy_uj: Units | None = None
    energy_source: EnergySource | None = None
    cost_picousd: Units | None = None


Line = Entry | Idle

_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(Line)


def encoded(line: Line) -> bytes:
    return _encoder.encode(line) + b"\n"


def decoded(text: bytes) -> list[Line]:
    """Of whole lines. Raises msgspec.MsgspecError for what is no line of a journal."""
    lines: list[Line] = _decoder.decode_lines(text)
    return lines
