"""A class from load to unload, in a real process: what it is given, and what its faults do."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from pathlib import Path
from typing import Any

import pytest

from pilotlight.core import ModelFiles
from pilotlight.engines.base import EngineProcess, ModelJob
from pilotlight.engines.python.engine import PythonEngine
from pilotlight.errors import (
    EngineCrashedError,
    EngineError,
    EngineMissingError,
    EngineStartError,
    RequestError,
)
from pilotlight.fleet.local import LocalFleet

from .conftest import SERVED, ask, files_of, job, predict, running

HELLO = [{"role": "user", "content": "Hi"}]


async def refused(process: EngineProcess, path: str, **body: Any) -> Any:
    """The error as the gateway would have it."""
    status, answer = await process.client.fetch(path, json.dumps(body).encode(), timeout_s=20.0)
    assert status >= 400, answer
    return PythonEngine().error(status, answer)


async def events(process: EngineProcess, **body: Any) -> list[Any]:
    exchange = await process.client.open(
        "/v1/chat/completions",
        json.dumps({"messages": HELLO, "stream": True, **body}).encode(),
    )
    received = b""
    while chunk := await exchange.read():
        received += chunk
    found = [event.removeprefix(b"data: ") for event in received.split(b"\n\n") if event]
    return [event if event == b"[DONE]" else json.loads(event) for event in found]


async def test_it_is_made_with_its_keywords_and_asked_its_example(fleet: LocalFleet) -> None:
    mine = job("Settings", kwargs={"size": 3, "labels": ["a", "b"]}, context=99)
    async with running(fleet, mine) as process:
        path, body = PythonEngine().canary(mine)
        status, _ = await process.client.fetch(path, body)
        assert status == 200
        answer = await predict(process, model="mine", text=None)
        assert answer["made_with"] == {"size": 3, "labels": ["a", "b"], "context": 99}
        assert answer["asked"] == [{"hello": 1}, {"text": None}], "the rest of the body is its own"


async def test_the_host_shows_the_class_neither_its_secret_nor_pilotlight(
    fleet: LocalFleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PAINT_TOKEN", "blue")
    env = {"COLOUR": "$PAINT_TOKEN"}
    async with running(fleet, job("Settings", kwargs={"size": 1}, env=env)) as process:
        answer = await predict(process)
    assert answer["secret"] == []
    assert answer["ours"] == []
    assert answer["colour"] == "blue", "the engine gets what is named, and only that"


async def test_an_interpreter_of_its_own(fleet: LocalFleet, tmp_path: Path) -> None:
    """As a virtual environment has: another path, another executable."""
    python = tmp_path / "bin" / "python"
    python.parent.mkdir()
    python.symlink_to(sys._base_executable)  # type: ignore[attr-defined]
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "mine.py").write_text(SERVED.read_text())
    env = {"PYTHONPATH": str(tmp_path / "elsewhere")}
    mine = job("Settings", file="mine", python=str(python), env=env, kwargs={"size": 1})
    assert not PythonEngine().capabilities(mine.files, mine.options).standby
    async with running(fleet, mine) as process:
        assert (await predict(process))["python"] == str(python)


async def test_plain_functions_share_one_thread_and_one_turn(fleet: LocalFleet) -> None:
    async with running(fleet, job("Sync")) as process:
        asked = [predict(process, takes_s=0.02, number=number) for number in range(4)]
        answers = await asyncio.gather(*asked)
    assert [answer["echo"]["number"] for answer in answers] == [0, 1, 2, 3]
    assert answers[-1]["threads"] == 1, "a library bound to its thread works"
    assert answers[-1]["most"] == 1


async def test_parallel_bounds_what_runs_at_once(fleet: LocalFleet) -> None:
    async with running(fleet, job("Sync", parallel=2)) as process:
        asked = [predict(process, takes_s=0.05) for _ in range(6)]
        answers = await asyncio.gather(*asked)
    assert max(answer["most"] for answer in answers) == 2


async def test_who_left_still_counts_while_his_function_runs(
    fleet: LocalFleet, tmp_path: Path
) -> None:
    entered, leave = tmp_path / "entered", tmp_path / "leave"
    os.mkfifo(entered)
    os.mkfifo(leave)
    async with running(fleet, job("Sync")) as process:
        body = json.dumps({"gates": [str(entered), str(leave)]}).encode()
        leaving = asyncio.ensure_future(process.client.open("/v1/predict", body))
        with await asyncio.to_thread(entered.open):
            leaving.cancel()
            next_one = asyncio.ensure_future(predict(process))
            assert await PythonEngine().progress(process) is not None, "the host still answers"
            with await asyncio.to_thread(leave.open, "w"):
                """It may go."""
        assert (await next_one)["most"] == 1, "a plain function can't be stopped: others wait"


async def test_a_plain_generator_streams(fleet: LocalFleet) -> None:
    async with running(fleet, job("Sync")) as process:
        *pieces, end, done = await events(process)
        assert [piece["choices"][0]["delta"]["content"] for piece in pieces] == [
            "one ", "two ", "three",
        ]  # fmt: skip
        assert pieces[0]["choices"][0]["delta"]["role"] == "assistant"
        assert end["choices"][0]["finish_reason"] == "stop"
        assert "usage" not in end, "what nobody counted is absent"
        assert done == b"[DONE]"
        _, whole = await ask(process, "/v1/chat/completions", messages=HELLO)
        assert whole["choices"][0]["message"]["content"] == "one two three"
        assert whole["model"] == "mine"
        assert "usage" not in whole


async def test_usage_reaches_the_account_even_when_no_client_asked(fleet: LocalFleet) -> None:
    async with running(fleet, job("Storyteller")) as process:
        *_, end, _ = await events(process, max_tokens=2)
        assert end["usage"] == {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3}
        asked = {"max_tokens": 2, "stream_options": {"include_usage": True}}
        *_, end, counted, _ = await events(process, **asked)
        assert "usage" not in end
        assert counted["choices"] == []
        assert counted["usage"]["completion_tokens"] == 2


async def test_deltas_make_thoughts_and_tool_calls(fleet: LocalFleet) -> None:
    async with running(fleet, job("Caller")) as process:
        _, whole = await ask(process, "/v1/chat/completions", messages=HELLO)
        [choice] = whole["choices"]
        assert choice["finish_reason"] == "tool_calls"
        assert choice["message"]["reasoning_content"] == "Let me look."
        [call] = choice["message"]["tool_calls"]
        assert call["id"] == "call_1"
        assert call["function"] == {"name": "look", "arguments": '{"at": 1}'}
        *_, end, _ = await events(process)
        assert end["choices"][0]["finish_reason"] == "tool_calls"


async def test_a_client_that_leaves_closes_the_generator(fleet: LocalFleet) -> None:
    async with running(fleet, job("Caller")) as process:
        messages = [{"role": "user", "content": "wait"}]
        body = json.dumps({"messages": messages, "stream": True}).encode()
        exchange = await process.client.open("/v1/chat/completions", body)
        await exchange.read()
        exchange.close()
        # One request at a time: an answer to the next means the last has unwound.
        assert (await predict(process))["closed"] == 1


async def test_embeddings(fleet: LocalFleet) -> None:
    async with running(fleet, job("Sync")) as process:
        _, answer = await ask(process, "/v1/embeddings", input=["a", "abc"])
        assert [item["embedding"] for item in answer["data"]] == [[1.0, 0.5], [3.0, 0.5]]
        _, answer = await ask(process, "/v1/embeddings", input="a", encoding_format="base64")
        assert answer["data"][0]["embedding"] == "AACAPwAAAD8="
        error = await refused(process, "/v1/embeddings", input=[1, 2])
        assert isinstance(error, RequestError)
        assert error.param == "input"


@pytest.mark.parametrize(
    ("how", "says"),
    [
        ("key", "predict failed: KeyError: 'text'"),
        ("exit", "predict failed: SystemExit: I am done"),
        ("stop", "predict failed: StopIteration"),
        ("unwritable", "predict returned what JSON can't hold"),
        ("not_a_number", "predict returned what JSON can't hold"),
        ("nonsense", "has no attribute 'nonsense'"),
    ],
)
async def test_a_fault_is_an_answer_and_the_engine_lives(
    fleet: LocalFleet, how: str, says: str
) -> None:
    async with running(fleet, job("Careless")) as process:
        error = await refused(process, "/v1/predict", how=how)
        assert isinstance(error, EngineError)
        assert says in error.message
        assert process.alive
        assert isinstance(await refused(process, "/v1/predict", how="refuse"), RequestError)


async def test_the_whole_traceback_is_in_the_log(fleet: LocalFleet) -> None:
    async with running(fleet, job("Careless")) as process:
        await refused(process, "/v1/predict", how="key")
        words = process.last_words(30)
    assert "Traceback" in words
    assert 'return {}["text"]' in words


async def test_the_clients_doing_is_told_apart_by_its_status(fleet: LocalFleet) -> None:
    async with running(fleet, job("Careless")) as process:
        error = await refused(process, "/v1/predict", how="refuse")
        assert isinstance(error, RequestError)
        assert error.message == "the text is empty"
        assert error.param == "text"
        assert "Traceback" not in process.last_words(30), "nobody's code is wrong"


@pytest.mark.parametrize(
    ("how", "says"),
    [
        ("boom", "generate failed: RuntimeError: boom"),
        ("exit", "generate failed: SystemExit"),
        ("number", "generate gave 7, expected a str"),
    ],
)
async def test_a_stream_that_fails_ends_in_an_error_and_without_done(
    fleet: LocalFleet, how: str, says: str
) -> None:
    async with running(fleet, job("Careless")) as process:
        first, last = await events(process, messages=[{"role": "user", "content": how}])
        assert first["choices"][0]["delta"]["content"] == "fine so far"
        assert says in last["error"]["message"]
        assert process.alive


async def test_a_crash_breaks_the_answer(fleet: LocalFleet) -> None:
    async with running(fleet, job("Careless")) as process:
        with pytest.raises(EngineCrashedError):
            await ask(process, "/v1/predict", how="crash")
        assert await process.wait() == "exit code 7"


@pytest.mark.parametrize(
    ("kind", "says"),
    [
        ("FailsToStart", "setup of FailsToStart failed: FileNotFoundError: weights.bin"),
        ("Settings", "making Settings failed: TypeError"),
        ("DiesAtStart", "out of luck | the process ended: exit code 3"),
        ("Promises", "Promises has nothing to ask"),
    ],
)
async def test_a_load_that_fails_says_why(fleet: LocalFleet, kind: str, says: str) -> None:
    with pytest.raises(EngineStartError) as caught:
        async with running(fleet, job(kind)):
            pass
    assert says in caught.value.last_words


async def test_what_the_import_raises_is_told(fleet: LocalFleet, tmp_path: Path) -> None:
    file = tmp_path / "broken.py"
    file.write_text("import nowhere_to_be_found\n\n\nclass Mine:\n    def predict(self, r): ...\n")
    with pytest.raises(EngineStartError) as caught:
        async with running(fleet, job("Mine", file)):
            pass
    assert "No module named 'nowhere_to_be_found'" in caught.value.last_words


async def test_a_file_may_be_named_like_a_module_and_import_its_neighbour(
    fleet: LocalFleet, tmp_path: Path
) -> None:
    (tmp_path / "weights_of_mine.py").write_text("SIZE = 4\n")
    file = tmp_path / "json.py"
    file.write_text(
        "from weights_of_mine import SIZE\n\n\n"
        "class Mine:\n    def predict(self, request):\n        return SIZE\n"
    )
    async with running(fleet, job("Mine", file)) as process:
        assert await predict(process) == 4


async def test_unload_and_stop_tear_down(fleet: LocalFleet, tmp_path: Path) -> None:
    trace = tmp_path / "trace"
    mine = job("TornDown", kwargs={"trace": str(trace)})
    async with running(fleet, mine) as process:
        await PythonEngine().unload(process)
        assert trace.read_text() == "down\n"
        await PythonEngine().load(process, mine)
    assert trace.read_text() == "down\ndown\n"


async def test_a_missing_variable_or_interpreter_is_said_before_the_start(
    fleet: LocalFleet, tmp_path: Path
) -> None:
    engine = PythonEngine()
    with pytest.raises(EngineStartError, match="has no 'NOBODY_SET_THIS'"):
        engine.command(fleet.seat("r1"), job("Sync", env={"A": "$NOBODY_SET_THIS"}))
    python = tmp_path / "python"
    python.write_text("")
    mine = job("Sync", python=str(python))
    with pytest.raises(EngineMissingError, match="can't be run"):
        engine.command(fleet.seat("r1"), mine)


async def test_a_method_that_is_gone_at_load(fleet: LocalFleet, tmp_path: Path) -> None:
    """The declaration is read before the class runs; the load holds one against the other."""
    file = tmp_path / "changing.py"
    file.write_text("class Mine:\n    def predict(self, r): ...\n\n    predict_later = 1\n")
    mine = ModelJob("mine", _files(file), PythonEngine().options({}))
    file.write_text(
        "class Mine:\n    capabilities = {'operations': ['chat']}\n    def predict(self, r): ...\n"
    )
    with pytest.raises(EngineStartError) as caught:
        async with running(fleet, mine):
            pass
    assert "Mine has no generate, which chat needs" in caught.value.last_words


def _files(file: Path) -> ModelFiles:
    return files_of("Mine", file)
