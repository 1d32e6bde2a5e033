"""What a request asks of which model, and what is sent to the engine for it."""

from __future__ import annotations

from dataclasses import dataclass

from pilotlight.core import Operation, Surface
from pilotlight.engines.base import Adapts
from pilotlight.errors import AdapterNotReadyError
from pilotlight.gateway.translate.base import Translation
from pilotlight.gateway.wire.renamed import Rename
from pilotlight.replica.replica import Replica

UNADDRESSED = frozenset({Operation.MESSAGES, Operation.RESPONSES})
"""Operations whose requests have no place for an adapter on any engine, not even for none: they
are carried by chat wherever there are adapters."""


@dataclass(frozen=True, slots=True)
class Plan:
    """One admitted request. Without a translation the engine's bytes pass through untouched."""

    surface: Surface
    operation: Operation
    """As the client asked; errors and usage have its shape."""

    engine_operation: Operation
    model: str
    payload: bytes
    """What the engine is sent, but for what `addressed` adds."""

    stream: bool
    translation: Translation | None = None
    keep_alive_s: float | None = None
    end_user: str | None = None
    """Whom the client says it asks for; goes into the access log."""

    withholds_usage: bool = False
    """The engine is asked to count in its stream, and the client didn't ask for that."""

    adapter: str | None = None
    """The LoRA that is to answer, laid over the model."""

    load_only: bool = False
    """Ollama's empty request: have the model ready (or let it go), generate nothing."""

    @property
    def rename(self) -> Rename | None:
        """llama.cpp answers in its model's name, whichever adapter it was asked with."""
        if self.adapter is None:
            return None
        return Rename.of(self.model, f"{self.model}:{self.adapter}")


def addressed(plan: Plan, replica: Replica) -> bytes:
    """The payload as this replica takes it, which knows its adapters by its own list of them.

    Raises:
        AdapterNotReadyError: the replica came or the adapter went after the request was admitted.
    """
    job, engine = replica.job, replica.engine
    if not job.adapters and plan.adapter is None:
        return plan.payload
    if plan.engine_operation in UNADDRESSED:
        raise AdapterNotReadyError(
            f"replica {replica.id} has got adapters meanwhile", hint="ask again"
        )
    if plan.adapter is not None and all(item.name != plan.adapter for item in job.adapters):
        raise AdapterNotReadyError(
            f"replica {replica.id} has no adapter {plan.adapter!r}", hint="ask again in a moment"
        )
    assert isinstance(engine, Adapts)
    return engine.address(plan.payload, job, plan.adapter)
