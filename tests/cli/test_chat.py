"""`chat` without a terminal: one prompt, the plain answer, and honest failure."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading

import pytest

from pilotlight.cli.answer import Piece, Speed, pieces
from pilotlight.cli.connection import Server
from pilotlight.cli.conversation import Conversation
from pilotlight.errors import ServerUnreachableError

from .conftest import Call
from .server import (
    BEGIN,
    COMMENT,
    DONE,
    END,
    CutOff,
    ModelServer,
    UntilGone,
    event,
    text,
    thinking,
    usage,
)

CHAT = "/v1/chat/completions"
HELLO = [COMMENT, BEGIN, text("Hello"), text(", wörld"), END, usage(4), DONE]


def test_a_piped_prompt_gets_the_plain_answer(call: Call, server: ModelServer) -> None:
    server.chats = [[thinking("hmm"), *HELLO]]
    result = call("chat", "small", "--url", server.url, input="hi there\n")
    assert (result.exit_code, result.stdout, result.stderr) == (0, "Hello, wörld\n", "")
    [body] = server.bodies(CHAT)
    assert body == {
        "model": "small",
        "messages": [{"role": "user", "content": "hi there"}],
        "stream": True,
        "stream_options": {"include_usage": True},
    }


def test_options_reach_the_request(call: Call, server: ModelServer) -> None:
    server.chats = [list(HELLO)]
    flags = ["--system", "Be brief.", "--max-tokens", "7", "--temperature", "0"]
    assert call("chat", "small", "why?", *flags, "--url", server.url).exit_code == 0
    [body] = server.bodies(CHAT)
    assert body["messages"][0] == {"role": "system", "content": "Be brief."}
    assert (body["max_tokens"], body["temperature"]) == (7, 0.0)


def test_what_is_piped_in_follows_the_prompt(call: Call, server: ModelServer) -> None:
    server.chats = [list(HELLO)]
    call("chat", "small", "Summarise:", "--url", server.url, input="a diff\n")
    assert server.bodies(CHAT)[0]["messages"][-1]["content"] == "Summarise:\n\na diff"


def test_the_only_model_needs_no_name(call: Call, server: ModelServer) -> None:
    server.chats = [list(HELLO)]
    call("chat", "--url", server.url, input="hi")
    assert server.bodies(CHAT)[0]["model"] == "small"


def test_several_models_need_one(call: Call, server: ModelServer) -> None:
    server.answers["/v1/models"] = (200, {"data": [{"id": "a"}, {"id": "b"}]})
    result = call("chat", "--url", server.url, input="hi")
    assert result.exit_code == 2
    assert "error: say which model: a, b" in result.stderr


def test_an_empty_prompt_is_wrong_usage(call: Call, server: ModelServer) -> None:
    result = call("chat", "small", "--url", server.url, input=" \n")
    assert result.exit_code == 2
    assert server.requests == []


def test_an_unknown_model_exits_4(call: Call, server: ModelServer) -> None:
    result = call("chat", "nope", "hi", "--url", server.url)
    assert result.exit_code == 4
    assert "no model 'nope'" in result.stderr


def test_an_error_in_the_stream_is_an_error(call: Call, server: ModelServer) -> None:
    error = event({"error": {"message": "the engine crashed", "code": "engine_crashed"}})
    server.chats = [[text("Hel"), error]]
    result = call("chat", "small", "hi", "--url", server.url)
    assert result.exit_code == 1
    assert result.stdout.startswith("Hel")
    assert "error: the engine crashed" in result.stderr


def test_an_answer_that_breaks_off_is_not_taken_for_whole(call: Call, server: ModelServer) -> None:
    server.chats = [[text("Hel"), CutOff()], [text("Hel")]]
    for _ in range(2):  # cut within the body, then ended well but without [DONE]
        result = call("chat", "small", "hi", "--url", server.url)
        assert result.exit_code == 3
        assert "error: " in result.stderr


def test_an_event_that_is_no_json_is_named(call: Call, server: ModelServer) -> None:
    server.chats = [[b"data: {oops\n\n"]]
    result = call("chat", "small", "hi", "--url", server.url)
    assert result.exit_code == 3
    assert "{oops" in result.stderr


def _conversation(server: ModelServer) -> Conversation:
    return Conversation(Server(server.url, "test"), "small")


def test_the_history_holds_what_was_said(server: ModelServer) -> None:
    server.chats = [list(HELLO), [text("Fine"), DONE]]
    conversation = _conversation(server)
    assert "".join(piece.text for piece in conversation.say("hi")) == "Hello, wörld"
    list(conversation.say("how are you?"))
    roles = [(m["role"], m["content"]) for m in server.bodies(CHAT)[1]["messages"]]
    assert roles == [("user", "hi"), ("assistant", "Hello, wörld"), ("user", "how are you?")]


def test_a_question_that_got_nothing_is_taken_back(server: ModelServer) -> None:
    server.chats = [[CutOff()]]
    conversation = _conversation(server)
    with pytest.raises(ServerUnreachableError, match="broke off"):
        list(conversation.say("hi"))
    assert conversation.messages == []


def test_leaving_an_answer_closes_the_connection_and_keeps_what_was_seen(
    server: ModelServer,
) -> None:
    server.chats = [[text("One"), UntilGone()]]
    conversation = _conversation(server)
    answer = conversation.say("count")
    assert next(answer).text == "One"
    answer.close()
    assert server.gone.wait(30)
    assert conversation.messages[-1] == {"role": "assistant", "content": "One"}


def test_ctrl_c_while_piped_exits_130_and_frees_the_server(server: ModelServer) -> None:
    server.chats = [[text("One"), UntilGone()]]
    process = subprocess.Popen(
        [sys.executable, "-m", "pilotlight.cli", "chat", "small", "hi", "--url", server.url],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=dict(os.environ),
    )
    assert process.stdout is not None
    assert process.stdout.read(3) == b"One"
    process.send_signal(signal.SIGINT)
    _, stderr = process.communicate(timeout=30)
    assert process.returncode == 130
    assert b"Traceback" not in stderr
    assert server.gone.wait(30)


def test_tokens_appear_as_they_arrive(server: ModelServer) -> None:
    gate = threading.Event()
    server.chats = [[text("One"), gate, text("Two"), DONE]]
    answer = _conversation(server).say("hi")
    assert next(answer).text == "One"  # while the server still holds the rest back
    gate.set()
    assert [piece.text for piece in answer][-1] == "Two"


def test_speed_counts_from_the_first_token() -> None:
    speed = Speed(asked_s=10.0)
    assert speed.summary() == ""
    speed.saw(Piece(), 10.5)
    speed.saw(Piece(text="a"), 11.0)
    speed.saw(Piece(text="b"), 13.0)
    assert speed.summary() == "first token 1000 ms"
    speed.saw(Piece(tokens=5), 13.1)
    assert speed.summary() == "5 tokens, first token 1000 ms, 2.0 tokens/s"


def test_the_answer_is_read_to_its_last_byte() -> None:
    """A client that leaves at [DONE] looks to the server like one that gave up."""
    lines = iter([text("a"), DONE, b"\n", b": bye\n"])
    assert [piece.text for piece in pieces(lines)] == ["a"]
    assert list(lines) == []
