"""What runs here and the levers: the command line's own API, under /pilotlight/v1/."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from pilotlight import __version__
from pilotlight.core import ReplicaState
from pilotlight.errors import FieldError
from pilotlight.gateway import details
from pilotlight.gateway.http import Request, parse_object, until_gone
from pilotlight.gateway.keys import Key
from pilotlight.router.adapting import Adapting
from pilotlight.router.catalogue import Catalogue, Named
from pilotlight.router.performer import Performer
from pilotlight.router.router import Router
from pilotlight.router.schedule import eta_s
from pilotlight.router.state import ModelRecord, ReplicaRecord
from pilotlight.store.address import shown_text
from pilotlight.store.progress import Progress

_LADDER = (
    ReplicaState.READY, ReplicaState.LOADING, ReplicaState.STARTING, ReplicaState.ASLEEP,
    ReplicaState.DRAINING,
)  # fmt: skip
BODY_BYTES = 65536


def _rests(record: ReplicaRecord) -> bool:
    return record.idle and record.state in (ReplicaState.READY, ReplicaState.ASLEEP)


def _finite(seconds: float) -> float | None:
    """JSON has no infinity: a model that is kept forever has no keep-alive to show."""
    return seconds if math.isfinite(seconds) else None


class AdminEndpoints:
    def __init__(
        self,
        router: Router,
        performer: Performer,
        catalogue: Catalogue,
        adapting: Adapting,
        now: Callable[[], float],
    ) -> None:
        self._router = router
        self._performer = performer
        self._catalogue = catalogue
        self._adapting = adapting
        self._now = now
        self._began_s = now()

    def state_of(self, model: str) -> str:
        """The best state any replica of it is in; `failed` when it was given up."""
        states = {replica.state for replica in self._router.state.of(model)}
        if self._router.state.models[model].given_up:
            return "failed"
        return next((state.value for state in _LADDER if state in states), "cold")

    async def ps(self, request: Request, key: Key | None) -> None:
        state = self._router.state
        await request.answer_json(
            200,
            {
                "version": __version__,
                "uptime_s": round(self._now() - self._began_s, 3),
                "memory": {
                    "capacity_bytes": state.capacity_bytes,
                    "charged_bytes": state.charged_bytes,
                },
                "standbys": self._performer.standby_count,
                "models": [self._model(model) for model in state.models.values()],
            },
        )

    def _model(self, model: ModelRecord) -> dict[str, Any]:
        progress = self._performer.arrivals.downloads.get(model.name)
        return {
            "name": model.name,
            "ref": shown_text(model.settings.ref),
            "engine": model.settings.engine,
            "state": self.state_of(model.name),
            "queued": len(model.queue),
            "crashes": model.crashes,
            "error": model.failure.one_line() if model.failure else None,
            "eta_s": eta_s(self._router.state, model, self._now()),
            "download": _download(progress) if progress else None,
            "replicas": [self._replica(model, r) for r in self._router.state.of(model.name)],
        }

    def _replica(self, model: ModelRecord, record: ReplicaRecord) -> dict[str, Any]:
        replica = self._performer.replicas.get(record.id)
        process = replica.process if replica else None
        served = self._catalogue.served(model.name)
        now = self._now()
        return {
            "id": record.id,
            "state": record.state.value,
            "pid": process.pid if process else None,
            "slots": record.slots,
            "in_flight": len(record.in_flight),
            "ram_bytes": process.memory_bytes() if process else None,
            "predicted_bytes": served.predicted.ram_bytes if served else None,
            "predicted_by": served.predicted.source if served else None,
            "measured_bytes": served.measured.peak_bytes if served else None,
            "charged_bytes": record.charged_bytes,
            "since_s": round(now - record.since_s, 3),
            "idle_s": round(now - record.idle_since_s, 3) if _rests(record) else None,
            "keep_alive_s": _finite(model.keep_alive_s),
            "last_words": replica.last_words() if replica else "",
        }

    async def models(self, request: Request, key: Key | None) -> None:
        await request.answer_json(
            200, {"models": [self._describe(name) for name in self._catalogue]}
        )

    def _describe(self, name: str) -> dict[str, Any]:
        settings = self._catalogue.settings[name]
        served = self._catalogue.served(name)
        about = {
            "name": name,
            "aliases": settings.aliases,
            "ref": shown_text(settings.ref),
            "engine": settings.engine,
            "build": self._catalogue.engine(name).build,
            "state": self.state_of(name),
            "options": settings.options,
            "adapters": {
                adapter: self._adapting.status(Named(name, adapter)).state.value
                for adapter in self._catalogue.adapters.of(name)
            },
        }
        if served is None:
            return {**about, "size_bytes": None, "context": None, "capabilities": None}
        return {
            **about,
            "size_bytes": served.job.files.size_bytes or None,
            "digest": served.job.files.digest,
            "context": served.context,
            "slots": served.slots,
            "predicted_bytes": served.predicted.ram_bytes,
            "predicted_by": served.predicted.source,
            "measured_bytes": served.measured.peak_bytes,
            "capabilities": details.capabilities(served.capabilities),
        }

    async def cold_starts(self, request: Request, key: Key | None) -> None:
        await request.answer_json(
            200, {"cold_starts": [start.as_json() for start in self._performer.cold_starts]}
        )

    async def load(self, request: Request, key: Key | None) -> None:
        """Answers once the model is ready; a client that leaves earlier does not stop the load."""
        name = await self._named(request)
        began_s = self._now()
        place = self._router.load(name)
        try:
            await until_gone(request, _wait(place.granted))
        finally:
            self._router.release(place, completed=False)
        await request.answer_json(
            200,
            {
                "model": name,
                "state": self.state_of(name),
                "seconds": round(self._now() - began_s, 3),
            },
        )

    async def stop(self, request: Request, key: Key | None) -> None:
        """Requests in flight get up to `drain` to finish; the next one loads the model again."""
        name = await self._named(request)
        living = list(self._router.state.of(name))
        self._router.stop(name)
        await request.answer_json(200, {"model": name, "stopped": len(living)})

    async def _named(self, request: Request) -> str:
        body = parse_object(await request.body(BODY_BYTES))
        for field in body:
            if field != "model":
                raise FieldError(field, body[field], "no such field", hint="send only model")
        return self._catalogue.name_of(body.get("model"))


def _download(progress: Progress) -> dict[str, Any]:
    return {
        "phase": progress.phase,
        "done_bytes": progress.done_bytes,
        "total_bytes": progress.total_bytes,
    }


async def _wait(granted: Any) -> None:
    await granted
