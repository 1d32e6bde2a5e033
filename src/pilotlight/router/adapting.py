"""Adapters that come and go while their model serves: asked for, checked, kept, brought to all."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, TypeVar

from pilotlight.config import AdapterSettings
from pilotlight.engines.base import Adapter
from pilotlight.errors import AdapterError, AdapterNotReadyError, PilotlightError
from pilotlight.router import overlays
from pilotlight.router.catalogue import Catalogue, Named
from pilotlight.router.performer import Performer
from pilotlight.router.router import Router
from pilotlight.router.state import ARRIVING, READY

_T = TypeVar("_T")


class AdapterState(StrEnum):
    """Where one adapter of one model stands."""

    READY = "ready"
    """Every replica that serves has it, and each to come will."""

    LOADING = "loading"
    """Some replica doesn't have it yet."""

    ABSENT = "absent"
    """Its bytes were never here; the model's next load fetches them."""

    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class AdapterStatus:
    """What is known of one adapter."""

    name: Named
    settings: AdapterSettings
    declared: bool
    state: AdapterState
    error: PilotlightError | None


class Adapting:
    """One change at a time, each carried to its end whoever leaves meanwhile."""

    def __init__(self, catalogue: Catalogue, router: Router, performer: Performer) -> None:
        self._catalogue = catalogue
        self._desired = catalogue.adapters
        self._overlays = catalogue.overlays
        self._router = router
        self._performer = performer
        self._turn = asyncio.Lock()
        self._tasks: set[asyncio.Task[Any]] = set()

    def list(self) -> list[AdapterStatus]:
        return [
            self.status(Named(model, name))
            for model in self._catalogue
            for name in self._desired.of(model)
        ]

    def status(self, name: Named) -> AdapterStatus:
        assert name.adapter is not None
        return AdapterStatus(
            name,
            self._desired.of(name.model)[name.adapter],
            self._desired.is_declared(name.model, name.adapter),
            self._state(name),
            self._overlays.error(name.model, name.adapter),
        )

    def _state(self, name: Named) -> AdapterState:
        assert name.adapter is not None
        if self._overlays.error(name.model, name.adapter):
            return AdapterState.FAILED
        served = self._catalogue.served(name.model)
        known = _adapter(served.job.adapters, name.adapter) if served else None
        if known is None:
            return AdapterState.ABSENT
        everywhere = all(known in adapters for adapters in self._running(name.model))
        return AdapterState.READY if everywhere else AdapterState.LOADING

    def _running(self, model: str) -> Iterator[tuple[Adapter, ...]]:
        """What each replica has that serves or is about to; one asleep wakes with all."""
        for record in self._router.state.of(model):
            replica = self._performer.replicas.get(record.id)
            if replica is not None and record.state in (*ARRIVING, READY):
                yield replica.job.adapters

    def require(self, name: Named) -> None:
        """Whether a request for it can be served.

        Raises:
            AdapterError, StoreError: it can't ever be, and why.
            AdapterNotReadyError: not every replica has it yet.
        """
        if name.adapter is None:
            return
        if error := self._overlays.error(name.model, name.adapter):
            raise AdapterError(
                f"adapter {name.adapter!r} of model {name.model!r} isn't served: {error.message}",
                hint=error.hint,
            )
        if self._state(name) is AdapterState.LOADING:
            raise AdapterNotReadyError(
                f"adapter {name.adapter!r} is on its way to the replicas of {name.model!r}",
                hint="ask again in a moment",
            )

    async def add(self, name: Named, settings: AdapterSettings) -> None:
        """Returns once every replica has it. Cancelled, it goes on all the same.

        Raises:
            AdapterError: it doesn't fit, or the engine won't have it; nothing has changed.
            AdapterConflictError, StoreError, ModelRefError, EngineError, CapacityError.
        """
        await self._whole(self._add(name, settings))

    async def remove(self, name: Named) -> None:
        """From now on nobody is served with it. Raises AdapterConflictError, UnknownModelError."""
        await self._whole(self._remove(name))

    async def _whole(self, change: Coroutine[Any, Any, _T]) -> _T:
        async def in_turn() -> _T:
            async with self._turn:
                return await change

        task = asyncio.get_running_loop().create_task(in_turn())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return await asyncio.shield(task)

    async def _add(self, name: Named, settings: AdapterSettings) -> None:
        model, adapter = name.model, name.adapter
        assert adapter is not None
        self._desired.refuse_conflict(model, adapter, settings)
        await self._check(name, settings)
        new = adapter not in self._desired.of(model)
        await asyncio.to_thread(self._desired.add, model, adapter, settings)
        await self._performer.change(model)
        error = await self._arrival(name)
        if error is not None:
            await self._take_back(name, error, new)

    async def _check(self, name: Named, settings: AdapterSettings) -> None:
        """Before anybody hears of it: its bytes are here and fit over the model."""
        model, adapter = name.model, name.adapter
        assert adapter is not None
        served = self._catalogue.served(model)
        if served is None:
            files = await self._catalogue.fetch(model)
            served = await self._catalogue.describe(model, files)
        files = await self._overlays.obtain(settings)
        overlay = Adapter(adapter, files, overlays.stamp_of(files))
        await asyncio.to_thread(
            overlays.check, overlay, served.job, served.engine, served.capabilities
        )
        self._overlays.accept(model, adapter, files)

    async def _arrival(self, name: Named) -> PilotlightError | None:
        """Until every replica has it; or why one would not."""
        assert name.adapter is not None
        record = self._router.state.models[name.model]
        before = record.failure

        def is_decided() -> bool:
            crashed = record.failure is not None and record.failure is not before
            return crashed or self._state(name) is not AdapterState.LOADING

        await self._router.until(is_decided)
        if self._state(name) is AdapterState.LOADING:
            return record.failure
        return self._overlays.error(name.model, name.adapter)

    async def _take_back(self, name: Named, error: PilotlightError, new: bool) -> None:
        assert name.adapter is not None
        if new:
            await asyncio.to_thread(self._desired.remove, name.model, name.adapter)
            self._overlays.forget(name.model, name.adapter)
        else:
            self._overlays.refuse(name.model, name.adapter, error)
        await self._performer.change(name.model)
        raise AdapterError(
            f"the engine of {name.model!r} would not have adapter {name.adapter!r}: "
            f"{error.message}",
            hint=error.hint,
        )

    async def _remove(self, name: Named) -> None:
        assert name.adapter is not None
        await asyncio.to_thread(self._desired.remove, name.model, name.adapter)
        self._overlays.forget(name.model, name.adapter)
        if self._catalogue.served(name.model) is not None:
            await self._performer.change(name.model)

    async def close(self) -> None:
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)


def _adapter(adapters: tuple[Adapter, ...], name: str) -> Adapter | None:
    return next((adapter for adapter in adapters if adapter.name == name), None)
