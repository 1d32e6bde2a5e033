"""The function against a strict Runtime API: every byte as Lambda would see it."""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from pilotlight.errors import EngineCrashedError, UnknownModelError
from pilotlight.gateway.http import Receive, Scope, Send
from pilotlight.gateway.keys import KeyStore
from pilotlight.gateway.signals import Stop
from pilotlight.instance.lambda_api import RuntimeApi
from pilotlight.instance.lambda_environment import Environment
from pilotlight.instance.lambda_function import Answering, App, Function
from pilotlight.testing import VirtualClock, settle

from .lambda_function import chat, function, url_event
from .runtime_api import Invoked, RuntimeApiServer

CHAT = "/v1/chat/completions"


def events(invoked: Invoked) -> list[object]:
    """The data of a stream's events."""
    lines = invoked.body.decode().split("\n\n")
    found = (line.removeprefix("data: ") for line in lines if line.startswith("data: "))
    return [data if data == "[DONE]" else json.loads(data) for data in found]


async def test_a_stream_leaves_token_by_token(tmp_path: Path) -> None:
    async with function(tmp_path, {"m": {"options": {"words": 3}}}) as f:
        await f.api.until_asked()
        f.process.hold("token:2")
        invoked = f.api.invoke(chat(stream=True))
        await f.process.reached("token:2")
        await (await invoked.begun()).has(b"data: ")
        assert invoked.status == 200
        assert invoked.headers["content-type"] == "text/event-stream"
        assert b"[DONE]" not in invoked.body
        f.process.release("token:2")
        await invoked.done()
        assert events(invoked)[-1] == "[DONE]"
        assert invoked.streamed
        assert invoked.trailers == {}


async def test_chunks_are_the_engines_own(tmp_path: Path) -> None:
    async with function(tmp_path, {"m": {"options": {"words": 3}}}) as f:
        await f.api.until_asked()
        for token in ("token:1", "token:2", "token:3"):
            f.process.hold(token)
        invoked = f.api.invoke(chat(stream=True))
        for number, token in enumerate(("token:1", "token:2", "token:3")):
            await f.process.reached(token)
            await settle()
            came = len(invoked.chunks)
            f.process.release(token)
            await f.process.reached("token:3" if number == 2 else f"token:{number + 2}")
            assert came <= number + 1
        await invoked.done()
        assert all(chunk.endswith(b"\n\n") for chunk in invoked.chunks)
        assert len(invoked.chunks) >= 3


async def test_models_are_loaded_before_the_first_invocation_is_asked_for(tmp_path: Path) -> None:
    async with function(tmp_path) as f:
        process = await f.fleet.launched(1)
        process.hold("load")
        await process.reached("load")
        await settle()
        assert f.api.asked == 0
        process.release("load")
        await f.api.until_asked()
        invoked = await f.ask(url_event("GET", "/ready"))
        assert invoked.json == {"status": "ready"}


async def test_a_load_that_fails_is_reported_and_ends_the_process(tmp_path: Path) -> None:
    broken = {"m": {"options": {"fail_load": "no such tensor"}, "max_crashes": 1}}
    async with function(tmp_path, broken) as f:
        error = await f.api.until_init_error()
        assert error["errorType"] == "Pilotlight.EngineGoneError"
        assert "no such tensor" in error["errorMessage"]
        assert await f.ended == 1
        assert f.api.asked == 0


async def test_a_model_that_cant_be_had_is_reported(tmp_path: Path) -> None:
    async with function(tmp_path, absent=["m"], fetch_fails="no route to host") as f:
        error = await f.api.until_init_error()
        assert error["errorType"] == "Pilotlight.SourceError"
        assert await f.ended == 1


async def test_a_model_that_doesnt_fit_is_reported(tmp_path: Path) -> None:
    async with function(tmp_path, {"m": {"options": {"ram_bytes": 2**40}}}) as f:
        error = await f.api.until_init_error()
        assert error["errorType"] == "Pilotlight.DoesNotFitError"


async def test_a_load_on_demand_goes_on_in_the_first_invocation(tmp_path: Path) -> None:
    """After 10 s of init Lambda would kill the process and begin anew."""
    async with function(tmp_path) as f:
        process = await f.fleet.launched(1)
        process.hold("load")
        await process.reached("load")
        await f.pass_time(9.0)
        await f.api.until_asked()
        invoked = f.api.invoke(chat())
        await settle()
        process.release("load")
        await invoked.done()
        assert invoked.status == 200
        assert len(f.fleet.processes) == 1


async def test_what_the_process_took_to_begin_is_part_of_init(tmp_path: Path) -> None:
    """Lambda's 10 s count from its start: imports from a cold image are seconds of them."""
    async with function(tmp_path, age_s=4.0) as f:
        process = await f.fleet.launched(1)
        process.hold("load")
        await process.reached("load")
        await f.pass_time(4.9)
        assert f.api.asked == 0
        await f.pass_time(0.1)
        await f.api.until_asked()
        process.release("load")


def test_a_process_knows_how_old_it_is() -> None:
    program = (
        "import time; before = time.monotonic();"
        "from pilotlight.instance.lambda_init import process_age_s;"
        "print(process_age_s() - (time.monotonic() - before))"
    )
    ran = subprocess.run(
        (sys.executable, "-c", program), capture_output=True, text=True, check=True, timeout=60
    )
    # Until its first line: the interpreter's own start, and a tick.
    assert -0.01 <= float(ran.stdout) < 10


async def test_a_provisioned_environment_waits_for_its_load(tmp_path: Path) -> None:
    async with function(tmp_path, initialization="provisioned-concurrency") as f:
        process = await f.fleet.launched(1)
        process.hold("load")
        await process.reached("load")
        await f.pass_time(60.0)
        assert f.api.asked == 0
        process.release("load")
        await f.api.until_asked()
        invoked = await f.ask(chat())
        assert invoked.headers["x-pilotlight-initialization"] == "provisioned-concurrency"


async def test_two_invocations_in_sequence_are_numbered(tmp_path: Path) -> None:
    async with function(tmp_path) as f:
        first, second = await f.ask(chat()), await f.ask(chat())
        assert [i.headers["x-pilotlight-invocation"] for i in (first, second)] == ["1", "2"]
        assert first.status == second.status == 200
        assert first.json["choices"][0]["message"] == second.json["choices"][0]["message"]
        assert f.api.asked >= 2


async def test_an_invocations_id_is_the_requests(tmp_path: Path) -> None:
    async with function(tmp_path) as f:
        invoked = await f.ask(chat())
        assert invoked.headers["x-request-id"] == invoked.id
        mine = chat()
        mine["headers"]["x-request-id"] = "mine"
        assert (await f.ask(mine)).headers["x-request-id"] == "mine"


class TestDeadline:
    async def test_a_stream_ends_in_an_error_event_and_its_slot_is_free(
        self, tmp_path: Path
    ) -> None:
        async with function(tmp_path, {"m": {"options": {"words": 5}}}) as f:
            await f.api.until_asked()
            f.process.hold("token:3")
            invoked = f.api.invoke(chat(stream=True), deadline_ms=f.deadline_ms(10.0))
            await f.process.reached("token:3")
            await (await invoked.begun()).has(b"data: ")
            await f.pass_time(9.4)
            assert not invoked.over
            await f.pass_time(0.1)
            await invoked.done()
            last = events(invoked)[-1]
            assert isinstance(last, dict)
            assert last["error"]["code"] == "deadline_exceeded"
            assert last["error"]["type"] == "server_error"
            assert invoked.told["errorType"] == "Pilotlight.FunctionDeadlineError"
            assert f.process.busy_slots == 0
            f.process.release("token:3")
            metrics = (await f.ask(url_event("GET", "/metrics"))).body.decode()
            assert 'pilotlight_cancelled_total{model="m"} 1.0' in metrics
            assert (await f.ask(chat())).status == 200

    async def test_what_has_not_begun_is_answered_504(self, tmp_path: Path) -> None:
        async with function(tmp_path) as f:
            await f.api.until_asked()
            f.process.hold("request")
            invoked = f.api.invoke(chat(), deadline_ms=f.deadline_ms(3.0))
            await f.process.reached("request")
            await f.pass_time(2.5)
            await invoked.done()
            assert invoked.status == 504
            assert invoked.json["error"]["code"] == "deadline_exceeded"
            assert f.process.open_exchanges == []
            f.process.release("request")

    async def test_an_invocation_without_time_is_answered_at_once(self, tmp_path: Path) -> None:
        """Init that ran inside the first invocation may have used it up."""
        async with function(tmp_path) as f:
            await f.api.until_asked()
            f.process.hold("request")
            invoked = f.api.invoke(chat(), deadline_ms=f.deadline_ms(0.3))
            await f.pass_time(0.0)
            assert (await invoked.done()).status == 504
            f.process.release("request")

    @pytest.mark.parametrize(
        ("path", "body", "shape"),
        [
            ("/api/chat", {"model": "m", "messages": []}, b'{"error":"'),
            ("/v1/messages", {"model": "m", "max_tokens": 9, "messages": []}, b"event: error\n"),
            ("/v1/responses", {"model": "m", "input": "hi"}, b"event: error\n"),
        ],
    )
    async def test_it_is_told_in_the_callers_api(
        self, tmp_path: Path, path: str, body: dict[str, object], shape: bytes
    ) -> None:
        said = {"messages": [{"role": "user", "content": "hi"}]} if "messages" in body else {}
        async with function(tmp_path, {"m": {"options": {"words": 5}}}) as f:
            await f.api.until_asked()
            f.process.hold("token:3")
            event = url_event(path=path, body={**body, **said, "stream": True})
            invoked = f.api.invoke(event, deadline_ms=f.deadline_ms(5.0))
            await f.process.reached("token:3")
            await invoked.begun()
            await f.pass_time(5.0)
            await invoked.done()
            assert shape in invoked.chunks[-1]
            f.process.release("token:3")

    async def test_a_client_that_takes_nothing_holds_nobody_up(self, tmp_path: Path) -> None:
        endless = {"m": {"options": {"words": 30_000, "context": 10**6}}}
        async with function(tmp_path, endless) as f:
            await f.api.until_asked()
            invoked = f.api.invoke(chat(stream=True), deadline_ms=f.deadline_ms(5.0))
            invoked.reading.clear()
            await f.process.reached("request", times=2)  # the canary was the first
            await f.until_generated()
            assert f.in_flight == 1
            await f.pass_time(4.5)
            assert f.in_flight == 0
            await f.pass_time(0.5)
            invoked.reading.set()
            await invoked.done()
            assert invoked.broken
            assert (await f.ask(url_event("GET", "/health"))).status == 200
            f.api.broken_rules.clear()  # it may have seen the break only after the next call


class TestEvents:
    @pytest.mark.parametrize(
        "payload",
        [
            b"{}",
            b"[]",
            b"not json",
            b'{"Records": []}',
            b'{"requestContext": {}, "rawPath": "/"}',
            b'{"requestContext": {"http": {"method": 7}}}',
            b"\xff\xfe",
        ],
    )
    async def test_a_bad_event_is_answered_and_the_next_one_served(
        self, tmp_path: Path, payload: bytes
    ) -> None:
        async with function(tmp_path) as f:
            bad = await f.ask(payload)
            assert bad.status == 400
            assert bad.json["error"]["type"] == "invalid_request_error"
            assert "HTTP request" in bad.json["error"]["message"]
            assert (await f.ask(chat())).status == 200

    async def test_a_body_in_base64_is_the_same_body(self, tmp_path: Path) -> None:
        async with function(tmp_path) as f:
            event = chat()
            plain = await f.ask(event)
            event["body"] = base64.b64encode(event["body"].encode()).decode()
            encoded = await f.ask({**event, "isBase64Encoded": True})
            assert plain.status == encoded.status == 200
            assert plain.json["choices"] == encoded.json["choices"]
            assert (await f.ask({**event, "body": "%%", "isBase64Encoded": True})).status == 400

    async def test_a_body_over_max_body_is_refused(self, tmp_path: Path) -> None:
        async with function(tmp_path, max_body=1024) as f:
            invoked = await f.ask(chat("x" * 2000))
            assert invoked.status == 413
            assert invoked.json["error"]["code"] == "body_too_large"

    async def test_a_load_balancer_gets_one_document(self, tmp_path: Path) -> None:
        event = {
            "requestContext": {"elb": {"targetGroupArn": "arn"}},
            "httpMethod": "POST",
            "path": CHAT,
            "queryStringParameters": {},
            "headers": {"host": "lb", "x-forwarded-for": "203.0.113.7", "x-api-key": ""},
            "body": chat(stream=True)["body"],
            "isBase64Encoded": False,
        }
        async with function(tmp_path) as f:
            invoked = await f.ask(event)
            assert invoked.streamed is False
            assert invoked.status == 403  # nobody checked who asks, and there are no keys


class TestFaults:
    """Of the gateway itself; an engine's are told by the gateway."""

    async def test_an_exception_mid_stream_is_an_event_and_a_trailer(self) -> None:
        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            await send(START)
            await send({"type": "http.response.body", "body": b"data: 1\n\n", "more_body": True})
            raise ZeroDivisionError

        invoked = await served(app)
        assert invoked.body.startswith(b"data: 1\n\ndata: {")
        assert invoked.told["errorType"] == "Pilotlight.PilotlightError"
        assert b"ZeroDivisionError" not in invoked.body

    async def test_an_exception_before_anything_is_an_answer(self) -> None:
        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            raise ZeroDivisionError

        invoked = await served(app)
        assert invoked.status == 500
        assert invoked.json["error"]["code"] == "internal_error"

    async def test_an_answer_without_an_end_is_told(self) -> None:
        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            await send(START)
            await send({"type": "http.response.body", "body": b"data: 1\n\n", "more_body": True})

        assert (await served(app)).told["errorMessage"]

    async def test_what_a_stream_ended_in_is_told_to_lambda(self) -> None:
        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            await send(START)
            await send({"type": "http.response.body", "body": b"data: error\n\n"})
            scope["pilotlight.error"] = EngineCrashedError("it ended")

        invoked = await served(app)
        assert invoked.body == b"data: error\n\n"
        assert invoked.told["errorType"] == "Pilotlight.EngineCrashedError"

    async def test_nothing_follows_the_last_words(self) -> None:
        clock = VirtualClock()

        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            await send(START)
            await send({"type": "http.response.body", "body": b"data: 1\n\n", "more_body": True})
            clock.advance(TIMEOUT_S)
            await receive()
            assert await receive() == {"type": "http.disconnect"}
            await send({"type": "http.response.body", "body": b"data: 2\n\n"})

        invoked = await served(app, clock)
        assert b"data: 2" not in invoked.body
        assert b"deadline_exceeded" in invoked.chunks[-1]

    async def test_a_deadline_after_the_last_byte_is_none(self) -> None:
        clock = VirtualClock()

        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            await send(START)
            await send({"type": "http.response.body", "body": b"data: [DONE]\n\n"})
            clock.advance(TIMEOUT_S - 0.1)

        invoked = await served(app, clock)
        assert (invoked.body, invoked.trailers) == (b"data: [DONE]\n\n", {})

    async def test_the_gateway_gets_lambdas_ids(self) -> None:
        seen: dict[bytes, bytes] = {}

        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            seen.update(scope["headers"])
            seen[b"variable"] = os.environ["_X_AMZN_TRACE_ID"].encode()
            await send({"type": "http.response.start", "status": 200, "headers": []})
            await send({"type": "http.response.body", "body": b"{}"})

        invoked = await served(app)
        assert seen[b"x-request-id"].decode() == invoked.id
        assert seen[b"x-amzn-trace-id"].decode() == seen[b"variable"].decode() == invoked.trace

    async def test_a_refusal_is_no_fault(self) -> None:
        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            await send({"type": "http.response.start", "status": 404, "headers": []})
            await send({"type": "http.response.body", "body": b"{}"})
            scope["pilotlight.error"] = UnknownModelError("no")

        invoked = await served(app)
        assert (invoked.status, invoked.trailers) == (404, {})


START = {
    "type": "http.response.start",
    "status": 200,
    "headers": [(b"content-type", b"text/event-stream")],
}


TIMEOUT_S = 30.0


async def served(app: App, clock: VirtualClock | None = None) -> Invoked:
    """One invocation of a function with another gateway."""
    clock = clock or VirtualClock()
    async with RuntimeApiServer() as server:
        api = RuntimeApi(server.address)
        answering = Answering(app=app, keyed=True, marked=False)
        environment = Environment(api=server.address)
        function = Function(answering, api, environment, clock, clock.now)
        invoked = server.invoke(chat(), deadline_ms=round((clock.now() + TIMEOUT_S) * 1000))
        await function.serve(await api.next(), Stop())
        await invoked.done()
    assert server.broken_rules == []
    return invoked


class TestAccess:
    async def test_with_keys_a_key_is_asked_for(self, tmp_path: Path) -> None:
        _, secret = KeyStore(tmp_path / "keys.json").create("test", "user")
        async with function(tmp_path) as f:
            signed = await f.ask(url_event("GET", "/v1/models"))
            assert signed.status == 401  # a signature is not enough where there are keys
            for header in ({"authorization": f"Bearer {secret}"}, {"x-api-key": secret}):
                event = url_event("GET", "/v1/models", headers=header, signed=False)
                assert (await f.ask(event)).status == 200

    async def test_without_keys_only_signed_callers_are_answered(self, tmp_path: Path) -> None:
        async with function(tmp_path) as f:
            anybody = await f.ask(url_event("GET", "/v1/models", signed=False))
            assert anybody.status == 403
            assert anybody.json["error"]["code"] == "forbidden"
            assert (await f.ask(url_event("GET", "/v1/models"))).status == 200

    async def test_a_signature_for_aws_is_no_key(self, tmp_path: Path) -> None:
        signature = {"authorization": "AWS4-HMAC-SHA256 Credential=AKIA/…"}
        async with function(tmp_path) as f:
            assert (await f.ask(url_event("GET", "/v1/models", headers=signature))).status == 200


class TestBuffered:
    async def test_a_stream_comes_as_one_document(self, tmp_path: Path) -> None:
        async with function(tmp_path, mode="buffer") as f:
            invoked = await f.ask(chat(stream=True))
            assert invoked.streamed is False
            assert invoked.status == 200
            assert events(invoked)[-1] == "[DONE]"

    async def test_a_deadline_takes_the_place_of_what_has_come(self, tmp_path: Path) -> None:
        async with function(tmp_path, {"m": {"options": {"words": 5}}}, mode="buffer") as f:
            await f.api.until_asked()
            f.process.hold("token:3")
            invoked = f.api.invoke(chat(stream=True), deadline_ms=f.deadline_ms(2.0))
            await f.process.reached("token:3")
            await f.pass_time(1.5)
            assert (await invoked.done()).status == 504
            f.process.release("token:3")

    async def test_an_answer_that_lambda_cant_carry_is_an_error(self, tmp_path: Path) -> None:
        many = {"m": {"options": {"words": 30_000, "context": 10**6}}}
        async with function(tmp_path, many, mode="buffer") as f:
            invoked = await f.ask(chat(stream=True))
            assert invoked.status == 413
            assert invoked.json["error"]["code"] == "answer_too_large"
            assert (await f.ask(url_event("GET", "/health"))).status == 200


class TestTroubleWithLambda:
    async def test_next_is_asked_again(self, tmp_path: Path) -> None:
        async with function(tmp_path) as f:
            f.api.refuse_next.extend([503, 0])
            await f.api.until_asked(3)
            assert (await f.ask(chat())).status == 200

    @pytest.mark.parametrize("statuses", [[500], [403] * 5])
    async def test_an_environment_beyond_recovery_ends(
        self, tmp_path: Path, statuses: list[int]
    ) -> None:
        async with function(tmp_path) as f:
            f.api.refuse_next.extend(statuses)
            assert await f.ended == 1
            assert f.api.asked == len(statuses)

    async def test_a_refused_response_is_not_the_end(self, tmp_path: Path) -> None:
        async with function(tmp_path) as f:
            f.api.refuse_response.append(413)
            await f.ask(chat())
            assert (await f.ask(chat())).status == 200

    async def test_a_response_to_which_lambda_says_exit_is_the_end(self, tmp_path: Path) -> None:
        async with function(tmp_path) as f:
            f.api.refuse_response.append(500)
            await f.ask(chat())
            assert await f.ended == 1
            assert f.api.asked == 1

    async def test_a_crash_mid_stream_is_told_in_the_stream(self, tmp_path: Path) -> None:
        async with function(tmp_path, {"m": {"options": {"words": 9, "crash_after": 4}}}) as f:
            invoked = await f.ask(chat(stream=True))
            last = events(invoked)[-1]
            assert isinstance(last, dict)
            assert last["error"]["code"] == "engine_crashed"


class TestStop:
    async def test_it_ends_while_it_waits(self, tmp_path: Path) -> None:
        async with function(tmp_path) as f:
            await f.api.until_asked()
            f.stop.asked.set()
            assert await f.ended == 0

    async def test_an_invocation_gets_a_moment_and_then_an_error(self, tmp_path: Path) -> None:
        async with function(tmp_path, {"m": {"options": {"words": 5}}}) as f:
            await f.api.until_asked()
            f.process.hold("token:3")
            invoked = f.api.invoke(chat(stream=True))
            await f.process.reached("token:3")
            await invoked.begun()
            f.stop.asked.set()
            await f.pass_time(0.1)
            await invoked.done()
            assert events(invoked)[-1]["error"]["code"] == "draining"  # type: ignore[index]
            assert await f.ended == 0
            assert f.api.asked == 1


class TestFreeze:
    async def test_a_frozen_hour_is_no_idle_time(self, tmp_path: Path) -> None:
        async with function(tmp_path, {"m": {"min": 0, "keep_alive": "5m"}}) as f:
            assert (await f.ask(chat())).status == 200
            await f.api.until_asked(2)
            await f.pass_time(3600.0)
            assert (await f.ask(chat())).status == 200
            assert len(f.fleet.processes) == 1

    async def test_a_frozen_hour_is_no_stall(self, tmp_path: Path) -> None:
        async with function(tmp_path, {"m": {"stall": "10s", "options": {"words": 3}}}) as f:
            await f.ask(chat())
            await f.api.until_asked(2)
            await f.pass_time(3600.0)
            f.process.hold("token:2")
            invoked = f.api.invoke(chat(stream=True))
            await f.process.reached("token:2")
            await f.pass_time(2.0)
            f.process.release("token:2")
            assert (await invoked.done()).trailers == {}
            assert len(f.fleet.processes) == 1
