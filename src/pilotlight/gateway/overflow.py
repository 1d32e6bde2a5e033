"""Requests that would wait too long are answered by another model, for so much money a day.

Off unless a model says so. Nothing private leaves, nobody is left in doubt that it happened
(a header, a log field, a metric), and the budget holds whatever runs at once: what a request
can cost at most is reserved before it goes out.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import msgspec

from pilotlight.config import ModelSettings, OverflowSettings
from pilotlight.core import Operation, Price, Usage
from pilotlight.errors import RequestError
from pilotlight.gateway.account import Account
from pilotlight.gateway.admission import Admission, Draft
from pilotlight.gateway.http import Request
from pilotlight.gateway.keys import Key
from pilotlight.gateway.metrics import Metrics
from pilotlight.gateway.plan import Plan
from pilotlight.gateway.prices import Bill
from pilotlight.gateway.spending import Reservation, Spending, dollars, picodollars
from pilotlight.gateway.wire.spoken import has_ended
from pilotlight.router.catalogue import Catalogue
from pilotlight.router.state import LIVING, State

HEADER = b"x-pilotlight-overflow"
_PER_MTOK = 10**6
_GENERATES = frozenset({Operation.CHAT, Operation.COMPLETIONS, Operation.RESPONSES})
_COUNTS_ON_REQUEST = frozenset({Operation.CHAT, Operation.COMPLETIONS})
"""Operations whose streams say what they cost only when asked."""

_UNBOUNDED = (b'"image_url"', b'"input_image"', b'"input_audio"', b'"file"', b'"input_file"')
"""Parts of a prompt whose tokens their bytes don't bound: the context alone does."""

_OTHERWISE_PRICED = ("service_tier", "prediction", "modalities", "audio", "web_search_options")
"""Fields that make a token cost more, add tokens nobody asked for or charge by the call."""


@dataclass(frozen=True, slots=True)
class View:
    """What the decision looks at: one model's queue and replicas."""

    waiting: int
    room: bool
    """A replica takes another request now."""

    coming: bool
    """A replica is there or on its way, so a queue will move."""


def overflows(limit: int, view: View) -> bool:
    """The queue would grow past `limit`, and somebody is at work on it.

    The second keeps a cold model's first request here: it is what loads the model.
    """
    return view.coming and not view.room and view.waiting >= limit


def view_of(state: State, model: str) -> View:
    replicas = [r for r in state.replicas.values() if r.model == model and r.state in LIVING]
    return View(
        waiting=len(state.models[model].queue),
        room=any(replica.open for replica in replicas),
        coming=bool(replicas),
    )


def cost(price: Price, usage: Usage) -> int:
    """What `usage` costs, in picodollars, rounded up."""
    cached = min(usage.cached_tokens or 0, usage.prompt_tokens)
    cached_price = price.input_usd_per_mtok
    if price.cached_usd_per_mtok is not None:
        cached_price = price.cached_usd_per_mtok
    parts = (
        (usage.prompt_tokens - cached, price.input_usd_per_mtok),
        (cached, cached_price),
        (usage.completion_tokens, price.output_usd_per_mtok),
    )
    return -(-sum(tokens * picodollars(usd) for tokens, usd in parts) // _PER_MTOK)


def most_usage(operation: Operation, payload: bytes, context: int) -> Usage:
    """The most tokens that `payload` can use: each token of a text has at least a byte of it."""
    body: Mapping[str, Any] = msgspec.json.decode(payload)
    prompts = _prompts(body)
    prompt = context * prompts
    # Written anew: an escape in the client's own writing would hide a part.
    if not any(part in msgspec.json.encode(body) for part in _UNBOUNDED):
        read = prompts if operation is Operation.RERANK else 1  # the query, with each document
        prompt = min(len(payload) * read, prompt)
    if operation not in _GENERATES:
        return Usage(prompt, 0)
    names = ("max_completion_tokens", "max_tokens", "max_output_tokens")
    limits = [body[name] for name in names if isinstance(body.get(name), int)]
    answers = max(body.get("n") or 1, body.get("best_of") or 1) * prompts
    return Usage(prompt, min(max(limits, default=context), context) * answers)


def costs_by_the_token(payload: bytes) -> bool:
    """Whether the model's price tells all that a request may cost."""
    body: Mapping[str, Any] = msgspec.json.decode(payload)
    return not any(body.get(name) is not None for name in _OTHERWISE_PRICED)


def _prompts(body: Mapping[str, Any]) -> int:
    """OpenAI's completions and embeddings take several at once; token ids are one."""
    given = body.get("documents", body.get("prompt", body.get("input")))
    several = isinstance(given, list) and bool(given) and not isinstance(given[0], int | dict)
    return len(given) if several and given is not None else 1


@dataclass(frozen=True, slots=True)
class Spill:
    """One request on its way to another model."""

    source: str
    draft: Draft
    """Planned for the model that answers."""

    price: Price | None
    reservation: Reservation | None


class Overflow:
    """Decides for each request, and keeps its account."""

    def __init__(
        self,
        models: Mapping[str, ModelSettings],
        catalogue: Catalogue,
        admission: Admission,
        state: State,
        spending: Spending,
        metrics: Metrics,
        bills: Mapping[str, Bill],
    ) -> None:
        self._bills = bills
        self._models = models
        self._catalogue = catalogue
        self._admission = admission
        self._state = state
        self._spending = spending
        self._metrics = metrics

    def consider(self, request: Request, draft: Draft, key: Key | None) -> Spill | None:
        """A spill when the request is to go elsewhere; `settle` it, however that ends."""
        settings = self._models[draft.model]
        policy = settings.overflow
        if policy is None or not overflows(policy.queue, view_of(self._state, draft.model)):
            return None
        private = settings.private or (key is not None and key.private)
        kept = "private" if private else "adapter" if draft.adapter else None
        found = kept or self._spill(draft, policy)
        if isinstance(found, str):
            request.notes["kept_from_overflow"] = found
            return None
        self._mark(request, found)
        return found

    def _spill(self, draft: Draft, policy: OverflowSettings) -> Spill | str:
        """The spill, paid for; or in a word why there is none."""
        moved = self._moved(draft, self._catalogue.name_of(policy.to))
        if moved is None or moved.plan is None:
            return "unsuited"
        bill = self._bills[moved.model]
        if bill.price is None or bill.context is None or policy.usd_per_day is None:
            return Spill(draft.model, moved, None, None)
        if not costs_by_the_token(moved.plan.payload):
            return "unsuited"
        usage = most_usage(moved.plan.engine_operation, moved.plan.payload, bill.context)
        limit = picodollars(policy.usd_per_day)
        reservation = self._spending.reserve(draft.model, cost(bill.price, usage), limit)
        return Spill(draft.model, moved, bill.price, reservation) if reservation else "budget"

    def _moved(self, draft: Draft, target: str) -> Draft | None:
        """To the other model, where it does what is asked and takes one more request."""
        other = self._state.models[target]
        served = self._catalogue.served(target)
        if draft.plan is None or draft.plan.load_only or served is None or other.given_up:
            return None
        if len(other.queue) >= other.settings.queue:
            return None
        moved = replace(draft, model=target, plan=None)
        try:
            plan = self._admission.plan(moved)
        except RequestError:
            return None  # it honours less than the model that was asked
        # How long a model stays is said of the one that was asked.
        return replace(moved, plan=_counting(replace(plan, keep_alive_s=None)))

    def _mark(self, request: Request, spill: Spill) -> None:
        target = spill.draft.model
        request.marks.append((HEADER, target.encode("latin-1", "replace")))
        request.notes["overflow"] = target
        self._metrics.overflows.labels(spill.source, target).inc()

    def settle(self, request: Request, spill: Spill, account: Account) -> None:
        """With the tokens it was billed for; unknown ones cost what was set aside for them."""
        if spill.reservation is None or spill.price is None:
            return
        actual = spill.reservation.amount
        if not account.billable:
            actual = 0
        elif account.usage is not None:
            counted = cost(spill.price, account.usage)
            actual = counted if _is_whole(spill, account) else max(actual, counted)
        self._spending.settle(spill.reservation, actual)
        self._metrics.overflow_usd.labels(spill.source, spill.draft.model).inc(dollars(actual))
        request.notes["overflow_usd"] = round(dollars(actual), 9)


def _is_whole(spill: Spill, account: Account) -> bool:
    """Some count in each event, so of a stream that was cut off the count may go on there."""
    if spill.draft.plan is None or not spill.draft.plan.stream:
        return True
    return has_ended(b"".join(account.tail))


def _counting(plan: Plan) -> Plan:
    """A stream that says at its end what it cost, and keeps that from who didn't ask."""
    if not plan.stream or plan.translation or plan.engine_operation not in _COUNTS_ON_REQUEST:
        return plan
    body: dict[str, Any] = msgspec.json.decode(plan.payload)
    asked = body.get("stream_options") or {}
    if asked.get("include_usage"):
        return plan
    body["stream_options"] = {**asked, "include_usage": True}
    return replace(plan, payload=msgspec.json.encode(body), withholds_usage=True)
