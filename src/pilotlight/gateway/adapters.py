"""Adapters over HTTP: what each model has, one more, one less; all while it serves."""

from __future__ import annotations

from typing import Any

from pilotlight.config import AdapterSettings, parse_adapter
from pilotlight.errors import (
    ConfigError,
    FieldError,
    ModelRefError,
    RequestError,
    UnknownModelError,
)
from pilotlight.gateway.http import Request, parse_object, until_gone
from pilotlight.gateway.keys import Key
from pilotlight.router.adapting import AdapterStatus, Adapting
from pilotlight.router.catalogue import Catalogue, Named
from pilotlight.store.address import shown_text

PREFIX = "/pilotlight/v1/adapters/"
BODY_BYTES = 65536
_FIELDS = ("model", "adapter", "ref", "digest")
_HINT = f"send {', '.join(_FIELDS)}"


class AdapterEndpoints:
    def __init__(self, catalogue: Catalogue, adapting: Adapting) -> None:
        self._catalogue = catalogue
        self._adapting = adapting

    async def list(self, request: Request, key: Key | None) -> None:
        found = [_shown(status) for status in self._adapting.list()]
        await request.answer_json(200, {"adapters": found})

    async def add(self, request: Request, key: Key | None) -> None:
        """Answers once every replica has it; a client that leaves earlier stops nothing."""
        body = parse_object(await request.body(BODY_BYTES))
        for field in body:
            if field not in _FIELDS:
                raise FieldError(field, body[field], "no such field", hint=_HINT)
        model = self._catalogue.name_of(body.get("model"))
        name = Named(model, _adapter_name(self._catalogue, model, body.get("adapter")))
        await until_gone(request, self._adapting.add(name, _settings(name, body)))
        await request.answer_json(200, _shown(self._adapting.status(name)))

    async def remove(self, request: Request, key: Key | None) -> None:
        asked = request.tail(PREFIX)
        name = self._catalogue.find(asked)
        if name.adapter is None:
            raise UnknownModelError(
                f"{asked!r} is a model, not an adapter", param="adapter", hint="name model:adapter"
            )
        await until_gone(request, self._adapting.remove(name))
        await request.answer_json(200, {"id": str(name), "removed": True})


def _adapter_name(catalogue: Catalogue, model: str, name: Any) -> str:
    if not isinstance(name, str):
        raise FieldError("adapter", name, "the adapter's name")
    try:
        taken = catalogue.find(f"{model}:{name}")
    except UnknownModelError:
        return name
    if taken.adapter != name:
        raise FieldError("adapter", name, "a name that gives no other model's name")
    return name


def _settings(name: Named, body: dict[str, Any]) -> AdapterSettings:
    assert name.adapter is not None
    entry = {field: body[field] for field in ("ref", "digest") if field in body}
    try:
        return parse_adapter(name.adapter, entry, "adapter", "the request")
    except (ConfigError, ModelRefError) as error:
        raise RequestError(error.message, param="adapter", hint=error.hint) from None


def _shown(status: AdapterStatus) -> dict[str, Any]:
    return {
        "id": str(status.name),
        "model": status.name.model,
        "adapter": status.name.adapter,
        "ref": shown_text(status.settings.ref),
        "declared": status.declared,
        "state": status.state.value,
        "error": status.error.one_line() if status.error else None,
    }
