"""The engine under a model name is changed, and nothing else is: official clients, real servers."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import urllib.request
from pathlib import Path
from typing import Any

import anthropic
import openai
import pytest

from installed import Installed
from real.server import Server, eventually, is_alive

from .choice import CHOICES, NAME, START_S, Choice

pytestmark = [pytest.mark.real, pytest.mark.engines, pytest.mark.timeout(600)]

PARIS: Any = [{"role": "user", "content": "What is the capital of France? Answer in one word."}]
COUNT: Any = [{"role": "user", "content": "Count from one to five."}]
REPEAT: Any = [{"role": "user", "content": "Repeat: go go go go go go go"}]
SCHEMA: Any = {
    "type": "json_schema",
    "json_schema": {
        "name": "city",
        "strict": True,
        "schema": {
            "type": "object",
            "properties": {"city": {"enum": ["Paris", "Rome"]}},
            "required": ["city"],
            "additionalProperties": False,
        },
    },
}
FIVE: dict[str, Any] = {"max_tokens": 5, "extra_body": {"ignore_eos": True}}


def test_chat_from_zero(server: Server, client: openai.OpenAI, choice: Choice) -> None:
    """The first request starts the engine; the same weights know the same capital."""
    assert server.state(NAME) == "cold"
    answer = client.chat.completions.create(
        model=NAME, messages=PARIS, max_tokens=16, temperature=0
    )
    assert answer.model == NAME
    assert "Paris" in (answer.choices[0].message.content or "")
    assert answer.usage is not None
    assert answer.usage.prompt_tokens > 10
    assert server.model(NAME)["engine"] == choice.engine


def test_streams_count_when_asked(server: Server, client: openai.OpenAI) -> None:
    """Tokens are counted for the ledger either way; only who asks is told."""
    before = _counted(server)
    plain = list(client.chat.completions.create(model=NAME, messages=PARIS, stream=True, **FIVE))
    assert all(chunk.choices for chunk in plain), "no usage for who didn't ask"
    assert "".join(chunk.choices[0].delta.content or "" for chunk in plain)
    told = list(
        client.chat.completions.create(
            model=NAME, messages=PARIS, stream=True, stream_options={"include_usage": True}, **FIVE
        )
    )
    assert told[-1].usage is not None
    assert told[-1].usage.completion_tokens == 5
    eventually(lambda: _counted(server) - before >= 10, "both counted")  # once it is answered
    assert _counted(server) - before == 10


def _counted(server: Server) -> float:
    with urllib.request.urlopen(f"{server.url}/metrics", timeout=30) as answer:
        lines = answer.read().decode().splitlines()
    counter = f'pilotlight_tokens_total{{kind="completion",model="{NAME}"}}'
    return sum(float(line.rpartition(" ")[2]) for line in lines if line.startswith(counter))


def test_completions(client: openai.OpenAI) -> None:
    asked: dict[str, Any] = {"model": NAME, "prompt": "The capital of France is", "temperature": 0}
    answer = client.completions.create(max_tokens=8, **asked)
    assert "Paris" in answer.choices[0].text
    assert answer.usage is not None
    assert answer.usage.completion_tokens <= 8
    pieces = [
        chunk.choices[0].text
        for chunk in client.completions.create(max_tokens=8, stream=True, **asked)
    ]
    assert "".join(pieces) == answer.choices[0].text


def test_the_usual_fields(client: openai.OpenAI) -> None:
    """Those that applications send; each must show in the answer."""

    def first(messages: Any = COUNT, **fields: Any) -> Any:
        answer = client.chat.completions.create(model=NAME, messages=messages, **fields)
        assert len(answer.choices) == fields.get("n", 1)
        return answer.choices[0]

    greedy: dict[str, Any] = {"temperature": 0, "max_tokens": 16}
    whole = first(**greedy).message.content
    word = whole.split()[3]
    stopped = first(stop=[word], **greedy)
    assert stopped.message.content == whole[: whole.index(word)]
    assert stopped.finish_reason == "stop"
    drawn: dict[str, Any] = {"temperature": 1.5, "top_p": 0.9, "max_tokens": 12}
    assert first(seed=5, **drawn).message == first(seed=5, **drawn).message
    assert first(seed=5, **drawn).message != first(seed=6, **drawn).message
    repeated = first(REPEAT, **greedy).message
    assert first(REPEAT, frequency_penalty=2.0, **greedy).message != repeated
    assert first(REPEAT, presence_penalty=2.0, **greedy).message != repeated
    assert first(n=2, max_tokens=4).finish_reason == "length"
    logprobs = first(max_tokens=3, logprobs=True, top_logprobs=2).logprobs
    assert [len(token.top_logprobs) for token in logprobs.content] == [2, 2, 2]
    shaped = first(temperature=0, max_tokens=40, response_format=SCHEMA).message.content
    assert json.loads(shaped)["city"] in ("Paris", "Rome")


def test_what_it_lacks_is_refused_by_name(client: openai.OpenAI) -> None:
    with pytest.raises(openai.BadRequestError, match=f"'{NAME}' .* does not do embeddings"):
        client.embeddings.create(model=NAME, input="A flame")
    with pytest.raises(openai.BadRequestError, match="temprature"):
        client.chat.completions.create(model=NAME, messages=PARIS, extra_body={"temprature": 0})
    with pytest.raises(openai.BadRequestError) as long:
        client.chat.completions.create(
            model=NAME, messages=[{"role": "user", "content": "word " * 2000}]
        )
    assert long.value.code == "context_length_exceeded"


def test_anthropics_client(server: Server) -> None:
    with anthropic.Anthropic(
        base_url=server.url, api_key="unused", max_retries=0, timeout=START_S
    ) as client:
        asked: Any = {"model": NAME, "messages": PARIS}
        answer = client.messages.create(max_tokens=5, **asked)
        assert answer.usage.output_tokens > 0
        with client.messages.stream(max_tokens=5, **asked) as stream:
            assert "".join(stream.text_stream)


def test_anthropics_client_counts_tokens(server: Server) -> None:
    """Or is told why it can't: the one thing here that not every engine does."""
    [model] = server.get("/pilotlight/v1/models")["models"]
    counts = "count_tokens" in model["capabilities"]["operations"]
    with anthropic.Anthropic(base_url=server.url, api_key="unused", max_retries=0) as client:
        if counts:
            assert client.messages.count_tokens(model=NAME, messages=PARIS).input_tokens > 10
            return
        with pytest.raises(anthropic.BadRequestError, match="does not do count_tokens"):
            client.messages.count_tokens(model=NAME, messages=PARIS)


def test_a_killed_gateway_leaves_no_engine(server: Server) -> None:
    """The last to ask each server. vLLM's processes would outlive a server that is killed."""
    pids = [process.pid for process in server.engines]
    assert pids
    server.stop(signal.SIGKILL)
    eventually(lambda: not any(is_alive(pid) for pid in pids), "every process is gone")


@pytest.mark.parametrize("name", [each.installed for each in CHOICES.values() if each.installed])
def test_engines_list_and_doctor_show_it(name: str, installed: Installed) -> None:
    directory = installed.having(name)
    listed = {entry["name"]: entry for entry in _pilotlight(directory, "list")["engines"]}
    assert listed[name]["state"] == "installed"
    assert Path(listed[name]["path"]).is_relative_to(directory.resolve())
    [check] = _pilotlight(directory, "doctor", name)["checks"]
    assert check["verdict"] == "ok", check
    assert listed[name]["version"] in check["found"]


def _pilotlight(directory: Path, *words: str) -> Any:
    argv = [sys.executable, "-m", "pilotlight.cli", "engines", *words, "--json"]
    done = subprocess.run(
        [*argv, "--engines-directory", str(directory)], capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)
