"""Classes behind `pilotlight serve`: a real gateway, the same life and errors as any model's."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import anthropic
import openai
import pytest

from real.server import Server, eventually

from .conftest import SERVED

REPOSITORY = Path(__file__).parents[2]


def entry(kind: str, **options: Any) -> dict[str, Any]:
    return {"engine": "python", "ref": f"python:{SERVED}:{kind}", "options": options}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    models = {
        "story": {**entry("Storyteller", parallel=2), "sleep_after": "1h"},
        "sync": entry("Sync", parallel=2),
        "careless": entry("Careless"),
        "broken": entry("FailsToStart"),
        "nowhere": entry("Nobody"),
        "caller": entry("Caller"),
        "tickets": {
            "engine": "python",
            "ref": f"python:{REPOSITORY}/examples/tickets/tickets.py:Tickets",
        },
    }
    directory = tmp_path_factory.mktemp("served")
    (directory / "store").mkdir()
    server = Server(directory / "d", directory / "store", models)
    yield server
    assert server.stop() == 0


def post(server: Server, path: str, **body: Any) -> Any:
    request = urllib.request.Request(server.url + path, json.dumps(body).encode())
    with urllib.request.urlopen(request, timeout=30) as answer:
        return json.loads(answer.read())


def refused(server: Server, path: str, **body: Any) -> tuple[int, Any]:
    with pytest.raises(urllib.error.HTTPError) as caught:
        post(server, path, **body)
    with caught.value as answer:
        return answer.code, json.loads(answer.read())["error"]


def test_the_example_sorts_tickets(server: Server) -> None:
    answer = post(server, "/v1/predict", model="tickets", text="I was charged for two invoices")
    assert answer["team"] == "billing"
    assert sum(answer["likely"].values()) == pytest.approx(1, abs=0.01)
    answer = post(server, "/v1/predict", model="tickets", text="the app shows an error")
    assert answer["team"] == "technical"
    status, error = refused(server, "/v1/predict", model="tickets", text="", keep_alive="1m")
    assert status == 400
    assert "expected the words of a ticket" in error["message"]
    assert error["param"] == "text"


def test_a_chat_through_openais_client(server: Server) -> None:
    with openai.OpenAI(base_url=f"{server.url}/v1", api_key="none") as client:
        messages: Any = [{"role": "user", "content": "Tell me a story."}]
        whole = client.chat.completions.create(model="story", messages=messages, max_tokens=3)
        assert whole.choices[0].message.content == "word0 word1 word2 "
        assert whole.usage is not None
        assert whole.usage.completion_tokens == 3
        stream = client.chat.completions.create(
            model="story", messages=messages, max_tokens=3, stream=True
        )
        text = "".join(chunk.choices[0].delta.content or "" for chunk in stream)
        assert text == "word0 word1 word2 "


def test_a_chat_through_anthropics_client(server: Server) -> None:
    with anthropic.Anthropic(base_url=server.url, api_key="none") as client:
        answer = client.messages.create(
            model="story", max_tokens=3, messages=[{"role": "user", "content": "A story."}]
        )
        assert answer.content[0].text == "word0 word1 word2 "  # type: ignore[union-attr]
        assert answer.usage.output_tokens == 3


def test_tool_calls_pass_through(server: Server) -> None:
    tool: Any = {"type": "function", "function": {"name": "look", "parameters": {}}}
    with openai.OpenAI(base_url=f"{server.url}/v1", api_key="none") as client:
        answer = client.chat.completions.create(
            model="caller", messages=[{"role": "user", "content": "go"}], tools=[tool]
        )
    [call] = answer.choices[0].message.tool_calls or ()
    assert call.function.arguments == '{"at": 1}'  # type: ignore[union-attr]


def test_tokens_are_counted_though_no_client_asked(server: Server) -> None:
    def counted() -> float:
        with urllib.request.urlopen(f"{server.url}/metrics", timeout=30) as answer:
            lines = answer.read().decode().splitlines()
        wanted = 'pilotlight_tokens_total{kind="completion",model="story"}'
        return sum(float(line.split()[-1]) for line in lines if line.startswith(wanted))

    before = counted()
    request = urllib.request.Request(
        f"{server.url}/v1/chat/completions",
        json.dumps({
            "model": "story", "stream": True, "max_tokens": 7,
            "messages": [{"role": "user", "content": "go"}],
        }).encode(),
    )  # fmt: skip
    with urllib.request.urlopen(request, timeout=30) as answer:
        answer.read()
    eventually(lambda: counted() == before + 7, "the tokens are on the account")


def test_what_the_class_does_not_declare_is_refused_by_name(server: Server) -> None:
    messages = [{"role": "user", "content": "go"}]
    status, error = refused(
        server, "/v1/chat/completions", model="story", messages=messages, temperature=0.5
    )
    assert (status, error["code"], error["param"]) == (400, "unsupported_parameter", "temperature")
    status, error = refused(server, "/v1/predict", model="story", text="hi")
    assert (status, error["code"]) == (400, "unsupported_operation")
    assert "it does chat" in error["message"]
    status, error = refused(server, "/v1/predict", model="sync", stream=True)
    assert (status, error["param"]) == (400, "stream")


def test_a_fault_is_told_and_nothing_restarts(server: Server) -> None:
    pids = set()
    for _ in range(2):
        status, error = refused(server, "/v1/predict", model="careless", how="key")
        assert status == 502
        assert error["message"].startswith("predict failed: KeyError: 'text'")
        pids.add(server.engine_pid("careless"))
    assert len(pids) == 1


def test_a_crash_restarts_it(server: Server) -> None:
    status, error = refused(server, "/v1/predict", model="careless", how="crash")
    assert (status, error["code"]) == (502, "engine_crashed")
    status, error = refused(server, "/v1/predict", model="careless", how="refuse")
    assert (status, error["message"]) == (400, "the text is empty")


def test_a_load_that_fails_is_told_in_the_users_words(server: Server) -> None:
    status, error = refused(server, "/v1/predict", model="broken")
    assert (status, error["code"]) == (503, "engine_gone"), "it failed as often as it was tried"
    assert "FileNotFoundError: weights.bin is not here" in error["message"]
    status, error = refused(server, "/v1/predict", model="nowhere")
    assert (status, error["code"]) == (503, "engine_start_failed")
    assert "has no class 'Nobody'" in error["message"]


def test_it_is_listed_with_what_it_can_do(server: Server) -> None:
    models = {model["name"]: model for model in server.get("/pilotlight/v1/models")["models"]}
    can = models["tickets"]["capabilities"]
    assert can["operations"] == ["predict"]
    assert can["carried"] == []
    assert not can["logprobs"]
    assert models["story"]["capabilities"]["parameters"] == {"chat": ["top_k"]}
    assert models["story"]["size_bytes"] is None
    assert models["nowhere"]["capabilities"] is None
