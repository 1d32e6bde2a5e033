"""The edge: hostile and broken requests, what it tells to whom, and what it writes down."""

from __future__ import annotations

import asyncio
import json
import logging
from typing import Any

import pytest

from pilotlight.core import Operation, Surface
from pilotlight.gateway.access import Access
from pilotlight.gateway.app import Gateway, Route
from pilotlight.gateway.http import Request
from pilotlight.gateway.keys import Key, KeyStore
from pilotlight.gateway.logs import HumanFormatter
from pilotlight.gateway.metrics import Metrics

from .asgi import Client, turn
from .conftest import Build
from .house import Street

HELLO = [{"role": "user", "content": "hello"}]


def create_key(s: Street) -> tuple[Key, str]:
    return KeyStore(s.settings.data_dir / "keys.json").create("me", "user")


@pytest.mark.parametrize(
    "headers",
    [
        {"authorization": "pl-abcdefgh-0123456789"},
        {"authorization": "pl-abcdefgh-0123456789 x"},
        {"authorization": "Token pl-abcdefgh-0123456789"},
        {"authorization": "Bearer pl-abcdefgh-0123456789"},
        {"x-api-key": "pl-abcdefgh-0123456789"},
    ],
)
async def test_a_refused_key_is_not_repeated(
    street: Build, headers: dict[str, str], caplog: pytest.LogCaptureFixture
) -> None:
    s = await street()
    create_key(s)
    with caplog.at_level("INFO", logger="pilotlight"):
        answer = await s.client.get("/v1/models", headers)
    assert answer.status == 401
    assert b"0123456789" not in answer.body
    assert "0123456789" not in "".join(map(HumanFormatter().format, caplog.records))


@pytest.mark.parametrize(
    "headers", [{"host": "["}, {"host": "[::1"}, {"host": "\N{DOUBLE OBLIQUE HYPHEN}/"},
                {"origin": "http://["}, {"origin": "http://[x]"}, {"host": ""}]
)  # fmt: skip
async def test_a_broken_address_in_a_header_is_a_foreign_one(
    street: Build, headers: dict[str, str]
) -> None:
    s = await street()
    answer = await s.client.get("/v1/models", headers)
    assert answer.status == 403
    assert answer.json["error"]["code"] == "forbidden"


@pytest.mark.parametrize("path", ["/v1/models", "/api/tags", "/v1/messages", "/" + "x" * 70_000])
async def test_too_large_a_head_is_refused_in_the_routes_shape(street: Build, path: str) -> None:
    s = await street()
    headers = {} if len(path) > 1000 else {f"x-{n}": "a" * 1000 for n in range(70)}
    answer = await s.client.get(path, headers)
    assert answer.status == 431
    assert b"over the limit of 65536" in answer.body
    assert ("error" in answer.json) is True
    assert isinstance(answer.json["error"], str) is path.startswith("/api/")


SECRET_REF = "https://user:hunter2@models.example/m.gguf?X-Signature=hunter2#hunter2"


@pytest.mark.parametrize("path", ["/pilotlight/v1/ps", "/pilotlight/v1/models", "/api/show"])
async def test_a_refs_secrets_are_not_told(street: Build, path: str) -> None:
    s = await street({"m": {"ref": SECRET_REF}})
    method, body = ("POST", {"model": "m"}) if path == "/api/show" else ("GET", None)
    answer = await s.client.begin(method, path, body).done()
    assert b"https://models.example/m.gguf" in answer.body
    assert b"hunter2" not in answer.body


async def test_a_ref_with_a_broken_port_keeps_its_secrets(street: Build) -> None:
    s = await street({"m": {"ref": "https://user:hun/ter2@models.example:port/m.gguf?hunter2"}})
    answer = await s.client.get("/pilotlight/v1/models")
    assert answer.json["models"][0]["ref"] == "https://models.example:port/m.gguf"


async def test_who_has_no_key_is_not_told_which_models_load(street: Build) -> None:
    s = await street({"secret-project": {"min": 1, "options": {"load_delay_ms": 1000.0}}})
    names = {"status": "loading", "models": ["secret-project"]}
    assert (await s.client.get("/ready")).json == names, "without keys everybody may ask"
    assert (await s.client.get("/ready", {"host": "evil.example"})).json == {"status": "loading"}
    _, text = create_key(s)
    nobody = await s.client.get("/ready")
    assert (nobody.status, nobody.json) == (503, {"status": "loading"})
    assert (await s.client.get("/ready", {"x-api-key": text})).json == names
    assert (await s.client.get("/ready", {"x-api-key": "pl-wrong"})).json == {"status": "loading"}


@pytest.mark.parametrize("path", ["/health", "/v1/models", "/metrics", "/nowhere"])
async def test_head_has_a_gets_headers_and_no_body(street: Build, path: str) -> None:
    s = await street()
    got, head = await s.client.get(path), await s.client.begin("HEAD", path).done()
    assert head.status == got.status
    assert head.body == b""
    if path != "/metrics":  # each scrape has counted the one before
        assert head.headers["content-length"] == str(len(got.body))


async def test_a_line_in_the_log_stays_one_line(
    street: Build, caplog: pytest.LogCaptureFixture
) -> None:
    s = await street()
    with caplog.at_level("INFO", logger="pilotlight.access"):
        await s.client.get("/x\n12:00:00 GET /forged 200\x1b[2J\u2028\x85")
        await s.client.get('/a 200  request_id="mine"')
        await s.client.chat(user='eve\nerror: x model="other" \x9b').done()
    lines = [HumanFormatter().format(record) for record in caplog.records]
    assert [line for line in lines if not line.isprintable()] == []
    assert "\\n12:00:00 GET /forged" in lines[0]
    assert ' GET "/a 200  request_id=\\"mine\\"" 404 ' in lines[1]
    assert 'end_user="eve\\nerror: x model=\\"other\\" \\u009b" ' in lines[2]


async def test_the_log_is_bounded_by_request(
    street: Build, caplog: pytest.LogCaptureFixture
) -> None:
    s = await street()
    with caplog.at_level("INFO", logger="pilotlight.access"):
        await s.client.get("/" + "x" * 50_000)
        await s.client.chat(user="u" * 50_000).done()
    assert all(len(HumanFormatter().format(record)) < 1000 for record in caplog.records)


def access_fields(caplog: pytest.LogCaptureFixture) -> dict[str, Any]:
    fields: dict[str, Any] = caplog.records[-1].fields  # type: ignore[attr-defined]
    return fields


async def test_the_log_says_who_asked_and_why_it_failed(
    street: Build, caplog: pytest.LogCaptureFixture
) -> None:
    s = await street()
    key, text = create_key(s)
    headers = {"authorization": f"Bearer {text}"}
    with caplog.at_level("INFO", logger="pilotlight.access"):
        await s.client.post("/v1/chat/completions", {"model": "m", "messages": HELLO}, headers)
        assert (access_fields(caplog)["key"], access_fields(caplog)["error"]) == (key.id, None)
        await s.client.post("/v1/chat/completions", {"model": "no", "messages": HELLO}, headers)
        fields = access_fields(caplog)
        assert (fields["key"], fields["error"]) == (key.id, "model_not_found")
        await s.client.post("/v1/chat/completions", {})
        fields = access_fields(caplog)
        assert (fields["key"], fields["error"]) == (None, "invalid_api_key")
        assert text not in "".join(map(HumanFormatter().format, caplog.records))


@pytest.mark.parametrize(
    ("path", "body", "operation", "status"),
    [
        ("/v1/chat/completions", b"{", "chat", "400"),
        ("/v1/chat/completions", {"model": "no"}, "chat", "404"),
        ("/v1/embeddings", {}, "embeddings", "400"),
        ("/api/generate", {"model": "no"}, "completions", "404"),
    ],
)
async def test_what_is_refused_before_its_model_is_known_is_counted(
    street: Build, path: str, body: Any, operation: str, status: str
) -> None:
    s = await street()
    await s.client.post(path, body)
    labels = {"model": "", "operation": operation, "status": status}
    assert await s.metric("pilotlight_requests_total", **labels) == 1


async def test_a_request_is_counted_once(street: Build) -> None:
    s = await street()
    await s.client.chat().done()
    await s.client.chat(temperature="hot").done()
    await s.client.post("/v1/chat/completions", b"{")
    text = (await s.client.get("/metrics")).body.decode()
    counted = [line for line in text.splitlines() if line.startswith("pilotlight_requests_total")]
    assert sorted(line.rpartition(" ")[2] for line in counted) == ["1.0"] * 3


def broken(surface: Surface, operation: Operation, error: BaseException, tmp: Any) -> Client:
    """A gateway with one route that fails once its stream has begun."""

    async def handle(request: Request, key: Key | None) -> None:
        await request.start(200, [(b"content-type", b"text/event-stream")])
        await request.send(b"data: {}\n\n", more=True)
        raise error

    routes = {"/broken": {"POST": Route(handle, surface, operation)}}
    keys = KeyStore(tmp / "keys.json")
    return Client(Gateway(routes, Access(keys, "127.0.0.1", (), ()), Metrics()))


@pytest.mark.parametrize(
    ("surface", "operation", "last"),
    [
        (Surface.OPENAI, Operation.CHAT, b'data: {"error":{'),
        (Surface.OPENAI, Operation.RESPONSES, b'event: error\ndata: {"type":"error"'),
        (Surface.ANTHROPIC, Operation.MESSAGES, b'event: error\ndata: {"type":"error"'),
        (Surface.OLLAMA, Operation.CHAT, b'{"error":"'),
    ],
)
async def test_a_fault_of_ours_ends_the_stream_in_its_own_shape(
    surface: Surface, operation: Operation, last: bytes, tmp_path: Any,
    caplog: pytest.LogCaptureFixture,
) -> None:  # fmt: skip
    client = broken(surface, operation, RuntimeError("spoon"), tmp_path)
    call = await client.post("/broken", {})
    assert call.ended
    assert call.chunks[-1].startswith(last)
    assert call.headers.get("x-request-id", "") or b"the log of request" in call.chunks[-1]
    assert b"spoon" not in call.body
    assert "spoon" in caplog.text


async def test_a_request_that_shutdown_cuts_short_is_quiet_and_says_so(
    street: Build, caplog: pytest.LogCaptureFixture
) -> None:
    s = await street()
    s.fleet.hold("token:2")
    stream, whole = s.client.chat(stream=True), s.client.chat()
    process = await s.fleet.launched(1)
    await process.reached("token:2")
    await turn()
    with caplog.at_level(logging.INFO):
        for call in (stream, whole):
            call.task.cancel()
            await call.done()
    assert stream.events[-1]["error"]["code"] == "draining"
    assert (whole.status, whole.json["error"]["code"]) == (503, "draining")
    assert "Traceback" not in caplog.text
    await turn()
    assert process.busy_slots == 0


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/api/generate", {"model": "m", "keep_alive": 0}),
        ("/api/generate", {"model": "m", "keep_alive": "0s", "prompt": ""}),
        ("/api/chat", {"model": "m", "messages": [], "keep_alive": 0}),
    ],
)
@pytest.mark.parametrize("absent", [(), ("m",)])
async def test_unloading_a_cold_model_does_not_load_it(
    street: Build, path: str, body: dict[str, Any], absent: tuple[str, ...]
) -> None:
    s = await street(absent=absent)
    answer = await asyncio.wait_for(s.client.post(path, body), 5)
    assert answer.status == 200
    assert (answer.json["done"], answer.json["done_reason"]) == (True, "unload")
    assert s.fleet.processes == []
    assert s.store.fetched == []


async def test_unloading_a_sleeping_model_does_not_wake_it(street: Build) -> None:
    s = await street({"m": {"sleep_after": "5s"}})
    await s.client.chat().done()
    await s.clock.run_for(6)
    answer = await s.client.post("/api/generate", {"model": "m", "keep_alive": 0})
    assert answer.json["done_reason"] == "unload"
    assert (await s.client.get("/pilotlight/v1/ps")).json["models"][0]["state"] == "asleep"


async def test_a_wish_to_unload_is_checked_like_any_other(street: Build) -> None:
    s = await street()
    wrong = {"model": "m", "keep_alive": 0, "temprature": 1}
    answer = await s.client.post("/api/generate", wrong)
    assert answer.status == 400
    assert "temprature" in json.loads(answer.body)["error"]
