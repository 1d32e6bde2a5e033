"""Predictions of models that are no language models: the body is the model's own affair."""

from __future__ import annotations

from pilotlight.gateway.wire.table import NoOp, Table
from pilotlight.gateway.wire.tables.handled import MODEL

PREDICT = Table(
    required=("model",),
    core={},
    handled=MODEL,
    no_op={"stream": NoOp((False,), "a prediction is answered whole")},
    open=True,
)
