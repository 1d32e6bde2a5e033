"""What clients see: each surface's answers and errors, waiting streams, keys and browsers."""

from __future__ import annotations

import json
from typing import Any

import pytest

from pilotlight.gateway.keys import KeyStore

from .asgi import Call, turn
from .conftest import Build
from .house import Street

HELLO = [{"role": "user", "content": "hello there"}]


async def test_a_stream_passes_through_and_its_tokens_are_counted(street: Build) -> None:
    s = await street()
    call = await s.client.chat(stream=True, max_tokens=5).done()
    assert call.headers["content-type"] == "text/event-stream"
    assert call.events[-1] == "[DONE]"
    assert len(call.text.split()) == 5
    assert await s.metric("pilotlight_tokens_total", model="m", kind="completion") == 5
    assert await s.metric("pilotlight_tokens_total", model="m", kind="prompt") > 0
    assert (
        await s.metric("pilotlight_requests_total", model="m", operation="chat", status="200") == 1
    )


async def test_the_engines_bytes_are_untouched(street: Build) -> None:
    s = await street()
    call = await s.client.chat(stream=True).done()
    asked = s.process.exchanges[-1]
    _, sent = await s.process.client.fetch(asked.path, asked.body)
    assert call.body == sent


async def test_the_clients_bytes_are_untouched(street: Build) -> None:
    s = await street()
    raw = b'{ "model":"m", "messages": [{"role":"user","content":"hi"}] }'
    await s.client.post("/v1/chat/completions", raw)
    assert s.process.exchanges[-1].body == raw


@pytest.mark.parametrize(
    ("path", "body", "status", "says"),
    [
        ("/v1/chat/completions", b"", 400, "empty"),
        ("/v1/chat/completions", b"{nope", 400, "not valid JSON"),
        ("/v1/chat/completions", b"[1]", 400, "expected an object"),
        ("/v1/chat/completions", {"messages": HELLO}, 400, "model"),
        ("/v1/chat/completions", {"model": "mm", "messages": HELLO}, 404, "did you mean 'm'"),
        ("/v1/chat/completions", {"model": 7, "messages": HELLO}, 404, "7"),
        ("/v1/chat/completions", {"model": "m"}, 400, "messages"),
        ("/v1/chat/completions", {"model": "m", "messages": []}, 400, "messages"),
        ("/v1/chat/completions", {"model": "m", "messages": HELLO, "temperature": "hot"}, 400,
         "'hot'"),
        ("/v1/chat/completions", {"model": "m", "messages": HELLO, "temprature": 1}, 400,
         "temperature"),
        ("/v1/chat/completions", {"model": "m", "messages": HELLO, "store": True}, 400, "store"),
        ("/v1/chat/completions", {"model": "m", "messages": HELLO, "keep_alive": "soon"}, 400,
         "'soon'"),
        ("/v1/nope", {}, 404, "/v1/nope"),
        ("/v1/messages", {"model": "m", "messages": HELLO}, 400, "max_tokens"),
        ("/v1/messages", {"model": "zz", "max_tokens": 5, "messages": HELLO}, 404, "zz"),
        ("/api/chat", {"model": "m", "messages": HELLO, "options": {"num_ctx": 99}}, 400,
         "num_ctx"),
        ("/api/chat", {"model": "nope", "messages": HELLO}, 404, "nope"),
        ("/api/nope", {}, 404, "/api/nope"),
    ],
)  # fmt: skip
async def test_wrong_input_names_the_field_the_value_and_the_next_step(
    street: Build, path: str, body: Any, status: int, says: str
) -> None:
    s = await street()
    answer = await s.client.post(path, body)
    assert answer.status == status
    message = message_of(path, answer)
    assert says in message
    assert s.fleet.processes == [] or status == 200, "a bad request woke a model"


def message_of(path: str, answer: Call) -> str:
    """Each surface's own error shape."""
    data = answer.json
    if path.startswith("/api/"):
        assert set(data) == {"error"}
        return str(data["error"])
    if path.startswith("/v1/messages"):
        assert data["type"] == "error"
        assert data["request_id"] == answer.headers["x-request-id"]
        return str(data["error"]["message"])
    assert set(data["error"]) == {"message", "type", "param", "code"}
    return str(data["error"]["message"])


async def test_wrong_method(street: Build) -> None:
    s = await street()
    answer = await s.client.get("/v1/chat/completions")
    assert answer.status == 405
    assert "POST" in answer.json["error"]["message"]


async def test_too_large_a_body_is_refused_by_its_declared_length(street: Build) -> None:
    s = await street(max_body=1024)
    answer = await s.client.post("/v1/chat/completions", b"x" * 2000, {"content-length": "2000"})
    assert answer.status == 413
    undeclared = await s.client.post("/v1/chat/completions", b"x" * 2000)
    assert undeclared.status == 413


async def test_a_prompt_over_the_context_says_both_numbers(street: Build) -> None:
    s = await street({"m": {"options": {"context": 16}}})
    answer = await s.client.chat(text="word " * 50).done()
    assert answer.status == 400
    assert answer.json["error"]["code"] == "context_length_exceeded"
    assert "16" in answer.json["error"]["message"]


async def test_what_the_engine_cannot_do_is_refused_by_name(street: Build) -> None:
    s = await street()
    answer = await s.client.post("/v1/messages/count_tokens", {"model": "m", "messages": HELLO})
    assert answer.status == 400
    assert "count_tokens" in answer.json["error"]["message"]
    assert "chat" in answer.json["error"]["message"]


async def test_messages_and_responses_are_carried_by_chat(street: Build) -> None:
    s = await street()
    body = {"model": "m", "max_tokens": 5, "messages": HELLO}
    message = (await s.client.post("/v1/messages", body)).json
    assert message["type"] == "message"
    assert len(message["content"][0]["text"].split()) == 5
    streamed = await s.client.post("/v1/messages", {**body, "stream": True})
    kinds = [event["type"] for event in streamed.events]
    assert kinds[0] == "message_start"
    assert kinds[-1] == "message_stop"
    response = (
        await s.client.post("/v1/responses", {"model": "m", "input": "hi", "max_output_tokens": 5})
    ).json
    assert response["object"] == "response"
    assert response["status"] == "incomplete" or response["output"]


async def test_ollama_streams_lines_and_counts(street: Build) -> None:
    s = await street()
    body = {"model": "m", "messages": HELLO, "options": {"num_predict": 5}}
    call = await s.client.post("/api/chat", body)
    assert call.headers["content-type"] == "application/x-ndjson"
    lines = [json.loads(line) for line in call.body.splitlines()]
    assert lines[-1]["done"] is True
    assert lines[-1]["eval_count"] == 5
    whole = await s.client.post("/api/generate", {"model": "m", "prompt": "hi", "stream": False})
    assert whole.json["done"] is True
    assert whole.json["response"]


async def test_ollamas_empty_request_loads_and_unloads(street: Build) -> None:
    s = await street()
    loaded = await s.client.post("/api/chat", {"model": "m", "messages": []})
    assert loaded.json["done_reason"] == "load"
    assert len(s.fleet.alive) == 1
    running = (await s.client.get("/api/ps")).json["models"]
    assert [model["name"] for model in running] == ["m"]
    gone = await s.client.post("/api/generate", {"model": "m", "keep_alive": 0})
    assert gone.json["done_reason"] == "unload"
    await turn()
    assert s.fleet.alive == []


async def test_embeddings_and_tokens(street: Build) -> None:
    s = await street()
    vectors = (await s.client.post("/v1/embeddings", {"model": "m", "input": ["a", "b"]})).json
    assert len(vectors["data"]) == 2
    tokens = (await s.client.post("/tokenize", {"model": "m", "content": "one two"})).json
    back = (await s.client.post("/detokenize", {"model": "m", **tokens})).json
    assert back["content"].strip() == "one two"


async def test_an_alias_and_ollamas_latest_name_the_same_model(street: Build) -> None:
    s = await street({"m": {"aliases": ["gpt-4o-mini"]}})
    assert (await s.client.chat("gpt-4o-mini").done()).status == 200
    assert (await s.client.chat("m:latest").done()).status == 200
    assert len(s.fleet.processes) == 1


async def test_a_waiting_stream_hears_comments_then_tokens(street: Build) -> None:
    s = await street(keepalive_comment="10s")
    s.fleet.hold("load")
    call = s.client.chat(stream=True)
    process = await s.fleet.launched(1)
    await s.clock.run_for(25)
    assert call.status == 200
    assert call.body == b": keep-alive\n\n" * 2
    process.release("load")
    await call.done()
    assert call.events[-1] == "[DONE]"
    assert call.body.count(b": keep-alive") == 2


async def test_past_hold_503_with_the_measured_eta(street: Build) -> None:
    s = await street({"m": {"hold": "5s", "options": {"load_delay_ms": 20_000.0}}})
    first = s.client.chat()
    await s.clock.run_for(6)
    await first.done()
    assert first.status == 503
    assert "retry-after" not in first.headers, "nobody knows yet how long it takes"
    await s.clock.run_for(30)
    await s.client.post("/pilotlight/v1/stop", {"model": "m"})
    await turn()
    second = s.client.chat()
    await s.clock.run_for(6)
    await second.done()
    assert second.status == 503
    assert second.json["error"]["code"] == "model_loading"
    assert 10 <= int(second.headers["retry-after"]) <= 16


async def test_past_hold_a_stream_under_way_ends_in_an_error_event(street: Build) -> None:
    s = await street({"m": {"hold": "15s"}}, keepalive_comment="10s")
    s.fleet.hold("load")
    call = s.client.chat(stream=True)
    await s.clock.run_for(16)
    await call.done()
    assert call.status == 200
    assert call.events[-1]["error"]["code"] == "model_loading"


async def test_a_full_queue_is_429(street: Build) -> None:
    s = await street({"m": {"queue": 1, "options": {"parallel": 1}}})
    await s.client.chat().done()
    s.process.hold("token:1")
    calls = [s.client.chat() for _ in range(2)]
    await turn()
    refused = await s.client.chat().done()
    assert refused.status == 429
    assert refused.json["error"]["code"] == "queue_full"
    s.process.release("token:1")
    assert [(await call.done()).status for call in calls] == [200, 200]


def keyed(s: Street, **create: Any) -> str:
    _, text = KeyStore(s.settings.data_dir / "keys.json").create(
        create.get("name", "me"), create.get("role", "user")
    )
    return str(text)


async def test_keys_are_needed_where_there_are_any_and_revoked_while_running(
    street: Build,
) -> None:
    s = await street()
    text = keyed(s)
    refused = await s.client.chat().done()
    assert refused.status == 401
    assert refused.json["error"]["type"] == "authentication_error"
    good = {"authorization": f"Bearer {text}"}
    assert (await s.client.get("/v1/models", good)).status == 200
    assert (await s.client.get("/v1/models", {"x-api-key": text})).status == 200
    assert (await s.client.get("/v1/models", {"authorization": "Basic eDp5"})).status == 401
    assert (await s.client.get("/health")).status == 200
    store = KeyStore(s.settings.data_dir / "keys.json")
    store.revoke(store.list()[0].id)
    assert (await s.client.get("/v1/models", good)).status == 401


async def test_a_users_key_does_not_manage(street: Build) -> None:
    s = await street()
    user = {"authorization": f"Bearer {keyed(s)}"}
    admin = {"authorization": f"Bearer {keyed(s, role='admin')}"}
    stop = ("/pilotlight/v1/stop", {"model": "m"})
    assert (await s.client.post(*stop, user)).status == 403
    assert (await s.client.post(*stop, admin)).status == 200


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"host": "127.0.0.1:8080"}, 200),
        ({"host": "[::1]:8080"}, 200),
        ({"host": "evil.example"}, 403),
        ({"host": "lan.example"}, 200),
        ({"origin": "http://localhost:3000"}, 200),
        ({"origin": "https://evil.example"}, 403),
        ({"origin": "https://ui.example"}, 200),
        ({"origin": "null"}, 403),
    ],
)
async def test_a_web_page_from_elsewhere_does_not_reach_a_server_without_keys(
    street: Build, headers: dict[str, str], status: int
) -> None:
    s = await street(allowed_hosts=["lan.example"], cors_origins=["https://ui.example"])
    answer = await s.client.get("/v1/models", headers)
    assert answer.status == status
    named = answer.headers.get("access-control-allow-origin")
    assert named == (headers.get("origin") if status == 200 else None)


async def test_preflight(street: Build) -> None:
    s = await street(cors_origins=["https://ui.example"])
    asked = {"origin": "https://ui.example", "access-control-request-headers": "authorization"}
    answer = await s.client.begin("OPTIONS", "/v1/chat/completions", None, asked).done()
    assert answer.status == 204
    assert answer.headers["access-control-allow-headers"] == "authorization"


async def test_the_callers_request_id_comes_back_and_a_wild_one_does_not(street: Build) -> None:
    s = await street()
    answer = await s.client.get("/health", {"x-request-id": "abc-123"})
    assert answer.headers["x-request-id"] == "abc-123"
    answer = await s.client.get("/health", {"x-request-id": "a b\tc"})
    assert answer.headers["x-request-id"].startswith("req-")


async def test_the_user_of_a_request_is_in_the_log(
    street: Build, caplog: pytest.LogCaptureFixture
) -> None:
    s = await street()
    with caplog.at_level("INFO", logger="pilotlight.access"):
        await s.client.chat(user="alice").done()
    fields = caplog.records[-1].fields  # type: ignore[attr-defined]
    assert fields["end_user"] == "alice"
    assert fields["model"] == "m"
    assert fields["completion_tokens"] > 0


@pytest.mark.parametrize("path", ["/api/chat", "/api/generate", "/api/embed"])
async def test_ollamas_older_name_for_the_model(street: Build, path: str) -> None:
    s = await street()
    body = {"name": "m", "messages": HELLO, "prompt": "hi", "input": "hi", "stream": False}
    fields = {"/api/chat": "messages", "/api/generate": "prompt", "/api/embed": "input"}
    asked = {key: body[key] for key in ("name", fields[path])}
    assert (await s.client.post(path, asked)).status == 200
