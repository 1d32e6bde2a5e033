"""The life of an inference request behind admission: a slot, the engine's answer, the account.

The byte path: once the engine's headers are here, `_forward` is all that runs
for each chunk. It parses nothing; the account is made from the stream's tail
when the client has it all.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

from pilotlight.core import Usage
from pilotlight.engines.base import Exchange, read_whole
from pilotlight.errors import (
    CapacityError,
    EngineAnswerError,
    EngineCrashedError,
    EngineUnreachableError,
    PilotlightError,
)
from pilotlight.gateway.account import Account
from pilotlight.gateway.admission import Admission, Draft
from pilotlight.gateway.books import Books, NoBooks
from pilotlight.gateway.http import EVENT_STREAM, Request
from pilotlight.gateway.metrics import Metrics
from pilotlight.gateway.patience import Patience
from pilotlight.gateway.plan import Plan, addressed
from pilotlight.gateway.translate.base import StreamTranslation
from pilotlight.gateway.wire.errors import event as error_event
from pilotlight.gateway.wire.renamed import Renamed
from pilotlight.gateway.wire.sse import COMMENT, Framer
from pilotlight.gateway.wire.usage import TAIL_BYTES, usage_of
from pilotlight.gateway.wire.withheld import UsageWithheld
from pilotlight.meter.ledger.entry import ANSWERED, CANCELLED
from pilotlight.replica.replica import Replica
from pilotlight.router.catalogue import Named
from pilotlight.router.clock import Clock, Timer
from pilotlight.router.performer import Performer
from pilotlight.router.router import Router


class Inference:
    """Carries admitted requests to engines and their answers back."""

    def __init__(
        self,
        router: Router,
        performer: Performer,
        admission: Admission,
        metrics: Metrics,
        books: Books | NoBooks,
        *,
        comment_interval_s: float,
        send_timeout_s: float,
        timing_headers: bool,
        clock: Clock,
    ) -> None:
        self._router = router
        self._performer = performer
        self._admission = admission
        self._metrics = metrics
        self._books = books
        self._comment_interval_s = comment_interval_s
        self._patience = Patience(clock, send_timeout_s)
        self._timing_headers = timing_headers
        self._clock = clock
        self._now = clock.now

    async def run(self, request: Request, draft: Draft, account: Account) -> None:
        """Answer `request`. Raises PilotlightError only while nothing was sent yet."""
        place = self._router.submit(draft.model)
        waits = not place.granted.done()
        waiting = (
            KeepAlive(request, self._clock, self._comment_interval_s) if draft.comments else None
        )
        plan: Plan | None = None
        replica: Replica | None = None
        completed = broken = False
        outcome = PilotlightError.code
        try:
            account.receipt = self._books.receipt(request, draft.model, waits=waits)
            if waiting is not None:
                waiting.begin()
            replica = await place.granted
            account.granted(replica.id, request.arrived_s)
            account.receipt.granted(replica)
            if replica.trace is not None:
                request.load_s = account.queue_s
            plan = draft.plan or self._admission.plan(draft)
            completed = await self._serve(request, plan, replica, account, waiting)
            outcome = ANSWERED
        except asyncio.CancelledError:
            outcome = CANCELLED
            raise
        except PilotlightError as error:
            outcome = error.code
            broken = isinstance(error, EngineCrashedError)
            if waiting is not None:
                await waiting.end()
            verdict = replica.verdict if replica is not None and broken else None
            await self._fail(request, draft, account, verdict or error)
        finally:
            if waiting is not None:
                waiting.cancel()
            keep_alive_s = plan.keep_alive_s if plan else None
            self._router.release(
                place, completed=completed, broken=broken, keep_alive_s=keep_alive_s
            )
            if replica is not None and replica.trace is not None:
                self._performer.unserved(replica)
            self._settle(plan, account, request)
            account.receipt.close(plan, account, outcome)

    async def _fail(
        self, request: Request, draft: Draft, account: Account, error: PilotlightError
    ) -> None:
        """Under way: the stream ends with the error in its own shape. Else it is the answer."""
        if request.status is None:
            raise error
        request.error = error
        self._metrics.broken.labels(draft.model).inc()
        last = error_event(
            draft.asked.surface,
            draft.asked.operation,
            error,
            request.id,
            sequence=account.events,
        )
        await request.send(last, more=False)

    async def _serve(
        self,
        request: Request,
        plan: Plan,
        replica: Replica,
        account: Account,
        waiting: KeepAlive | None,
    ) -> bool:
        """Whether the engine finished the work."""
        if plan.load_only:
            assert plan.translation is not None
            await request.answer_json(200, plan.translation.loaded())
            return False
        path = replica.engine.endpoint(plan.engine_operation)
        replica.awaited += 1
        try:
            exchange = await _open(replica, path, addressed(plan, replica), account)
            try:
                async with self._patience.watch(account):
                    await self._answer(request, plan, replica, exchange, account, waiting)
            finally:
                exchange.close()
        finally:
            replica.awaited -= 1
        return True

    async def _answer(
        self,
        request: Request,
        plan: Plan,
        replica: Replica,
        exchange: Exchange,
        account: Account,
        waiting: KeepAlive | None,
    ) -> None:
        if exchange.status != 200:
            account.billable = False
            raise await _refusal(replica, exchange)
        if plan.stream and not exchange.content_type.startswith(EVENT_STREAM):
            raise EngineAnswerError(
                f"the engine was asked for a stream and answered with {exchange.content_type!r}",
                hint="ask it without stream",
            )
        first = await exchange.read()
        self._first_token(replica)
        account.saw(first, time.perf_counter())
        if waiting is not None:
            await waiting.end()
        if plan.stream:
            await self._stream(request, plan, replica, exchange, account, first)
        else:
            await self._whole(request, plan, replica, exchange, account, first)

    def _first_token(self, replica: Replica) -> None:
        replica.progress_s = self._now()
        if replica.trace is not None and (start := replica.first_token()):
            self._performer.note_cold_start(start)

    async def _whole(
        self,
        request: Request,
        plan: Plan,
        replica: Replica,
        exchange: Exchange,
        account: Account,
        first: bytes,
    ) -> None:
        body = first + await read_whole(exchange)
        account.tail = [body[-TAIL_BYTES:]]
        if plan.translation is not None:
            body = plan.translation.answer(body)
        elif plan.rename is not None:
            body = plan.rename.apply(body)
        headers = self._timings(request, plan, account)
        headers += self._record(plan, account)
        with ClientsTurn(replica, account, self._now):
            await request.answer(200, body, headers=headers)

    async def _stream(
        self,
        request: Request,
        plan: Plan,
        replica: Replica,
        exchange: Exchange,
        account: Account,
        first: bytes,
    ) -> None:
        stream = plan.translation.stream() if plan.translation else _framer(plan)
        if request.status is None:
            with ClientsTurn(replica, account, self._now):
                await self._start_stream(request, plan, account)
        await self._forward(request, stream, replica, exchange, account, first)
        self._record(plan, account)
        with ClientsTurn(replica, account, self._now):
            await request.send(stream.end(), more=False)

    def _record(self, plan: Plan, account: Account) -> list[tuple[str, str]]:
        """Before the last byte is sent: what a client has whole is in the ledger."""
        account.usage = _usage(plan, account)
        told = account.receipt.headers(plan, account)
        account.receipt.close(plan, account, ANSWERED)
        return told

    async def _start_stream(self, request: Request, plan: Plan, account: Account) -> None:
        kind = plan.translation.content_type if plan.translation else EVENT_STREAM
        timings = self._timings(request, plan, account)
        await request.start(
            200,
            [
                (b"content-type", kind.encode()),
                (b"cache-control", b"no-cache"),
                (b"x-accel-buffering", b"no"),
                (b"x-request-id", request.id.encode()),
                *((name.encode(), value.encode()) for name, value in timings),
            ],
        )

    async def _forward(
        self,
        request: Request,
        stream: StreamTranslation | Framer,
        replica: Replica,
        exchange: Exchange,
        account: Account,
        chunk: bytes,
    ) -> None:
        """The hot loop: every chunk of every stream goes through here and nothing else."""
        read, send, feed, saw = exchange.read, request.send, stream.feed, account.saw
        clock, now = time.perf_counter, self._now
        turn = ClientsTurn(replica, account, now)
        while chunk:
            if ready := feed(chunk):
                with turn:
                    await send(ready, more=True)
            chunk = await read()
            if chunk:
                replica.progress_s = now()
                saw(chunk, clock())

    def _timings(self, request: Request, plan: Plan, account: Account) -> list[tuple[str, str]]:
        if not self._timing_headers:
            return []
        queue_s = account.queue_s or 0.0
        first_s = (account.first_byte_s or request.arrived_s) - request.arrived_s
        return [
            ("x-pilotlight-model", str(Named(plan.model, plan.adapter))),
            ("x-pilotlight-replica", account.replica or ""),
            ("x-pilotlight-queue-ms", f"{queue_s * 1000:.3f}"),
            ("x-pilotlight-ttft-ms", f"{first_s * 1000:.3f}"),
        ]

    def _settle(self, plan: Plan | None, account: Account, request: Request) -> None:
        """Make the account, off the path: the client has its answer."""
        if plan is None:
            return
        metrics, model = self._metrics, plan.model
        if account.usage is None:
            account.usage = _usage(plan, account)
        if account.usage is not None:
            metrics.count_tokens(model, account.usage)
        if account.queue_s is not None:
            metrics.queue_s.labels(model).observe(account.queue_s)
        if account.first_byte_s is not None:
            metrics.ttft_s.labels(model).observe(account.first_byte_s - request.arrived_s)
        if plan.stream:
            observe = metrics.itl_s.labels(model).observe
            for gap_s in account.gaps_s:
                observe(gap_s)
        metrics.request_s.labels(model).observe(time.perf_counter() - request.arrived_s)


class ClientsTurn:
    """While it is the client's turn, the engine owes nothing, and the client not for ever."""

    __slots__ = ("_account", "_now", "_replica")

    def __init__(self, replica: Replica, account: Account, now: Callable[[], float]) -> None:
        self._replica = replica
        self._account = account
        self._now = now

    def __enter__(self) -> None:
        self._replica.awaited -= 1
        self._account.sending_since_s = self._now()

    def __exit__(self, *_: object) -> None:
        self._account.sending_since_s = None
        self._replica.awaited += 1


class KeepAlive:
    """SSE comments to a client that waits for a load, a slot or a long prompt.

    The first one is due after a whole interval, and it is what commits the
    answer to status 200; an error before it still gets its own status.
    """

    def __init__(self, request: Request, clock: Clock, interval_s: float) -> None:
        self._request = request
        self._clock = clock
        self._interval_s = interval_s
        self._timer: Timer | None = None
        self._sending: asyncio.Task[None] | None = None

    def begin(self) -> None:
        self._timer = self._clock.call_at(self._clock.now() + self._interval_s, self._due)

    def _due(self) -> None:
        self._sending = asyncio.get_running_loop().create_task(self._comment())

    async def _comment(self) -> None:
        if self._request.status is None:
            await self._request.start(
                200,
                [
                    (b"content-type", EVENT_STREAM.encode()),
                    (b"cache-control", b"no-cache"),
                    (b"x-accel-buffering", b"no"),
                    (b"x-request-id", self._request.id.encode()),
                ],
            )
        await self._request.send(COMMENT, more=True)
        self.begin()

    async def end(self) -> None:
        """No more comments; returns once none is half sent."""
        if self._timer is not None:
            self._timer.cancel()
        if self._sending is not None and not self._sending.done():
            await self._sending
            if self._timer is not None:
                self._timer.cancel()

    def cancel(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        if self._sending is not None:
            self._sending.cancel()


async def _open(replica: Replica, path: str, payload: bytes, account: Account) -> Exchange:
    account.billable = True
    try:
        return await replica.client.open(path, payload)
    except EngineUnreachableError as error:
        account.billable = error.sent
        raise


def _usage(plan: Plan, account: Account) -> Usage | None:
    return usage_of(plan.engine_operation, b"".join(account.tail), account.head)


def _framer(plan: Plan) -> Framer:
    framer = UsageWithheld() if plan.withholds_usage else Framer()
    return Renamed(framer, plan.rename) if plan.rename else framer


async def _refusal(replica: Replica, exchange: Exchange) -> PilotlightError:
    """The engine's refusal in our own terms, with the wait that it asks for."""
    error = replica.engine.error(exchange.status, await read_whole(exchange))
    if isinstance(error, CapacityError) and error.retry_after_s is None:
        error.retry_after_s = exchange.retry_after_s
    return error
