"""Now and then, the page cache is filled with what will likely be loaded next."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterator

from pilotlight.router.catalogue import Catalogue
from pilotlight.router.clock import Clock, sleep
from pilotlight.router.eviction import reuse_probability
from pilotlight.router.state import State
from pilotlight.store.page_cache import Candidate, PageCache

log = logging.getLogger(__name__)

PERIOD_S = 60.0


class Warmth:
    """Looks once a period, the first time after one: loads that are wanted now come first."""

    def __init__(
        self,
        catalogue: Catalogue,
        state: State,
        is_coming: Callable[[str], bool],
        cache: PageCache,
        clock: Clock,
    ) -> None:
        self._catalogue = catalogue
        self._state = state
        self._is_coming = is_coming
        self._cache = cache
        self._clock = clock
        self._task: asyncio.Task[None] | None = None

    def begin(self) -> None:
        self._task = asyncio.get_running_loop().create_task(self._run())

    async def close(self) -> None:
        self._cache.stop()
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _run(self) -> None:
        while True:
            await sleep(self._clock, PERIOD_S)
            try:
                read = await asyncio.to_thread(self._cache.keep, tuple(self.candidates()))
            except Exception:  # a task's edge: a cold page cache is no reason to stop looking
                log.warning("the page cache can't be kept warm", exc_info=True)
                continue
            if read:
                log.info("read %d MiB into the page cache", read >> 20)

    def candidates(self) -> Iterator[Candidate]:
        """Every model whose files are here, whole."""
        now = self._clock.now()
        for name, model in self._state.models.items():
            served = self._catalogue.served(name)
            if served is None or self._is_coming(name) or not served.job.files.size_bytes:
                continue
            files = served.job.files
            loaded = any(not replica.resting for replica in self._state.of(name))
            chance = reuse_probability(model, now)
            yield Candidate(name, files.path, files.size_bytes, chance, loaded)
