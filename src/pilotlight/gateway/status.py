"""Health, readiness and metrics: looked at often, so they look and wake nothing."""

from __future__ import annotations

from pilotlight.core import ReplicaState
from pilotlight.gateway.http import Request
from pilotlight.gateway.keys import Key
from pilotlight.gateway.metrics import Metrics
from pilotlight.router.state import ModelRecord, State

_LOADED = (ReplicaState.STARTING, ReplicaState.LOADING, ReplicaState.READY)
PROMETHEUS = "text/plain; version=1.0.0; charset=utf-8"


def is_ready(state: State, model: ModelRecord) -> bool:
    """A model is as ready as it was promised to be: its `min` replicas proved themselves."""
    ready = sum(1 for r in state.of(model.name) if r.state is ReplicaState.READY)
    return ready >= model.settings.min or model.held_down


def is_loaded(state: State, model: str) -> bool:
    """Whether a replica has the model in memory, or will once its start is over."""
    return any(r.state in _LOADED and not r.resting for r in state.of(model))


class StatusEndpoints:
    def __init__(self, state: State, metrics: Metrics) -> None:
        self._state = state
        self._metrics = metrics

    async def health(self, request: Request, key: Key | None) -> None:
        """The gateway lives. True even while models load."""
        await request.answer_json(200, {"status": "ok"})

    async def ready(self, request: Request, key: Key | None) -> None:
        """Send traffic here: every model with `min` is up, and nobody is draining.

        Whoever may ask models is told which are missing.
        """
        missing = [m.name for m in self._state.models.values() if not is_ready(self._state, m)]
        if self._state.draining:
            await request.answer_json(503, {"status": "draining"})
        elif missing:
            names = {"models": missing} if request.trusted else {}
            await request.answer_json(503, {"status": "loading", **names})
        else:
            await request.answer_json(200, {"status": "ready"})

    async def metrics(self, request: Request, key: Key | None) -> None:
        await request.answer(200, self._metrics.render(), PROMETHEUS)
