"""One engine process serving one model: brought up, proven, put to sleep, woken, stopped."""

from __future__ import annotations

import json
import logging
from collections.abc import AsyncIterator, Callable
from dataclasses import replace

from pilotlight.core import ColdStart
from pilotlight.engines.base import (
    Engine,
    EngineClient,
    EngineProcess,
    LoadsEarly,
    ModelJob,
    Remembers,
)
from pilotlight.errors import EngineCrashedError, EngineStartError, PilotlightError
from pilotlight.fleet.base import Fleet
from pilotlight.replica.trace import Trace

log = logging.getLogger(__name__)

CANARY_TIMEOUT_S = 120.0
FIRST_TOKEN = "first_token"


class Replica:
    """Performs what the router decided about one replica; keeps no state of its life.

    Operations on one replica never overlap: the router decides the next only
    after it heard of the last.
    """

    def __init__(
        self, id: str, job: ModelJob, engine: Engine, fleet: Fleet, now: Callable[[], float]
    ) -> None:
        self.id = id
        self.job = job
        self.engine = engine
        self.process: EngineProcess | None = None
        self.progress_s = now()
        """When the engine last sent a byte; written by whoever forwards its bytes."""

        self.awaited = 0
        """Requests that wait for a byte of the engine right now. A client that is slow to take
        its bytes keeps a slot busy, but the engine owes it nothing."""

        self.verdict: PilotlightError | None = None
        """Why its process was ended, where that is known better than by a broken answer."""

        self.trace: Trace | None = None
        """The start under way, until its first token reached a client."""

        self._fleet = fleet
        self._now = now
        self._early: ModelJob | None = None
        """The job that the process was made to load before its files were whole."""

        self._is_early = False
        """Whether that load is done and to be believed."""

    @property
    def client(self) -> EngineClient:
        if self.process is None:
            raise EngineCrashedError(f"replica {self.id} has no process")
        return self.process.client

    async def start(
        self, trace: Trace, standby: EngineProcess | None, started: Callable[[], None]
    ) -> None:
        """From nothing, or from a parked process, to a generated canary token.

        Raises:
            EngineStartError: with the engine's last words.
        """
        self.trace = trace
        if self._early is not None and not self._has(self._early):
            await self._give_up_early()
        if self.process is None:
            with trace.phase("process_start"):
                self.process = standby or await self._launch(self.job)
        started()
        await self._load(trace)

    async def park(self, trace: Trace, standby: EngineProcess | None) -> None:
        """Start the process, which then waits for its model. Raises EngineStartError."""
        self.trace = trace
        with trace.phase("process_start"):
            self.process = standby or await self._launch(None)

    async def load_early(self, arrived: AsyncIterator[int]) -> None:
        """Beside the download, where the engine can; whatever comes of it, `start` is next."""
        if self.process is None or not isinstance(self.engine, LoadsEarly):
            return
        try:
            if self.engine.can_load_early(self.job):
                self._early = self.job
                self._is_early = await self.engine.load_early(self.process, self.job, arrived)
        except PilotlightError as error:
            log.warning("model %s: no early load: %s", self.job.name, error.one_line())
        except Exception:  # a task's edge: what is wrong with the model is said by its load
            log.warning("model %s: no early load", self.job.name, exc_info=True)

    def disbelieve(self) -> None:
        """What was loaded early was not what the file turned out to be."""
        self._is_early = False

    @property
    def loads_early(self) -> bool:
        """Whether its process was made to load before the files were whole."""
        return self._early is not None

    def _has(self, early: ModelJob) -> bool:
        """Whether the process has the model as the job wants it now that its files are whole."""
        return self._is_early and replace(self.job, files=early.files) == early

    async def _give_up_early(self) -> None:
        """Its memory may hold anything: another process, and another load."""
        log.warning("model %s: what was loaded early is of no use; once more", self.job.name)
        await self.stop(grace_s=0.0)
        self.process, self._early = None, None

    async def _launch(self, job: ModelJob | None) -> EngineProcess:
        launch = self.engine.command(self._fleet.seat(self.id), job)
        if launch.pods is not None and self.trace is not None:
            launch = replace(launch, stage=self.trace.begin)
        return await self._fleet.launch(launch)

    async def _load(self, trace: Trace) -> None:
        assert self.process is not None
        if self._early is None:
            with trace.phase("load"):
                await self.engine.load(self.process, self.job)
        self._early = None  # a wake loads anew
        with trace.phase("warm_up"):
            await self._prove()
        if self.job.system_prompts is not None and isinstance(self.engine, Remembers):
            with trace.phase("prompts"):
                await self._recall(self.process, self.engine)
        self.progress_s = self._now()
        trace.begin(FIRST_TOKEN)

    async def _prove(self) -> None:
        """A canary token: an engine may call itself healthy and not work (llama.cpp #27309).

        One that bills by the token is only asked whether it is there.
        """
        path, body = self.engine.canary(self.job)
        try:
            status, answer = await self.client.fetch(path, body, timeout_s=CANARY_TIMEOUT_S)
        except (EngineCrashedError, TimeoutError) as error:
            words = self.process.last_words() if self.process else ""
            raise EngineStartError(
                f"the engine of {self.job.name!r} loaded but gave no first token ({error})",
                last_words=words,
            ) from None
        if status != 200 or not (body is None or _is_object(answer)):
            raise EngineStartError(
                f"the engine of {self.job.name!r} loaded but refused its first request",
                last_words=answer[:500].decode(errors="replace"),
            )

    async def _recall(self, process: EngineProcess, engine: Remembers) -> None:
        """A model without its prompts' state answers as well, only later."""
        try:
            tokens = await engine.recall(process, self.job)
        except EngineCrashedError:
            raise
        except PilotlightError as error:
            log.warning("model %s: %s", self.job.name, error.one_line())
        except Exception:
            log.warning("model %s: its system prompts failed", self.job.name, exc_info=True)
        else:
            log.info("model %s: %d tokens of system prompts restored", self.job.name, tokens)

    async def wake(self) -> None:
        """Load the model into the sleeping process again. Raises EngineStartError."""
        self.trace = Trace(self.job.name, self.id, "asleep", self._now)
        await self._load(self.trace)

    async def sleep(self) -> None:
        """Free the model's memory, keep the process."""
        assert self.process is not None
        await self.engine.unload(self.process)

    async def stop(self, grace_s: float = 5.0) -> None:
        if self.process is not None:
            await self.process.stop(grace_s)

    async def wait(self) -> str:
        """Until the process is gone; says how it went."""
        assert self.process is not None
        return await self.process.wait()

    def last_words(self) -> str:
        return self.process.last_words() if self.process else ""

    def first_token(self) -> ColdStart | None:
        """A client saw a token: ends the trace of the start that made it possible, once."""
        trace, self.trace = self.trace, None
        return trace.finish("served") if trace else None


def _is_object(answer: bytes) -> bool:
    try:
        return isinstance(json.loads(answer), dict | list)
    except ValueError:
        return False
