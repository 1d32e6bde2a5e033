"""One stage of load against one server: asks in, records out."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import statistics
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace

from pilotlight.bench.arrivals import check
from pilotlight.bench.ask import Ask
from pilotlight.bench.generator.agenda import End
from pilotlight.bench.generator.collector import rare_collections
from pilotlight.bench.generator.generator import LoadGenerator, Progress
from pilotlight.bench.health import GeneratorHealth, health
from pilotlight.bench.load import Load
from pilotlight.bench.record import Record
from pilotlight.bench.target import Target

__all__ = ["End", "Progress", "Run", "run", "run_here"]

MOST_FILES = 65_536


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """`records` are in order of their `index`, which is the order in which they were sent."""

    load: Load
    records: tuple[Record, ...]
    health: GeneratorHealth
    started_at: float
    """Unix seconds of the records' 0."""

    started_s: float
    """The same moment on `time.perf_counter`, for other things on this machine that have times."""

    sending_s: float
    """When the last request was due or the load's time was over: after that it only empties."""

    wall_s: float
    """Until the last answer ended."""

    ended_by: End
    unfinished: int = 0
    """Were due or in flight when it was stopped; they are in no record."""

    dropped_turns: int = 0
    """Later turns of sessions that were never sent: an error or the end came before them."""


async def run(
    target: Target,
    asks: Iterable[Ask],
    load: Load,
    *,
    on_record: Callable[[Record], None] | None = None,
    on_tick: Callable[[Progress], None] | None = None,
    tick_s: float = 0.1,
    stop: asyncio.Event | None = None,
    cold: bool = False,
) -> Run:
    """Returns when all that was sent has ended; setting `stop` ends it at once.

    Turns of a session must follow each other in `asks`. `cold` says that the model isn't loaded:
    what is sent before the first answer begins is marked so.

    Raises:
        BenchError: the load can't be, or a replay's ask has no time.
        ServerUnreachableError: nobody answers at all, said before anything is sent.
    """
    check(load)
    generator = LoadGenerator(
        target, asks, load, on_record=on_record, on_tick=on_tick, tick_s=tick_s
    )
    with _many_files(), rare_collections():
        await generator.open()
        cpu_s, started_at = time.process_time(), time.time()
        generator.start()
        try:
            await _end(generator, stop)
            cpu_s, wall_s = time.process_time() - cpu_s, time.perf_counter() - generator.zero_s
        finally:
            await generator.close()
    return _made(generator, load, started_at, cpu_s, wall_s, cold)


async def _end(generator: LoadGenerator, stop: asyncio.Event | None) -> None:
    if stop is None:
        await generator.finished
        return
    stopping = asyncio.create_task(stop.wait())
    stopping.add_done_callback(lambda task: None if task.cancelled() else generator.stop())
    try:
        await generator.finished
    finally:
        stopping.cancel()


def _made(
    generator: LoadGenerator,
    load: Load,
    started_at: float,
    cpu_s: float,
    wall_s: float,
    cold: bool,
) -> Run:
    pool, agenda, stopped_s = generator.pool, generator.agenda, generator.stopped_s
    ended_by = agenda.ended_by if stopped_s is None else "stopped"
    records = generator.backlog.records
    felt = [record.ttft_ms for record in records if record.ttft_ms is not None]
    sending_s = load.duration_s if ended_by == "duration" else stopped_s
    return Run(
        load=load,
        records=tuple(_marked(records) if cold else records),
        health=health(
            generator.pulse,
            cpu_s=cpu_s,
            wall_s=wall_s,
            ttft_ms=statistics.median(felt) if felt else None,
            reconnects=pool.made - pool.most_open,
            exhausted=pool.exhausted,
        ),
        started_at=started_at,
        started_s=generator.zero_s,
        sending_s=agenda.last_due_s if sending_s is None else sending_s,
        wall_s=max((record.ended_s for record in records), default=0.0),
        ended_by=ended_by,
        unfinished=generator.unfinished,
        dropped_turns=agenda.dropped_turns,
    )


def _marked(records: list[Record]) -> Iterator[Record]:
    """A model that was loading holds up whatever was sent before any answer began."""
    began_s = min((each.first_s for each in records if each.first_s is not None), default=None)
    for record in records:
        yield replace(record, cold=began_s is None or record.sent_s < began_s)


@contextlib.contextmanager
def _many_files() -> Iterator[None]:
    """An open loop over a server that falls behind has as many connections as it is behind."""
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = MOST_FILES if hard == resource.RLIM_INFINITY else min(hard, MOST_FILES)
    if soft != resource.RLIM_INFINITY and soft < most:
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def run_here(
    target: Target,
    asks: Iterable[Ask],
    load: Load,
    *,
    on_record: Callable[[Record], None] | None = None,
    on_tick: Callable[[Progress], None] | None = None,
    cold: bool = False,
) -> Run:
    """`run` in an event loop of its own. Ctrl-C ends the run, which keeps what was measured.

    A second Ctrl-C is a KeyboardInterrupt.
    """
    import uvloop

    async def main() -> Run:
        with _interruptible() as stop:
            return await run(
                target, asks, load, on_record=on_record, on_tick=on_tick, stop=stop, cold=cold
            )

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(main())


@contextlib.contextmanager
def _interruptible() -> Iterator[asyncio.Event]:
    loop, stop = asyncio.get_running_loop(), asyncio.Event()

    def interrupted() -> None:
        loop.remove_signal_handler(signal.SIGINT)
        stop.set()

    if threading.current_thread() is not threading.main_thread():
        yield stop
        return
    loop.add_signal_handler(signal.SIGINT, interrupted)
    try:
        yield stop
    finally:
        loop.remove_signal_handler(signal.SIGINT)
