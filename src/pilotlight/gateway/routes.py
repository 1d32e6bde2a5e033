"""Every path of the gateway, explicitly."""

from __future__ import annotations

from functools import partial

from pilotlight.core import Operation, Surface
from pilotlight.gateway.account import Account
from pilotlight.gateway.adapters import AdapterEndpoints
from pilotlight.gateway.admin import AdminEndpoints
from pilotlight.gateway.admission import Admission, Asked, Draft
from pilotlight.gateway.app import Handler, Route, Routes
from pilotlight.gateway.http import ClientGone, Request, until_gone
from pilotlight.gateway.inference import Inference
from pilotlight.gateway.keys import Key
from pilotlight.gateway.listing import ListingEndpoints
from pilotlight.gateway.metrics import Metrics
from pilotlight.gateway.overflow import Overflow
from pilotlight.gateway.peers import PeerEndpoints
from pilotlight.gateway.status import StatusEndpoints
from pilotlight.gateway.wire.fields import OllamaRequest

END_USER_SHOWN = 128
"""Characters of the client's word for its user in the log; the word may be a whole body long."""


class InferenceEndpoints:
    """The endpoints that reach an engine; all of them live the same life."""

    def __init__(
        self,
        admission: Admission,
        overflow: Overflow,
        inference: Inference,
        metrics: Metrics,
        max_body: int,
    ) -> None:
        self._admission = admission
        self._overflow = overflow
        self._inference = inference
        self._metrics = metrics
        self._max_body = max_body

    def endpoint(self, asked: Asked) -> Handler:
        return partial(self._answer, asked)

    async def _answer(self, asked: Asked, request: Request, key: Key | None) -> None:
        raw = await request.body(self._max_body)
        draft = self._admission.draft(request, asked, raw)
        account = Account()
        try:
            await until_gone(request, self._work(request, draft, key, account))
        except ClientGone:
            self._metrics.cancelled.labels(draft.model).inc()
            raise
        finally:
            self._note(request, draft, account)

    async def _work(
        self, request: Request, draft: Draft, key: Key | None, account: Account
    ) -> None:
        if draft.at_once is not None:
            await request.answer_json(200, draft.at_once)
        elif spill := self._overflow.consider(request, draft, key):
            try:
                await self._inference.run(request, spill.draft, account)
            finally:
                self._overflow.settle(request, spill, account)
        else:
            await self._inference.run(request, draft, account)

    def _note(self, request: Request, draft: Draft, account: Account) -> None:
        usage = account.usage
        end_user = draft.plan.end_user if draft.plan else None
        request.notes.update(
            end_user=end_user[:END_USER_SHOWN] if end_user else None,
            replica=account.replica,
            prompt_tokens=usage.prompt_tokens if usage else None,
            completion_tokens=usage.completion_tokens if usage else None,
        )


def build_routes(
    inference: InferenceEndpoints,
    listing: ListingEndpoints,
    status: StatusEndpoints,
    admin: AdminEndpoints,
    adapters: AdapterEndpoints,
    peers: PeerEndpoints | None = None,
) -> Routes:
    openai, anthropic, ollama = Surface.OPENAI, Surface.ANTHROPIC, Surface.OLLAMA

    def infer(
        surface: Surface, operation: Operation, own: OllamaRequest | None = None
    ) -> dict[str, Route]:
        handler = inference.endpoint(Asked(surface, operation, own))
        return {"POST": Route(handler, surface, operation)}

    return {
        "/v1/chat/completions": infer(openai, Operation.CHAT),
        "/v1/completions": infer(openai, Operation.COMPLETIONS),
        "/v1/embeddings": infer(openai, Operation.EMBEDDINGS),
        "/v1/responses": infer(openai, Operation.RESPONSES),
        "/v1/messages": infer(anthropic, Operation.MESSAGES),
        "/v1/messages/count_tokens": infer(anthropic, Operation.COUNT_TOKENS),
        "/v1/rerank": infer(openai, Operation.RERANK),
        "/v1/predict": infer(openai, Operation.PREDICT),
        "/tokenize": infer(openai, Operation.TOKENIZE),
        "/detokenize": infer(openai, Operation.DETOKENIZE),
        "/api/chat": infer(ollama, Operation.CHAT, OllamaRequest.CHAT),
        "/api/generate": infer(ollama, Operation.COMPLETIONS, OllamaRequest.GENERATE),
        "/api/embed": infer(ollama, Operation.EMBEDDINGS, OllamaRequest.EMBED),
        "/api/embeddings": infer(ollama, Operation.EMBEDDINGS, OllamaRequest.EMBEDDINGS),
        "/v1/models": {"GET": Route(listing.models)},
        "/v1/models/*": {"GET": Route(listing.model)},
        "/api/tags": {"GET": Route(listing.tags, ollama)},
        "/api/show": {"POST": Route(listing.show, ollama)},
        "/api/ps": {"GET": Route(listing.ps, ollama)},
        "/api/version": {"GET": Route(listing.version, ollama)},
        "/health": {"GET": Route(status.health, public=True)},
        "/ready": {"GET": Route(status.ready, public=True)},
        "/metrics": {"GET": Route(status.metrics)},
        "/pilotlight/v1/ps": {"GET": Route(admin.ps)},
        "/pilotlight/v1/models": {"GET": Route(admin.models)},
        "/pilotlight/v1/cold-starts": {"GET": Route(admin.cold_starts)},
        "/pilotlight/v1/adapters": {
            "GET": Route(adapters.list),
            "POST": Route(adapters.add, admin=True),
        },
        "/pilotlight/v1/adapters/*": {"DELETE": Route(adapters.remove, admin=True)},
        "/pilotlight/v1/load": {"POST": Route(admin.load, admin=True)},
        "/pilotlight/v1/stop": {"POST": Route(admin.stop, admin=True)},
        **(peers.routes() if peers else {}),
    }
