"""What each request goes into the ledger with: opened as it comes, closed before its last byte."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

from pilotlight.core import Price, ReplicaState, Usage
from pilotlight.fleet.remote import RemoteProcess
from pilotlight.gateway.account import NO_RECEIPT, Account, Receipt
from pilotlight.gateway.counted import Tokens, tokens_of
from pilotlight.gateway.http import Request
from pilotlight.gateway.overflow import cost
from pilotlight.gateway.plan import Plan
from pilotlight.meter.ledger.entry import ANSWERED, PICO, Basis, Entry
from pilotlight.meter.ledger.ledger import Charge, Ledger, Tab
from pilotlight.replica.replica import Replica
from pilotlight.router.catalogue import Served
from pilotlight.router.clock import Clock, Timer
from pilotlight.router.state import State

JOULES = "x-pilotlight-joules"
SOURCE = "x-pilotlight-energy-source"
USD = "x-pilotlight-usd"

TICK_S = 60.0
"""How often a house that nobody asks writes down that it was idle."""

FIRST_TICK_S = 1.0
"""The meter is open by then, and what was before is unknown."""

_NOTHING_HERE = Charge(None, None, None, None, None)


class KeptReceipt:
    """`account.Receipt` of one request; it goes into the ledger once, however it ends."""

    __slots__ = ("_books", "_closed", "_entered_s", "_model", "_price", "_request", "_tab")

    def __init__(self, books: Books, request: Request, model: str, tab: Tab | None) -> None:
        self._books = books
        self._request = request
        self._model = model
        self._tab = tab
        self._price: Price | None = None
        self._entered_s: float | None = None
        self._closed = False

    def granted(self, replica: Replica) -> None:
        """It has its slot."""
        self._entered_s = self._books.now()
        served = self._books.served(self._model)
        if isinstance(replica.process, RemoteProcess) and not _takes_memory(served):
            self._price = served.capabilities.price if served else None
            return
        self._tab = self._tab or Tab(self._model)
        self._books.ledger.enter(self._tab)

    def close(self, plan: Plan | None, account: Account, outcome: str) -> None:
        """All that the engine will say of it is in `account`."""
        if self._closed:
            return
        self._closed = True
        if self._tab is None and self._entered_s is None:
            return  # it only queued, and took nothing
        charge = _NOTHING_HERE if self._tab is None else self._books.ledger.leave(self._tab)
        tokens = tokens_of(plan, account, whole=outcome == ANSWERED)
        self._books.ledger.record(self._entry(plan, account, outcome, tokens, charge))

    def _entry(
        self,
        plan: Plan | None,
        account: Account,
        outcome: str,
        tokens: Tokens,
        charge: Charge,
    ) -> Entry:
        request = self._request
        paid_picousd, basis = self._paid(tokens, charge)
        return Entry(
            at_s=self._books.wall(),
            request=request.id,
            key=request.key_id or "",
            model=self._model,
            adapter=(plan.adapter if plan else None) or "",
            replica=account.replica or "",
            operation=request.operation.value if request.operation else "",
            outcome=outcome,
            counted=tokens.counted,
            prompt_tokens=tokens.prompt,
            cached_tokens=tokens.cached,
            completion_tokens=tokens.completion,
            queue_s=account.queue_s,
            engine_s=0.0 if self._entered_s is None else self._books.now() - self._entered_s,
            energy_uj=charge.energy_uj,
            load_uj=charge.load_uj,
            energy_source=charge.source,
            cost_picousd=paid_picousd,
            load_picousd=charge.load_picousd,
            cost_basis=basis,
        )

    def _paid(self, tokens: Tokens, charge: Charge) -> tuple[int | None, Basis | None]:
        """Unknown tokens cost an unknown sum, not none."""
        if self._tab is not None:
            return charge.cost_picousd, None if charge.cost_picousd is None else "machine"
        if self._price is None or tokens.prompt is None or tokens.completion is None:
            return None, None
        usage = Usage(tokens.prompt, tokens.completion, tokens.cached)
        return cost(self._price, usage), "price"

    def headers(self, plan: Plan, account: Account) -> list[tuple[str, str]]:
        """What it cost, for an answer that is whole and hasn't begun to be sent."""
        if not self._books.with_headers:
            return []
        if self._tab is not None:
            charge = self._books.ledger.so_far(self._tab)
            return _headers(charge.joules, charge.source, charge.usd)
        paid, _ = self._paid(tokens_of(plan, account, whole=True), _NOTHING_HERE)
        return _headers(None, None, None if paid is None else paid / PICO)


def _takes_memory(served: Served | None) -> bool:
    """Of this machine; else nobody here can tell what it takes, and its price is its cost."""
    return served is None or served.predicted.ram_bytes > 0


def _headers(joules: float | None, source: str | None, usd: float | None) -> list[tuple[str, str]]:
    """Unknown is absent."""
    found = []
    if joules is not None and source is not None:
        found += [(JOULES, f"{joules:.6f}"), (SOURCE, source)]
    if usd is not None:
        found.append((USD, f"{usd:.12f}"))
    return found


class Books:
    """The ledger as requests see it."""

    def __init__(
        self,
        ledger: Ledger,
        state: State,
        served: Callable[[str], Served | None],
        clock: Clock,
        *,
        with_headers: bool,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self.ledger = ledger
        self._state = state
        self.served = served
        self.with_headers = with_headers
        self.now = clock.now
        self.wall = wall
        self._clock = clock
        self._timer: Timer | None = None

    def begin(self) -> None:
        """Raises ConfigError where the ledger can't be kept. On the running event loop."""
        self.ledger.begin()
        self._set_timer(FIRST_TICK_S)

    def _set_timer(self, after_s: float) -> None:
        self._timer = self._clock.call_at(self.now() + after_s, self._tick)

    def _tick(self) -> None:
        self.ledger.tick()
        self._set_timer(TICK_S)

    async def close(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        await asyncio.to_thread(self.ledger.close)

    def receipt(self, request: Request, model: str, *, waits: bool) -> Receipt:
        """`waits`: it has no slot yet."""
        loads = waits and not is_ready(self._state, model) and _takes_memory(self.served(model))
        return KeptReceipt(self, request, model, self.ledger.wait(model) if loads else None)


class NoBooks:
    """The same without a ledger."""

    def begin(self) -> None: ...

    async def close(self) -> None: ...

    def receipt(self, request: Request, model: str, *, waits: bool) -> Receipt:
        return NO_RECEIPT


def is_ready(state: State, model: str) -> bool:
    """Whether a replica of it takes requests: who waits then waits for a slot, not for a load."""
    return any(r.state is ReplicaState.READY and not r.resting for r in state.of(model))
