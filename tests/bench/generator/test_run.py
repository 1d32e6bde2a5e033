"""A run over real sockets: what is sent, when, and what each record says of it."""

from __future__ import annotations

import asyncio
import ssl
import statistics
from collections.abc import Iterator
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import Any

import pytest
import trustme

from bench.generator.scripted import Hang, Peer, Request, Scripted, scripted, two_words
from pilotlight.bench.ask import Ask
from pilotlight.bench.load import Load
from pilotlight.bench.record import Record
from pilotlight.bench.run import Progress, Run, run
from pilotlight.errors import BenchError, ServerUnreachableError


def asks() -> Iterator[Ask]:
    return (Ask(content=str(number), max_tokens=8) for number in count())


def closed(users: int = 1, **more: Any) -> Load:
    return Load(kind="closed", concurrency=users, **more)


async def ran(server: Scripted, load: Load, **target: Any) -> Run:
    return await run(replace(server.target, **target), asks(), load)


def errors(found: Run) -> list[tuple[str | None, int | None]]:
    return [(record.error, record.status) for record in found.records]


async def test_a_record_says_what_the_server_said() -> None:
    async with scripted() as server:
        found = await run(
            server.target, [Ask(content="Hi", max_tokens=8, group="short")], closed(requests=5)
        )
    (record,) = found.records
    assert found.ended_by == "asks"
    assert record.ok
    assert (record.status, record.finish_reason, record.group) == (200, "stop", "short")
    assert (record.input_tokens, record.output_tokens, record.cached_tokens) == (3, 2, None)
    assert record.first_s is not None
    assert record.last_s is not None
    assert 0 <= record.scheduled_s <= record.sent_s <= record.first_s <= record.last_s
    assert record.last_s <= record.ended_s == found.wall_s


async def test_the_request_is_the_asks_own() -> None:
    async with scripted() as server:
        target = replace(
            server.target, url=f"{server.url}/base/v1", key="sk-1", headers={"X-Team": "a"}
        )
        ask = Ask(content="Hi", max_tokens=8, exact_output=True, fields={"temperature": 0})
        await run(target, [ask], closed())
    (request,) = server.requests
    assert request.head.startswith("POST /base/v1/chat/completions HTTP/1.1\r\n")
    assert "\r\nAuthorization: Bearer sk-1\r\n" in request.head
    assert "\r\nX-Team: a\r\n" in request.head
    assert request.body == {
        "model": "m",
        "stream": True,
        "stream_options": {"include_usage": True},
        "max_tokens": 8,
        "ignore_eos": True,
        "messages": [{"role": "user", "content": "Hi"}],
        "temperature": 0,
    }


async def test_completions_go_to_their_own_path() -> None:
    async with scripted() as server:
        await run(server.target, [Ask(kind="completions", content="Hi")], closed())
    assert server.requests[0].head.startswith("POST /v1/completions ")
    assert server.requests[0].body["prompt"] == "Hi"


async def test_connections_are_kept() -> None:
    async with scripted() as server:
        found = await ran(server, closed(3, requests=30))
    assert [record.ok for record in found.records] == [True] * 30
    assert (server.connections, found.health.reconnects) == (3, 0)


async def test_a_server_may_close_after_each_stream() -> None:
    """As llama.cpp's own does; the next request has a connection of its own."""

    async def close(request: Request, peer: Peer) -> None:
        await two_words(request, peer)
        raise Hang

    async with scripted(close) as server:
        found = await ran(server, closed(2, requests=10))
    assert [record.ok for record in found.records] == [True] * 10
    assert sorted(request.connection for request in server.requests) == list(range(10))


async def test_a_kept_connection_that_was_closed_costs_no_request() -> None:
    """The request met the server's close on its way: it is sent again, once."""
    met: set[int] = set()

    async def close_unread(request: Request, peer: Peer) -> None:
        if request.connection not in met and request.number % 2:
            met.add(request.connection)
            raise Hang
        await two_words(request, peer)

    async with scripted(close_unread) as server:
        found = await ran(server, closed(requests=6))
    assert [record.ok for record in found.records] == [True] * 6
    assert found.health.reconnects > 0


async def test_an_answer_may_end_with_its_connection() -> None:
    async def unframed(request: Request, peer: Peer) -> None:
        peer.head("Content-Type: text/event-stream", "Connection: close")
        peer.writer.write(b'data: {"choices": [{"delta": {"content": "Hi"}}]}\n\n')
        peer.writer.write(b"data: [DONE]\n\n")
        raise Hang

    async with scripted(unframed) as server:
        found = await ran(server, closed(requests=3))
    assert errors(found) == [(None, 200)] * 3


async def test_trailers_and_a_100_before_the_answer_are_http_too() -> None:
    async def formal(request: Request, peer: Peer) -> None:
        peer.head(status="100 Continue")
        peer.stream()
        peer.token("Hi")
        peer.chunk(b"data: [DONE]\n\n")
        peer.writer.write(b"0\r\nX-Cost: 1\r\n\r\n")

    async with scripted(formal) as server:
        found = await ran(server, closed(requests=3))
    assert errors(found) == [(None, 200)] * 3


async def test_a_unix_socket_will_do(tmp_path: Path) -> None:
    path = tmp_path / "s"
    async with scripted(socket=path) as server:
        found = await ran(server, closed(requests=3), socket=str(path))
    assert errors(found) == [(None, 200)] * 3
    assert "\r\nHost: local\r\n" in server.requests[0].head


async def test_tls_checks_the_certificate(tmp_path: Path) -> None:
    authority = trustme.CA()
    secure = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(secure)
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    async with scripted(secure=secure) as server:
        found = await ran(server, closed(2, requests=6), ca_file=str(tmp_path / "ca.pem"))
        assert errors(found) == [(None, 200)] * 6
        with pytest.raises(ServerUnreachableError, match="certificate"):
            await ran(server, closed(requests=1))


@pytest.mark.parametrize(
    ("status", "kind"),
    [("429 Too Many", "rate-limited"), ("404 Not Found", "refused"), ("500 Oh", "server")],
)
async def test_a_refusal_is_a_record(status: str, kind: str) -> None:
    async def refuse(request: Request, peer: Peer) -> None:
        peer.whole(status, b'{"error": {"message": "no"}}')

    async with scripted(refuse) as server:
        found = await ran(server, closed(requests=2))
    assert errors(found) == [(kind, int(status[:3]))] * 2
    assert {record.message for record in found.records} == {"no"}
    assert all(record.first_s is None for record in found.records)


async def test_a_stream_that_breaks_keeps_what_came() -> None:
    async def broken(request: Request, peer: Peer) -> None:
        peer.stream()
        peer.token("Hi")
        raise Hang

    async with scripted(broken) as server:
        found = await ran(server, closed(requests=2))
    assert errors(found) == [("broken-off", 200)] * 2
    assert all(record.first_s is not None for record in found.records)


async def test_what_is_no_http_is_malformed() -> None:
    async def babble(request: Request, peer: Peer) -> None:
        peer.writer.write(b"HELO there\r\n\r\n")

    async with scripted(babble) as server:
        found = await ran(server, closed(requests=1))
    assert errors(found)[0][0] == "malformed"


async def test_a_connection_that_closes_without_an_answer_is_an_error() -> None:
    async def close(request: Request, peer: Peer) -> None:
        raise Hang

    async with scripted(close) as server:
        found = await ran(server, closed(requests=2))
    assert errors(found) == [("connection", None)] * 2


async def test_patience_ends() -> None:
    async def hang(request: Request, peer: Peer) -> None:
        peer.stream()
        peer.token("Hi")
        await peer.writer.drain()
        await asyncio.get_running_loop().create_future()

    async with scripted(hang) as server:
        found = await ran(server, closed(2, requests=2), timeout_s=0.1)
    assert errors(found) == [("timeout", 200)] * 2
    assert all(0.1 <= record.ended_s < 0.5 for record in found.records)
    assert found.records[0].message == "no end in 0.1 s"


async def test_nobody_there_is_said_before_anything_is_sent() -> None:
    async with scripted() as server:
        target = server.target
    with pytest.raises(ServerUnreachableError, match="nobody answers at http://127"):
        await run(target, asks(), closed())


async def test_a_server_that_dies_leaves_errors_and_not_a_hot_loop() -> None:
    async def die(request: Request, peer: Peer) -> None:
        died.set()
        raise Hang

    died = asyncio.Event()
    async with scripted(die) as server:
        running = asyncio.create_task(ran(server, closed(duration_s=0.4)))
        await died.wait()
    found = await running
    assert {record.error for record in found.records} == {"connection"}
    assert 2 <= len(found.records) <= 5


async def test_a_server_that_refuses_is_not_asked_in_a_hot_loop() -> None:
    async def refuse(request: Request, peer: Peer) -> None:
        peer.whole("429 Too Many", b'{"error": {"message": "later"}}')

    async with scripted(refuse) as server:
        found = await ran(server, closed(2, duration_s=0.4))
    assert {record.error for record in found.records} == {"rate-limited"}
    assert 4 <= len(found.records) <= 10


async def test_a_load_that_cannot_be_is_refused() -> None:
    async with scripted() as server:
        with pytest.raises(BenchError, match="concurrency"):
            await ran(server, Load(kind="closed"))
    assert server.connections == 0


async def test_a_workload_that_fails_midway_fails_the_run() -> None:
    def some() -> Iterator[Ask]:
        for number in range(600):  # more than are made beforehand
            yield Ask(content=str(number))
        raise BenchError("line 601 is no request")

    async with scripted() as server:
        with pytest.raises(BenchError, match="line 601"):
            await run(server.target, some(), closed(4))


async def test_coordinated_omission_does_not_hide_a_stall() -> None:
    """While the server stalls, requests stay due: seen from when they were due all were slow,
    seen from when a bounded client got round to sending them only one was."""

    async def stall_once(request: Request, peer: Peer) -> None:
        if request.number == 0:
            await asyncio.sleep(0.4)
        await two_words(request, peer)

    load = Load(kind="constant", requests_per_s=100, duration_s=0.4, most_at_once=1)
    async with scripted(stall_once) as server:
        found = await ran(server, load)
    assert len(found.records) == 40
    felt = [record.ttft_ms for record in found.records if record.ttft_ms is not None]
    seen = [r.ttft_from_send_ms for r in found.records if r.ttft_from_send_ms is not None]
    assert statistics.median(felt) > 150
    assert statistics.median(seen) < 50
    assert found.health.held == 39
    assert (found.health.lag_p50_ms or 99) < 50, "waiting for the bound is no lag"


async def test_an_open_loop_sends_while_answers_are_out() -> None:
    release = asyncio.Event()

    async def hold(request: Request, peer: Peer) -> None:
        if request.number == 9:
            release.set()
        await release.wait()
        await two_words(request, peer)

    async with scripted(hold) as server:
        found = await ran(server, Load(kind="constant", requests_per_s=200, requests=10))
    assert [record.ok for record in found.records] == [True] * 10
    assert server.connections == 10


async def test_dispatch_is_on_time() -> None:
    async with scripted() as server:
        found = await ran(server, Load(kind="poisson", requests_per_s=100, duration_s=0.5, seed=1))
    assert found.health.lag_p50_ms is not None
    assert found.health.lag_p50_ms < 2
    assert found.sending_s == 0.5


async def test_warm_up_comes_first_and_on_top() -> None:
    async with scripted() as server:
        found = await ran(server, closed(requests=4, warmup_requests=2))
    assert [record.warmup for record in found.records] == [True, True, *[False] * 4]
    assert [record.index for record in found.records] == list(range(6))


async def test_a_session_sends_what_was_said() -> None:
    turns = [Ask(content=text, session="s", turn=n) for n, text in enumerate(("one", "two"))]
    async with scripted() as server:
        found = await run(server.target, turns, closed())
    assert [(record.session, record.turn) for record in found.records] == [("s", 0), ("s", 1)]
    assert server.requests[1].body["messages"] == [
        {"role": "user", "content": "one"},
        {"role": "assistant", "content": "Hello there"},
        {"role": "user", "content": "two"},
    ]
    first, second = found.records
    assert second.scheduled_s == first.ended_s


async def test_a_session_ends_with_an_error() -> None:
    async def refuse(request: Request, peer: Peer) -> None:
        peer.whole("500 Oh", b"")

    turns = [Ask(content="one", session="s", turn=number) for number in range(3)]
    async with scripted(refuse) as server:
        found = await run(server.target, turns, closed())
    assert (len(found.records), found.dropped_turns) == (1, 2)


async def test_what_waited_for_the_model_is_cold() -> None:
    loaded = asyncio.Event()

    async def load_first(request: Request, peer: Peer) -> None:
        if request.number == 2:
            loaded.set()
        await loaded.wait()
        await two_words(request, peer)

    async with scripted(load_first) as server:
        found = await run(server.target, asks(), closed(3, requests=9), cold=True)
    assert [record.cold for record in found.records] == [True] * 3 + [False] * 6


async def test_servers_own_times_are_kept() -> None:
    async def timed(request: Request, peer: Peer) -> None:
        peer.head(
            "Transfer-Encoding: chunked",
            "X-Pilotlight-TTFT-ms: 12.5",
            "x-pilotlight-queue-ms: much",
        )
        peer.token("Hi")
        peer.finish()

    async with scripted(timed) as server:
        found = await ran(server, closed(requests=1))
    assert (found.records[0].server_ttft_ms, found.records[0].server_queue_ms) == (12.5, None)


async def test_a_stop_keeps_what_was_measured() -> None:
    stop = asyncio.Event()

    async def hang_later(request: Request, peer: Peer) -> None:
        if request.number == 5:
            stop.set()
            await asyncio.get_running_loop().create_future()
        await two_words(request, peer)

    async with scripted(hang_later) as server:
        found = await run(server.target, asks(), closed(), stop=stop)
    assert (found.ended_by, len(found.records), found.unfinished) == ("stopped", 5, 1)
    assert found.wall_s <= found.sending_s


async def test_cancelling_leaves_nothing_open() -> None:
    arrived = asyncio.Event()

    async def hang(request: Request, peer: Peer) -> None:
        arrived.set()
        await asyncio.get_running_loop().create_future()

    async with scripted(hang) as server:
        running = asyncio.create_task(ran(server, closed(4)))
        await arrived.wait()
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running


async def test_a_watcher_sees_each_record_and_the_counts() -> None:
    seen: list[Record] = []
    ticks: list[Progress] = []
    async with scripted() as server:
        found = await run(
            server.target,
            asks(),
            Load(kind="constant", requests_per_s=50, duration_s=0.3),
            on_record=seen.append,
            on_tick=ticks.append,
            tick_s=0.05,
        )
    assert sorted(seen, key=lambda record: record.index) == list(found.records)
    assert len(ticks) >= 3
    assert all(0 <= tick.done <= tick.sent <= 15 for tick in ticks)
    assert ticks[-1].done > 0


async def test_a_watcher_that_fails_fails_the_run() -> None:
    def fail(record: Record) -> None:
        raise ValueError("a bug in the view")

    async with scripted() as server:
        with pytest.raises(ValueError, match="a bug in the view"):
            await run(server.target, asks(), closed(requests=3), on_record=fail)
