"""What is served, in each surface's own words. Looks only; wakes nothing."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

from pilotlight import __version__
from pilotlight.core import Capabilities, ReplicaState
from pilotlight.errors import StoreError
from pilotlight.gateway import details
from pilotlight.gateway.admin import AdminEndpoints
from pilotlight.gateway.http import Request, parse_object
from pilotlight.gateway.keys import Key
from pilotlight.gateway.translate import ollama_catalog as ollama
from pilotlight.gateway.wire.fields import OllamaRequest, validate_ollama
from pilotlight.router.adapting import AdapterState, Adapting
from pilotlight.router.catalogue import Catalogue, Named, Served
from pilotlight.router.router import Router
from pilotlight.store.address import shown_text

BODY_BYTES = 65536


class ListingEndpoints:
    def __init__(
        self,
        catalogue: Catalogue,
        router: Router,
        admin: AdminEndpoints,
        adapting: Adapting,
        now: Callable[[], float],
    ) -> None:
        self._catalogue = catalogue
        self._router = router
        self._admin = admin
        self._adapting = adapting
        self._now = now

    async def models(self, request: Request, key: Key | None) -> None:
        await request.answer_json(
            200, {"object": "list", "data": [self._openai(name) for name in self._names()]}
        )

    async def model(self, request: Request, key: Key | None) -> None:
        name = self._catalogue.find(request.tail("/v1/models/"))
        self._adapting.require(name)
        await request.answer_json(200, self._openai(name))

    def _names(self) -> Iterator[Named]:
        """Each model, then those of its adapters that every replica has."""
        for model in self._catalogue:
            yield Named(model)
            for adapter in self._catalogue.adapters.of(model):
                name = Named(model, adapter)
                if self._adapting.status(name).state is AdapterState.READY:
                    yield name

    def _openai(self, name: Named) -> dict[str, Any]:
        served = self._catalogue.served(name.model)
        created = int(details.modified_at(served.job.files).timestamp()) if served else 0
        return {
            "id": str(name),
            "object": "model",
            "created": created,
            "owned_by": "pilotlight",
            "state": self._admin.state_of(name.model),
            "context": served.context if served else None,
            **({"parent": name.model} if name.adapter else {}),
        }

    async def tags(self, request: Request, key: Key | None) -> None:
        names = list(self._names())
        listed = await asyncio.to_thread(lambda: [self._listed(name) for name in names])
        await request.answer_json(200, ollama.tags(listed))

    def _listed(self, name: Named) -> ollama.Listed:
        served = self._catalogue.served(name.model)
        if served is None:
            never = datetime.fromtimestamp(0, UTC)
            return ollama.Listed(str(name), ollama.Details(format=""), never)
        files = served.job.files
        return ollama.Listed(
            str(name),
            details.details_of(files),
            details.modified_at(files),
            files.size_bytes,
            files.digest,
        )

    async def show(self, request: Request, key: Key | None) -> None:
        body = parse_object(await request.body(BODY_BYTES))
        validate_ollama(OllamaRequest.SHOW, body, Capabilities(frozenset()), {})
        name = self._catalogue.find(body.get("model", body.get("name")))
        self._adapting.require(name)
        served = self._catalogue.served(name.model)
        if served is None:
            ref = shown_text(self._catalogue.settings[name.model].ref)
            raise StoreError(
                f"model {name.model!r} was never here, so nothing is known of it yet",
                hint=f"run `pilotlight pull {ref}`, or ask it once",
            )
        shown = await asyncio.to_thread(self._shown, name, served)
        await request.answer_json(200, ollama.show(shown))

    def _shown(self, name: Named, served: Served) -> ollama.Shown:
        files = served.job.files
        return ollama.Shown(
            str(name),
            details.details_of(files),
            details.modified_at(files),
            details.capability_names(served.capabilities),
            details.info(files),
            details.template(files),
            self._catalogue.settings[name.model].options,
        )

    async def ps(self, request: Request, key: Key | None) -> None:
        running = [
            self._running(name, served)
            for name in self._catalogue
            if (served := self._catalogue.served(name)) and self._is_loaded(name)
        ]
        await request.answer_json(200, ollama.ps(running))

    def _is_loaded(self, name: str) -> bool:
        return any(r.state is ReplicaState.READY for r in self._router.state.of(name))

    def _running(self, name: str, served: Served) -> ollama.Running:
        replicas = list(self._router.state.of(name))
        return ollama.Running(
            name,
            details.details_of(served.job.files),
            size_bytes=sum(replica.charged_bytes for replica in replicas),
            digest=served.job.files.digest,
            expires_at=self._expires_at(name),
            context_length=served.context,
        )

    def _expires_at(self, name: str) -> datetime | None:
        """When the last replica goes if nobody asks any more; None for a model that stays."""
        model = self._router.state.models[name]
        if model.settings.min or math.isinf(model.keep_alive_s):
            return None
        idle_since_s = max(r.idle_since_s for r in self._router.state.of(name))
        left_s = idle_since_s + model.keep_alive_s - self._now()
        return datetime.now(UTC) + timedelta(seconds=max(0.0, left_s))

    async def version(self, request: Request, key: Key | None) -> None:
        await request.answer_json(200, ollama.version(__version__))
