"""From a request's body to a plan: which model, is it right, and what the engine is sent."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import msgspec

from pilotlight.core import Capabilities, Operation, Surface
from pilotlight.errors import (
    FieldError,
    RequestError,
    UnsupportedOperationError,
    UnsupportedParameterError,
)
from pilotlight.gateway.http import Request, parse_object
from pilotlight.gateway.plan import UNADDRESSED, Plan
from pilotlight.gateway.translate.base import Context, Translation
from pilotlight.gateway.translate.registry import (
    COMPLETED,
    OLLAMA,
    TRANSLATIONS,
    is_load_request,
)
from pilotlight.gateway.wire.fields import (
    OllamaRequest,
    engine_body,
    refuse_lacking,
    validate,
    validate_ollama,
)
from pilotlight.gateway.wire.tables.handled import read_keep_alive
from pilotlight.router.catalogue import Catalogue, Named, Served


@dataclass(frozen=True, slots=True)
class Asked:
    """What an endpoint is for: an operation on a surface, or one of Ollama's own requests."""

    surface: Surface
    operation: Operation
    ollama: OllamaRequest | None = None

    @property
    def streams_unless_refused(self) -> bool:
        return self.ollama in (OllamaRequest.CHAT, OllamaRequest.GENERATE)


@dataclass(frozen=True, slots=True)
class Draft:
    """A request whose model is known. `plan` is None while the model's files aren't here yet."""

    asked: Asked
    model: str
    adapter: str | None
    body: dict[str, Any]
    raw: bytes
    stream: bool
    request: Request
    plan: Plan | None = None
    at_once: Mapping[str, Any] | None = None
    """The answer to a request that needs no replica: to let go a model that isn't loaded."""

    @property
    def comments(self) -> bool:
        """Whether a waiting stream can be kept alive: SSE has comments, NDJSON has nothing."""
        return self.stream and self.asked.surface is not Surface.OLLAMA


class Admission:
    """Checks a request against what its model can do, before it takes anybody's place."""

    def __init__(
        self,
        catalogue: Catalogue,
        is_loaded: Callable[[str], bool],
        require_adapter: Callable[[Named], None],
    ) -> None:
        """`require_adapter` raises for one that can't answer now."""
        self._catalogue = catalogue
        self._is_loaded = is_loaded
        self._require_adapter = require_adapter

    def draft(self, request: Request, asked: Asked, raw: bytes) -> Draft:
        """Also tells the request its model, so that a refusal is counted as that model's.

        Raises:
            UnknownModelError, FieldError, UnsupportedParameterError: and their kin.
        """
        body = parse_object(raw)
        if asked.ollama and "model" not in body and "name" in body:
            body = {**body, "model": body["name"]}  # Ollama's older name for it
        if "model" not in body:
            hint = f"served here: {', '.join(self._catalogue)}"
            raise FieldError("model", None, "the name of a model", hint=hint)
        name = self._catalogue.find(body["model"])
        request.model = name.model
        self._require_adapter(name)
        stream = body.get("stream")
        draft = Draft(
            asked=asked,
            model=name.model,
            adapter=name.adapter,
            body=body,
            raw=raw,
            stream=stream is True or (stream is None and asked.streams_unless_refused),
            request=request,
        )
        if asked.ollama and self._lets_go_nothing(draft, asked.ollama):
            return replace(draft, at_once=self._let_go(draft, asked.ollama))
        if self._catalogue.served(name.model) is None:
            return draft
        return replace(draft, plan=self.plan(draft))

    def _lets_go_nothing(self, draft: Draft, request: OllamaRequest) -> bool:
        """A wish to unload what isn't loaded: to load it first would be the opposite."""
        _, keep_alive_s = _without_keep_alive(draft.body)
        only_loads = is_load_request(request, draft.body)
        return only_loads and keep_alive_s == 0 and not self._is_loaded(draft.model)

    def _let_go(self, draft: Draft, request: OllamaRequest) -> Mapping[str, Any] | None:
        served = self._catalogue.served(draft.model)
        can = served.capabilities if served else Capabilities(frozenset())
        validate_ollama(request, draft.body, can, {"num_ctx": served.context if served else None})
        return OLLAMA[request](draft.body, can, _context(draft)).loaded()

    def plan(self, draft: Draft) -> Plan:
        """The plan of a draft whose model's files are here. Raises RequestError."""
        served = self._catalogue.served(draft.model)
        assert served is not None
        served = _adapted(served, draft.adapter)
        if draft.asked.ollama is not None:
            return self._ollama(draft, draft.asked.ollama, served)
        return self._native(draft, served)

    def _native(self, draft: Draft, served: Served) -> Plan:
        """In the engine's own words where it has them all, else carried by its chat."""
        body, keep_alive_s = _without_keep_alive(draft.body)
        operation, can = draft.asked.operation, served.capabilities
        plan = _plan(draft, keep_alive_s)
        if operation not in can.operations:
            return self._carry(plan, draft, body, served)
        try:
            validate(operation, body, can)
        except UnsupportedParameterError:
            if operation not in TRANSLATIONS:
                raise
            return self._carry(plan, draft, body, served)
        passed = engine_body(operation, body, can)
        refuse_lacking(operation, passed, can)
        complete = COMPLETED.get(operation)
        if complete is not None and (completed := complete(body, can, _context(draft))):
            return _carried(plan, completed, can)
        passed = _counted(plan, _named(passed, can), can)
        untouched = passed is draft.body
        return replace(
            plan,
            payload=draft.raw if untouched else msgspec.json.encode(passed),
            withholds_usage=passed.get("stream_options") != body.get("stream_options"),
        )

    def _carry(self, plan: Plan, draft: Draft, body: dict[str, Any], served: Served) -> Plan:
        operation, can = draft.asked.operation, served.capabilities
        translate = TRANSLATIONS.get(operation)
        if translate is None or Operation.CHAT not in can.operations:
            raise _lacks(draft, served)
        # What translation honours is not what the engine's own surface honours.
        over_chat = replace(can, operations=can.operations - {operation})
        validate(operation, body, over_chat)
        return _carried(plan, translate(body, over_chat, _context(draft)), can)

    def _ollama(self, draft: Draft, request: OllamaRequest, served: Served) -> Plan:
        can = served.capabilities
        validate_ollama(request, draft.body, can, {"num_ctx": served.context})
        _, keep_alive_s = _without_keep_alive(draft.body)
        plan = _plan(draft, keep_alive_s)
        translation = OLLAMA[request](draft.body, can, _context(draft))
        if translation.operation not in can.operations:
            raise _lacks(draft, served)
        load_only = is_load_request(request, draft.body)
        return replace(_carried(plan, translation, can), load_only=load_only)


def _adapted(served: Served, adapter: str | None) -> Served:
    """What is left of a model's capabilities beside adapters.

    Requests say which adapter they mean in fields of chat and completions; what the engine
    has beyond those has no such fields, so it is carried by chat or refused by name.
    """
    if not served.job.adapters and adapter is None:
        return served
    can = served.capabilities
    left = _ADDRESSED if adapter is not None else can.operations - UNADDRESSED
    return replace(served, capabilities=replace(can, operations=can.operations & left))


_ADDRESSED = frozenset({
    Operation.CHAT, Operation.COMPLETIONS, Operation.COUNT_TOKENS,
    Operation.TOKENIZE, Operation.DETOKENIZE,
})  # fmt: skip


def _plan(draft: Draft, keep_alive_s: float | None) -> Plan:
    return Plan(
        surface=draft.asked.surface,
        operation=draft.asked.operation,
        engine_operation=draft.asked.operation,
        model=draft.model,
        adapter=draft.adapter,
        payload=b"",
        stream=draft.stream,
        keep_alive_s=keep_alive_s,
        end_user=_end_user(draft.body),
    )


def _carried(plan: Plan, translation: Translation, can: Capabilities) -> Plan:
    refuse_lacking(translation.operation, translation.request, can)
    return replace(
        plan,
        engine_operation=translation.operation,
        payload=msgspec.json.encode(_named(translation.request, can)),
        translation=translation,
    )


def _named(body: Mapping[str, Any], can: Capabilities) -> Mapping[str, Any]:
    """With the name that the engine's server insists on, where it does; else the same object."""
    if can.model is None or body.get("model") == can.model:
        return body
    return {**body, "model": can.model}


def _counted(plan: Plan, body: Mapping[str, Any], can: Capabilities) -> Mapping[str, Any]:
    """With a wish for usage, where a stream has it only on request; else the same object."""
    if not plan.stream or can.stream_usage == "always" or plan.operation not in _STREAMS_USAGE:
        return body
    options = body.get("stream_options") or {}
    if options.get("include_usage"):
        return body
    # Only the last event with usage is kept from a client that didn't ask for it.
    quiet = {key: value for key, value in options.items() if key != "continuous_usage_stats"}
    return {**body, "stream_options": {**quiet, "include_usage": True}}


_STREAMS_USAGE = frozenset({Operation.CHAT, Operation.COMPLETIONS})


def _context(draft: Draft) -> Context:
    request = draft.request
    return Context(
        str(draft.body["model"]), request.id, request.arrived_s, load_s=lambda: request.load_s
    )


def _lacks(draft: Draft, served: Served) -> RequestError:
    able = ", ".join(sorted(served.capabilities.operations))
    asked = str(Named(draft.model, draft.adapter))
    return UnsupportedOperationError(
        f"model {asked!r} on {served.engine.name} does not do {draft.asked.operation.value}",
        param="model",
        hint=f"it does {able}; ask another model for this",
    )


def _without_keep_alive(body: dict[str, Any]) -> tuple[dict[str, Any], float | None]:
    """Our own field on every surface; the engine never sees it."""
    if "keep_alive" not in body:
        return body, None
    rest = {name: value for name, value in body.items() if name != "keep_alive"}
    value = body["keep_alive"]
    if value is None:
        return rest, None
    return rest, float(read_keep_alive(value))


def _end_user(body: Mapping[str, Any]) -> str | None:
    metadata = body.get("metadata")
    given = body.get("safety_identifier") or body.get("user")
    if given is None and isinstance(metadata, dict):
        given = metadata.get("user_id")
    return given if isinstance(given, str) else None
