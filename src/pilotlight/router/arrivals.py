"""Brings models' files here: one fetch a model, foreseen from its beginning, then whole."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field

from pilotlight.core import Phase
from pilotlight.router.catalogue import Catalogue, Served
from pilotlight.router.events import Event, ModelResolved
from pilotlight.router.front import Front
from pilotlight.router.watchers import Watchers
from pilotlight.store.progress import Progress


@dataclass(frozen=True, slots=True)
class Coming:
    """One fetch of a model; says how it ended for as long as anybody asks."""

    whole: asyncio.Future[None]
    front: Front = field(default_factory=Front)
    """How much is here of it."""

    async def here(self) -> None:
        """Until nothing of the model is missing. Raises what its fetch failed with."""
        await asyncio.shield(self.whole)


class Arrivals:
    """Tells the router of each model once its header is known, and again when all is here."""

    def __init__(
        self,
        catalogue: Catalogue,
        watchers: Watchers,
        now: Callable[[], float],
        capacity_bytes: int,
    ) -> None:
        self.downloads: dict[str, Progress] = {}
        self._catalogue = catalogue
        self._watchers = watchers
        self._now = now
        self._capacity_bytes = capacity_bytes
        self._coming: dict[str, Coming] = {}
        self._phases: dict[str, tuple[Phase, ...]] = {}
        """Of a model's fetch, for the trace of the start that waited for it."""

    def is_coming(self, model: str) -> bool:
        return model in self._coming

    def coming(self, model: str) -> Coming | None:
        """The fetch that is under way; None once there is none."""
        return self._coming.get(model)

    def take_phases(self, model: str) -> tuple[Phase, ...]:
        return self._phases.pop(model, ())

    async def bring(self, model: str, post: Callable[[Event], None]) -> None:
        """Fetch and describe; ends in one event, perhaps with an earlier one before it.

        Raises:
            Exception: what it failed with; the event is the caller's then.
        """
        come: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._coming[model] = Coming(come)
        try:
            await self._bring(model, post)
        except BaseException as error:
            self._catalogue.forget(model)
            if isinstance(error, Exception):
                come.set_exception(error)
                come.exception()  # seen, even when nobody waits
            else:
                come.cancel()
            raise
        finally:
            del self._coming[model]
            self.downloads.pop(model, None)
        come.set_result(None)
        post(self.resolved(model))

    async def _bring(self, model: str, post: Callable[[Event], None]) -> None:
        def report(progress: Progress) -> None:
            self.downloads[model] = progress
            self._watchers.downloading(model, progress)

        def foreseen(served: Served) -> None:
            post(self.resolved(model))

        began_s = self._now()
        watch = self._coming[model].front.watch
        files = await self._catalogue.fetch(model, report, foreseen, watch)
        here_s = self._now()
        await self._catalogue.describe(model, files)
        self._phases[model] = (
            Phase("fetch", began_s, here_s),
            Phase("header", here_s, self._now()),
        )

    def resolved(self, model: str) -> ModelResolved:
        return ModelResolved(model, self._catalogue.resolved(model, self._capacity_bytes))
