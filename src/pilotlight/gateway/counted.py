"""How many tokens a request took, and who says so."""

from __future__ import annotations

import msgspec

from pilotlight.core import Usage
from pilotlight.gateway.account import Account
from pilotlight.gateway.plan import Plan
from pilotlight.gateway.wire.spoken import has_ended, spoken_events
from pilotlight.meter.ledger.entry import Counted

MOST_TOKENS = 10**9
"""Of one request; an engine that says more can't be believed."""


class Tokens(msgspec.Struct, frozen=True, gc=False):
    """Of one request, and who counted them."""

    counted: Counted | None = None
    prompt: int | None = None
    cached: int | None = None
    completion: int | None = None


def tokens_of(plan: Plan | None, account: Account, *, whole: bool) -> Tokens:
    """As the engine says at its end. What was broken off before has the events of its stream, or
    what the engine had counted until then, where it counts as it goes and that is more."""
    usage, stream = _believed(account.usage), plan is not None and plan.stream
    if usage is not None and (whole or not stream or has_ended(b"".join(account.tail))):
        return Tokens("engine", usage.prompt_tokens, usage.cached_tokens, usage.completion_tokens)
    if not stream or account.first_byte_s is None:
        return Tokens()
    events = spoken_events(account.head, b"".join(account.tail), account.events)
    if usage is None:
        return Tokens("events", None, None, events)
    so_far = max(events, usage.completion_tokens)
    return Tokens("events", usage.prompt_tokens, usage.cached_tokens, so_far)


def _believed(usage: Usage | None) -> Usage | None:
    if usage is None:
        return None
    most = max(usage.prompt_tokens, usage.cached_tokens or 0, usage.completion_tokens)
    return usage if most <= MOST_TOKENS else None
