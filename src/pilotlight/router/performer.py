"""Does what the router decided: resolves, starts, wakes, sleeps and stops real replicas.

Every effect runs as a task of its own and ends in exactly one event, so the
run loop never waits for anything.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Coroutine, Mapping
from contextlib import ExitStack
from typing import Any, TypeVar

from pilotlight.core import ColdStart
from pilotlight.engines.base import Adapts, EngineProcess, Leaves, ModelJob
from pilotlight.errors import (
    AdapterError,
    EngineCrashedError,
    EngineStalledError,
    EngineStartError,
    PilotlightError,
)
from pilotlight.fleet.base import Fleet
from pilotlight.replica.replica import Replica
from pilotlight.replica.standby import StandbyPool
from pilotlight.replica.trace import Trace
from pilotlight.replica.watchdog import CHECKS_PER_STALL, Watch, is_stalled, look
from pilotlight.router.arrivals import Arrivals, Coming
from pilotlight.router.catalogue import Catalogue
from pilotlight.router.clock import Clock, sleep, timeout
from pilotlight.router.decisions import (
    Adapt,
    Decision,
    Drain,
    Probe,
    Resolve,
    Sleep,
    Start,
    Stop,
    Wake,
    Yield,
)
from pilotlight.router.events import (
    Event,
    ModelChanged,
    ReplicaAdapted,
    ReplicaAsleep,
    ReplicaEnded,
    ReplicaLeaving,
    ReplicaOutdated,
    ReplicaProven,
    ReplicaReady,
    ReplicaStarted,
    ResolveFailed,
)
from pilotlight.router.watchers import Watchers

log = logging.getLogger(__name__)

COLD_STARTS_KEPT = 200

PROBE_S = 0.5
"""How long a suspect engine gets to answer, and the pause before it is asked again."""

ADAPT_S = 120.0
"""How long an engine may take to exchange its adapters; vLLM takes some 10 ms for each."""

EARLY_S, EARLY_BYTES_S = 20.0, 500e6
"""What an early load may take from the last byte on, and a byte a second of it more."""

_T = TypeVar("_T")


class Performer:
    """Owns the replicas' processes; the router owns what is known of them."""

    def __init__(
        self,
        catalogue: Catalogue,
        fleet: Fleet,
        *,
        capacity_bytes: int,
        clock: Clock,
        watchers: Watchers,
    ) -> None:
        self.catalogue = catalogue
        self.capacity_bytes = capacity_bytes
        self.replicas: dict[str, Replica] = {}
        self.cold_starts: deque[ColdStart] = deque(maxlen=COLD_STARTS_KEPT)
        self.arrivals = Arrivals(catalogue, watchers, clock.now, capacity_bytes)
        self._post: Callable[[Event], None]
        self._is_busy: Callable[[str], bool]
        self._fleet = fleet
        self._clock = clock
        self._now = clock.now
        self._watchers = watchers
        self._tasks: set[asyncio.Task[Any]] = set()
        self._lives: dict[str, asyncio.Task[None]] = {}
        self._holds: dict[str, ExitStack] = {}
        self._ending: set[str] = set()
        """Replicas whose end was ordered: whoever ordered it tells the router, once."""

        self._pools = self._make_pools()
        self._do: Mapping[type[Any], Callable[[Any], object]] = {
            Resolve: lambda d: self._spawn(self._resolve(d.model)),
            Start: self._start,
            Wake: lambda d: self._act(d.replica, self._wake),
            Sleep: lambda d: self._act(d.replica, self._sleep),
            Stop: lambda d: self._act(d.replica, self._stop),
            Drain: self._drain,
            Yield: lambda d: None,
            Probe: lambda d: self._act(d.replica, self._probe),
            Adapt: lambda d: self._act(d.replica, self._adapt),
        }

    def connect(self, post: Callable[[Event], None], is_busy: Callable[[str], bool]) -> None:
        """Where events go and who knows the requests in flight. Once, before anything is done."""
        self._post, self._is_busy = post, is_busy

    def look(self, model: str) -> None:
        """Tell the router of a model whose files are here already; touches no network."""
        try:
            found = self.catalogue.look(model)
        except PilotlightError as error:
            log.warning("model %s: %s", model, error.one_line())
            return  # said again, to whoever asks for it
        if found is not None and self.catalogue.is_whole(model):
            self._post(self.arrivals.resolved(model))

    def _make_pools(self) -> dict[str, StandbyPool]:
        wanted: dict[str, int] = {}
        for settings in self.catalogue.settings.values():
            wanted[settings.engine] = wanted.get(settings.engine, 0) + settings.standby
        return {
            engine: StandbyPool(self.catalogue.engine_named(engine), self._fleet, count)
            for engine, count in wanted.items()
            if count
        }

    def perform(self, decision: Decision) -> None:
        self._do[type(decision)](decision)

    def fill_standbys(self) -> None:
        for pool in self._pools.values():
            pool.fill()

    @property
    def standby_count(self) -> int:
        return sum(pool.count for pool in self._pools.values())

    def _act(self, id: str, work: Callable[[Replica], Coroutine[Any, Any, None]]) -> None:
        """On the replica as it is now: by the time the task runs, its id may mean nobody."""
        replica = self.replicas.get(id)
        if replica is not None:
            self._spawn(work(replica))

    def _spawn(self, work: Coroutine[Any, Any, _T]) -> asyncio.Task[_T]:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def _resolve(self, model: str) -> None:
        try:
            await self.arrivals.bring(model, self._post)
        except Exception as error:  # a task's edge: whoever waits must hear of it
            self._post(ResolveFailed(model, _expected(error, f"model {model}")))

    def _start(self, decision: Start) -> None:
        served = self.catalogue.served(decision.model)
        assert served is not None
        replica = Replica(decision.replica, served.job, served.engine, self._fleet, self._now)
        self.replicas[decision.replica] = replica
        # Asked together with the job: when the task runs, the fetch may be over, well or badly.
        coming = self.arrivals.coming(decision.model)
        self._lives[replica.id] = self._spawn(self._live(replica, coming))

    async def _live(self, replica: Replica, coming: Coming | None) -> None:
        """A replica's whole life: start, then guard until its process is gone."""
        name = replica.job.name
        pool = self._pools.get(self.catalogue.settings[name].engine)
        standby = pool.take() if pool is not None and self._takes_standby(name) else None
        rung = "standby" if standby else "cold"
        trace = Trace(name, replica.id, rung, self._now)
        trace.begin("claim")
        log.info("model %s: replica %s starts", name, replica.id)
        try:
            since_s = await self._bring_up(replica, trace, standby, coming)
        except TimeoutError:
            self._failed(replica, self._too_slow(replica))
            return
        except Exception as error:  # a task's edge: whoever waits must hear of it
            self._failed(replica, _expected(error, f"replica {replica.id}"))
            return
        self._loaded(replica, since_s)
        await self._guard(replica)

    async def _bring_up(
        self,
        replica: Replica,
        trace: Trace,
        standby: EngineProcess | None,
        coming: Coming | None,
    ) -> float:
        """Its process starts while the model still arrives, where it needs nothing of that to.

        Returns since when it loaded: the next load won't wait for a download.
        """
        name = replica.job.name
        load_timeout_s = self.catalogue.settings[name].load_timeout
        since_s = self._now()
        try:
            if coming is not None:
                if self._takes_standby(name):
                    async with timeout(self._clock, load_timeout_s):
                        await replica.park(trace, standby)
                    standby = None  # it is the replica's now
                since_s = await self._await_bytes(replica, trace, coming)
            self._hold(replica)
            trace.precede(self.arrivals.take_phases(name))
            async with timeout(self._clock, load_timeout_s):
                await replica.start(trace, standby, lambda: self._post(ReplicaStarted(replica.id)))
            return since_s
        except BaseException:
            await replica.stop(grace_s=0.0)
            if standby is not None:
                await standby.stop(grace_s=0.0)  # it may not have become the replica's yet
            raise

    async def _await_bytes(self, replica: Replica, trace: Trace, coming: Coming) -> float:
        """Until the model is here, and when that was; as much of the load as can be is done."""
        trace.begin("bytes")
        early = self._spawn(self._load_early(replica, coming))
        try:
            await coming.here()
            here_s = self._now()
            served = self.catalogue.served(replica.job.name)
            assert served is not None
            if coming.front.became(served.job.files.path):
                if replica.loads_early:
                    trace.begin("load")
                await self._finish_early(replica, early)
            else:
                replica.disbelieve()
        finally:
            early.cancel()
        replica.job = served.job
        return here_s

    async def _load_early(self, replica: Replica, coming: Coming) -> None:
        """Not while an adapter is still to come: with it, the job would be another."""
        if self.catalogue.overlays.look(replica.job.name):
            await replica.load_early(coming.front.follow())

    async def _finish_early(self, replica: Replica, early: asyncio.Task[None]) -> None:
        limit_s = _early_s(replica.job.files.size_bytes)
        try:
            async with timeout(self._clock, limit_s):
                await early
        except TimeoutError:
            log.warning("model %s: its early load took over %g s", replica.job.name, limit_s)
            replica.disbelieve()

    def _hold(self, replica: Replica) -> None:
        """The replica's files stay, and those of its former job may go."""
        held = self.catalogue.hold(replica.job)
        self._let_go(replica)
        self._holds[replica.id] = held

    def _let_go(self, replica: Replica) -> None:
        if held := self._holds.pop(replica.id, None):
            held.close()

    def _takes_standby(self, name: str) -> bool:
        """A parked process may be of another kind than this model's options ask for."""
        served = self.catalogue.served(name)
        return served is not None and served.capabilities.standby

    def _too_slow(self, replica: Replica) -> EngineStartError:
        limit = self.catalogue.settings[replica.job.name].load_timeout
        return EngineStartError(
            f"the engine of {replica.job.name!r} was not ready after {limit:g} s",
            last_words=replica.last_words(),
            hint="raise the model's load_timeout",
        )

    def _loaded(self, replica: Replica, claimed_s: float) -> None:
        load_s = self._now() - claimed_s
        peak = replica.process.peak_memory_bytes() if replica.process else None
        name = replica.job.name
        news = {"load_s": load_s} if peak is None else {"load_s": load_s, "peak_bytes": peak}
        self.catalogue.measure(name, **news)
        log.info("model %s: replica %s ready after %.2f s", name, replica.id, load_s)
        self._watchers.loaded(name, replica)
        self._post(ReplicaReady(replica.id, peak, load_s))
        if not self._is_busy(replica.id):
            # Nobody waited for it, so there is no first token to wait for either.
            self.end_trace(replica, "ready")

    def _failed(self, replica: Replica, error: PilotlightError) -> None:
        """It ended by itself. Silent when its end was ordered meanwhile."""
        if replica.id not in self._ending:
            self._end(replica, error)

    def _end(self, replica: Replica, error: PilotlightError | None) -> None:
        self._ending.discard(replica.id)
        if self.replicas.get(replica.id) is not replica:
            return  # its end was told already
        self.replicas.pop(replica.id)
        self._lives.pop(replica.id, None)
        self._let_go(replica)
        self.end_trace(replica, f"failed: {error.code}" if error else "stopped")
        self._refill(replica.job.name)
        self._post(ReplicaEnded(replica.id, error))

    async def _guard(self, replica: Replica) -> None:
        """Until the process ends by itself, or stalls and is ended."""
        beside = [self._spawn(self._watch(replica)), self._spawn(self._heed(replica))]
        try:
            how = await replica.wait()
        finally:
            for task in beside:
                task.cancel()
        error = replica.verdict or self._crash(replica, how)
        if replica.id not in self._ending:
            log.error("replica %s: %s", replica.id, error.one_line())
        self._failed(replica, error)

    async def _heed(self, replica: Replica) -> None:
        """One that somebody else told to go gets nothing more to do."""
        if isinstance(replica.process, Leaves):
            self._post(ReplicaLeaving(replica.id, await replica.process.leaving()))

    def _crash(self, replica: Replica, how: str) -> EngineCrashedError:
        return EngineCrashedError(
            f"the engine of {replica.job.name!r} ended ({how}): {replica.last_words()}",
            hint="its whole log is under logs/ in the data directory",
        )

    async def _watch(self, replica: Replica) -> None:
        """Ends an engine that makes no progress; `_guard` then tells why."""
        stall_s = self.catalogue.settings[replica.job.name].stall
        watch = Watch(self._now())
        while not is_stalled(watch, self._now(), stall_s):
            await sleep(self._clock, min(stall_s / CHECKS_PER_STALL, 30.0))
            busy = replica.awaited > 0
            counter = await self._progress(replica, stall_s) if busy else None
            watch = look(watch, self._now(), busy=busy, byte_s=replica.progress_s, counter=counter)
        replica.verdict = _stalled(replica, stall_s)
        await replica.stop(grace_s=0.0)  # a stalled engine has no last wishes to honour

    async def _progress(self, replica: Replica, stall_s: float) -> int | None:
        if replica.process is None:
            return None
        try:
            async with timeout(self._clock, stall_s / CHECKS_PER_STALL):
                return await replica.engine.progress(replica.process)
        except Exception:  # whatever kept it from answering, it is no sign of life
            return None

    async def _probe(self, replica: Replica) -> None:
        """A dead engine's end is told by its guard; a living one is asked until it answers."""
        stall_s = self.catalogue.settings[replica.job.name].stall
        until_s = self._now() + stall_s
        while replica.process and replica.process.alive and self._now() < until_s:
            if await self._progress(replica, PROBE_S * CHECKS_PER_STALL) is not None:
                self._post(ReplicaProven(replica.id))
                return
            await sleep(self._clock, PROBE_S)
        if replica.process and replica.process.alive:
            await self._give_up(replica, _stalled(replica, stall_s))

    async def _adapt(self, replica: Replica) -> None:
        """While it serves; where its engine can't, a new replica is to take its place."""
        served = self.catalogue.served(replica.job.name)
        assert served is not None
        assert replica.process is not None
        job: ModelJob | None = None
        try:
            if isinstance(replica.engine, Adapts):
                async with timeout(self._clock, ADAPT_S):
                    job = await replica.engine.adapt(replica.process, replica.job, served.job)
            replica.job = job or replica.job
            self._hold(replica)
        except AdapterError as error:
            await self._refuse_new(replica, served.job, error)
            job = replica.job
        except Exception as error:  # a task's edge: a new replica is the way out of any failure
            log.warning("replica %s: %s", replica.id, _expected(error, "adapters").one_line())
        if job is None:
            self._post(ReplicaOutdated(replica.id))
            return
        self._post(ReplicaAdapted(replica.id))

    async def _refuse_new(self, replica: Replica, wanted: ModelJob, error: AdapterError) -> None:
        """The engine would not have what it was given last; nobody is served with it."""
        for adapter in wanted.adapters:
            if adapter not in replica.job.adapters:
                self.catalogue.overlays.refuse(wanted.name, adapter.name, error)
        await self.change(wanted.name)

    async def change(self, model: str) -> None:
        """A model's adapters are others than before: what runs follows."""
        if await self.catalogue.describe_again(model) is None:
            return  # its fetch failed: the next one finds the adapters as they are by then
        self._post(self.arrivals.resolved(model))
        self._post(ModelChanged(model))

    async def _wake(self, replica: Replica) -> None:
        served = self.catalogue.served(replica.job.name)
        assert served is not None
        replica.job = served.job
        claimed_s = self._now()
        if await self._done_in_time(replica, self._held_wake(replica)):
            self._loaded(replica, claimed_s)

    async def _held_wake(self, replica: Replica) -> None:
        self._hold(replica)
        await replica.wake()

    async def _sleep(self, replica: Replica) -> None:
        if not await self._done_in_time(replica, replica.sleep()):
            return
        asleep = replica.process.memory_bytes() if replica.process else None
        if asleep is not None:
            self.catalogue.measure(replica.job.name, asleep_bytes=asleep)
        log.info("model %s: replica %s sleeps", replica.job.name, replica.id)
        self._post(ReplicaAsleep(replica.id, asleep))

    async def _done_in_time(self, replica: Replica, work: Coroutine[Any, Any, None]) -> bool:
        """Whether `work` on a loaded replica succeeded; if not, the replica is ended."""
        try:
            async with timeout(self._clock, self.catalogue.settings[replica.job.name].load_timeout):
                await work
        except TimeoutError:
            await self._give_up(replica, self._too_slow(replica))
            return False
        except Exception as error:  # a task's edge: whoever waits must hear of it
            await self._give_up(replica, _expected(error, f"replica {replica.id}"))
            return False
        return True

    async def _give_up(self, replica: Replica, error: PilotlightError) -> None:
        if replica.id in self._ending:
            return
        self._ending.add(replica.id)
        await replica.stop(grace_s=0.0)
        self._end(replica, error)

    def _drain(self, decision: Drain) -> None:
        replica = self.replicas.get(decision.replica)
        if replica is not None:
            log.info(
                "model %s: replica %s leaves: %s", replica.job.name, replica.id, decision.reason
            )
            self._watchers.leaving(replica.job.name, decision.reason)

    async def _stop(self, replica: Replica) -> None:
        if replica.id in self._ending:
            return  # its end is being told already
        self._ending.add(replica.id)
        await replica.stop()
        life = self._lives.get(replica.id)
        if life is not None:
            life.cancel()
            await asyncio.gather(life, return_exceptions=True)
        await replica.stop(grace_s=0.0)  # it may have been launched meanwhile
        self._end(replica, None)

    def note_cold_start(self, start: ColdStart) -> None:
        """A start is over, well or badly. Only now is the standby it took replaced: another
        process starting up beside the first request would take its cores."""
        self._refill(start.model)
        self.cold_starts.append(start)
        self._watchers.cold_start(start)

    def _refill(self, model: str) -> None:
        pool = self._pools.get(self.catalogue.settings[model].engine)
        if pool is not None:
            pool.fill()

    def unserved(self, replica: Replica) -> None:
        """A request left without a token; if it was the last one, the start's trace is over."""
        if replica.id in self.replicas and not self._is_busy(replica.id):
            self.end_trace(replica, "unserved")

    def end_trace(self, replica: Replica, outcome: str) -> None:
        """End the trace under way, if one is, without a first token."""
        trace, replica.trace = replica.trace, None
        if trace is not None:
            trace.drop()
            self.note_cold_start(trace.finish(outcome))

    async def close(self) -> None:
        """Stop whatever still runs; nothing is left when this returns."""
        for pool in self._pools.values():
            await pool.close()
        for replica in list(self.replicas.values()):
            await self._stop(replica)
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._fleet.close()


def _early_s(size_bytes: int) -> float:
    return EARLY_S + size_bytes / EARLY_BYTES_S


def _stalled(replica: Replica, stall_s: float) -> EngineStalledError:
    return EngineStalledError(
        f"the engine of {replica.job.name!r} made no progress for {stall_s:g} s "
        "with work in hand and was restarted",
        hint="its whole log is under logs/ in the data directory",
    )


def _expected(error: Exception, what: str) -> PilotlightError:
    """Our own errors as they are; a bug as an error of ours, with its traceback in the log."""
    if isinstance(error, PilotlightError):
        log.error("%s: %s", what, error.one_line())
        return error
    log.error("%s failed unexpectedly", what, exc_info=error)
    return PilotlightError(
        f"{what} failed unexpectedly: {type(error).__name__}: {error}", hint="see the server's log"
    )
