"""The life of a model through the public edge: one load, idle to zero, crashes, drain."""

from __future__ import annotations

import asyncio

from pilotlight.errors import DrainingError

from .asgi import turn
from .conftest import Build


async def test_a_cold_model_answers_and_echoes_its_name(street: Build) -> None:
    s = await street()
    answer = await s.client.chat().done()
    assert answer.status == 200
    assert answer.json["model"] == "m"
    assert answer.json["choices"][0]["message"]["content"]
    assert answer.headers["x-pilotlight-replica"] == "m-1"
    assert float(answer.headers["x-pilotlight-ttft-ms"]) >= 0


async def test_one_load_however_many_wait_and_it_outlives_who_leaves(street: Build) -> None:
    s = await street()
    s.fleet.hold("load")
    calls = [s.client.chat() for _ in range(5)]
    process = await s.fleet.launched(1)
    await process.reached("load")
    calls[0].leave()
    await turn()
    assert calls[0].status is None
    process.release("load")
    answers = [await call.done() for call in calls[1:]]
    assert [answer.status for answer in answers] == [200] * 4
    assert len(s.fleet.processes) == 1


async def test_the_only_waiter_leaves_and_the_load_goes_on(street: Build) -> None:
    s = await street()
    s.fleet.hold("load")
    call = s.client.chat()
    process = await s.fleet.launched(1)
    call.leave()
    await turn()
    process.release("load")
    await turn()
    ps = (await s.client.get("/pilotlight/v1/ps")).json
    assert ps["models"][0]["state"] == "ready"


async def test_idle_goes_to_zero_and_wakes_on_a_request(street: Build) -> None:
    s = await street({"m": {"keep_alive": "60s"}})
    await s.client.chat().done()
    await s.clock.run_for(59)
    assert len(s.fleet.alive) == 1
    await s.clock.run_for(2)
    assert s.fleet.alive == []
    assert (await s.client.chat().done()).status == 200
    assert len(s.fleet.processes) == 2


async def test_keep_alive_of_a_request_rules_until_the_next(street: Build) -> None:
    s = await street({"m": {"keep_alive": "60s"}})
    assert (await s.client.chat(keep_alive="10m").done()).status == 200
    await s.clock.run_for(300)
    assert len(s.fleet.alive) == 1
    await s.client.chat().done()
    await s.clock.run_for(61)
    assert s.fleet.alive == []
    await s.client.chat(keep_alive=0).done()
    await turn()
    assert s.fleet.alive == []


async def test_min_is_up_without_a_request_and_ready_says_so(street: Build) -> None:
    s = await street({"m": {"min": 1, "keep_alive": "1s"}})
    assert (await s.client.get("/ready")).status == 200
    await s.clock.run_for(100)
    assert len(s.fleet.alive) == 1


async def test_ready_waits_for_min(street: Build) -> None:
    s = await street({"m": {"min": 1}}, begin=False, absent=("m",))
    s.store.hold_back("m")
    s.house.begin()
    await turn()
    answer = await s.client.get("/ready")
    assert answer.status == 503
    assert answer.json == {"status": "loading", "models": ["m"]}
    assert (await s.client.get("/health")).status == 200


async def test_asleep_frees_memory_and_wakes_in_the_same_process(street: Build) -> None:
    s = await street({"m": {"sleep_after": "10s", "keep_alive": "1h"}})
    await s.client.chat().done()
    before = await s.metric("pilotlight_memory_bytes", kind="charged")
    await s.clock.run_for(11)
    assert (await s.client.get("/pilotlight/v1/ps")).json["models"][0]["state"] == "asleep"
    assert await s.metric("pilotlight_memory_bytes", kind="charged") < before
    assert (await s.client.chat().done()).status == 200
    assert len(s.fleet.processes) == 1
    starts = (await s.client.get("/pilotlight/v1/cold-starts")).json["cold_starts"]
    assert [start["rung"] for start in starts] == ["cold", "asleep"]


async def test_standby_is_taken_and_replaced(street: Build) -> None:
    s = await street({"m": {"standby": 1}})
    assert len(s.fleet.processes) == 1
    await s.client.chat().done()
    await turn()
    assert len(s.fleet.processes) == 2, "a new one stands by"
    starts = (await s.client.get("/pilotlight/v1/cold-starts")).json["cold_starts"]
    assert starts[0]["rung"] == "standby"
    assert [phase["name"] for phase in starts[0]["phases"]] == [
        "claim",
        "process_start",
        "load",
        "warm_up",
        "first_token",
    ]


async def test_stop_and_load_by_command(street: Build) -> None:
    s = await street({"m": {"min": 1}})
    stopped = await s.client.post("/pilotlight/v1/stop", {"model": "m"})
    assert stopped.json == {"model": "m", "stopped": 1}
    await turn()
    assert s.fleet.alive == []
    assert (await s.client.get("/ready")).status == 200, "it is down because somebody said so"
    loaded = await s.client.post("/pilotlight/v1/load", {"model": "m"})
    assert (loaded.status, loaded.json["state"]) == (200, "ready")


async def test_looking_wakes_nothing(street: Build) -> None:
    s = await street()
    for path in (
        "/health", "/ready", "/metrics", "/v1/models", "/v1/models/m", "/api/tags", "/api/ps",
        "/pilotlight/v1/ps", "/pilotlight/v1/models", "/pilotlight/v1/cold-starts",
    ):  # fmt: skip
        assert (await s.client.get(path)).status == 200, path
    assert (await s.client.post("/api/show", {"model": "m"})).status == 200
    assert s.fleet.processes == []


async def test_a_known_model_whose_files_are_elsewhere_is_fetched_not_404(street: Build) -> None:
    s = await street(absent=("m",))
    answer = await s.client.chat().done()
    assert answer.status == 200
    assert s.store.fetched == ["m"]


async def test_a_failed_fetch_says_why_and_the_next_request_tries_again(street: Build) -> None:
    s = await street(absent=("m",))
    s.store.fail = "the hub is on fire"
    answer = await s.client.chat().done()
    assert answer.status == 503
    assert "the hub is on fire" in answer.json["error"]["message"]
    s.store.fail = None
    again = s.client.chat()
    await s.clock.run_for(5)
    assert (await again.done()).status == 200


async def test_killed_mid_stream_ends_in_an_error_event_and_the_queue_is_served(
    street: Build,
) -> None:
    s = await street({"m": {"options": {"parallel": 1}}})
    s.fleet.hold("token:3")
    broken = s.client.chat(stream=True)
    process = await s.fleet.launched(1)
    await process.reached("token:3")
    queued = s.client.chat(stream=True)
    await turn()
    s.fleet.release("token:3")
    process.kill()
    await broken.done()
    assert broken.status == 200
    assert broken.events[-1]["error"]["code"] == "engine_crashed"
    assert "[DONE]" not in broken.events
    await queued.done()
    assert queued.events[-1] == "[DONE]"
    assert len(s.fleet.processes) == 2
    assert await s.metric("pilotlight_broken_streams_total", model="m") == 1


async def test_repeated_crashes_end_with_the_engines_last_words(street: Build) -> None:
    s = await street({"m": {"options": {"fail_load": "no room for spoons"}, "max_crashes": 3}})
    call = s.client.chat()
    await s.clock.run_for(10)
    await call.done()
    assert call.status == 503
    assert call.json["error"]["code"] == "engine_gone"
    assert "no room for spoons" in call.json["error"]["message"]
    assert len(s.fleet.processes) == 3
    ps = (await s.client.get("/pilotlight/v1/ps")).json["models"][0]
    assert ps["state"] == "failed"
    assert "no room for spoons" in ps["error"]
    assert (await s.client.chat().done()).status == 503
    assert len(s.fleet.processes) == 3, "given up means given up"


async def test_a_stalled_engine_is_restarted(street: Build) -> None:
    s = await street({"m": {"stall": "60s", "options": {"stall_after": 2}}})
    call = s.client.chat(stream=True, max_tokens=8)
    await s.clock.run_for(200)
    await call.done()
    assert call.events[-1]["error"]["code"] in ("engine_crashed", "engine_stalled")
    assert not s.fleet.processes[0].alive


async def test_silence_is_no_stall_while_nothing_is_asked(street: Build) -> None:
    s = await street({"m": {"stall": "60s", "keep_alive": "forever"}})
    await s.client.chat().done()
    await s.clock.run_for(10_000)
    assert s.fleet.processes[0].alive


async def test_a_load_that_never_ends_is_given_up(street: Build) -> None:
    s = await street({"m": {"load_timeout": "30s", "max_crashes": 1}})
    s.fleet.hold("load")
    call = s.client.chat()
    await s.clock.run_for(40)
    await call.done()
    assert call.status == 503
    assert "30 s" in call.json["error"]["message"]
    assert s.fleet.alive == []


async def test_who_leaves_mid_stream_frees_the_slot_on_the_engine(street: Build) -> None:
    s = await street()
    s.fleet.hold("token:2")
    call = s.client.chat(stream=True)
    process = await s.fleet.launched(1)
    await process.reached("token:2")
    assert process.busy_slots == 1
    call.leave()
    await turn()
    assert process.busy_slots == 0
    assert process.open_exchanges == []
    assert await s.metric("pilotlight_cancelled_total", model="m") == 1
    assert await s.metric("pilotlight_in_flight", model="m", replica="m-1") == 0


async def test_drain_finishes_streams_and_refuses_newcomers(street: Build) -> None:
    s = await street()
    s.fleet.hold("token:2")
    running = s.client.chat(stream=True)
    process = await s.fleet.launched(1)
    await process.reached("token:2")
    s.house.router.drain()
    refused = await s.client.chat().done()
    assert refused.status == 503
    assert refused.json["error"]["code"] == DrainingError.code
    assert (await s.client.get("/ready")).json == {"status": "draining"}
    process.release("token:2")
    await running.done()
    assert running.events[-1] == "[DONE]"
    await asyncio.wait_for(s.house.router.quiet(), 5)
    assert s.fleet.alive == []


async def test_two_models_one_memory(street: Build) -> None:
    size = 600 * 2**20
    s = await street({name: {"options": {"ram_bytes": size}} for name in ("a", "b")})
    assert (await s.client.chat("a").done()).status == 200
    assert (await s.client.chat("b").done()).status == 200
    states = {
        m["name"]: m["state"] for m in (await s.client.get("/pilotlight/v1/ps")).json["models"]
    }
    assert states == {"a": "cold", "b": "ready"}
    assert await s.metric("pilotlight_evictions_total", model="a") == 1


async def test_a_busy_model_is_not_evicted(street: Build) -> None:
    size = 600 * 2**20
    s = await street(
        {name: {"options": {"ram_bytes": size}} for name in ("a", "b")}, swap_patience="10s"
    )
    s.fleet.hold("token:2")
    busy = s.client.chat("a", stream=True)
    process = await s.fleet.launched(1)
    await process.reached("token:2")
    other = s.client.chat("b")
    await s.clock.run_for(60)
    assert process.alive
    assert other.status is None
    s.fleet.release("token:2")
    process.release("token:2")
    await busy.done()
    assert busy.events[-1] == "[DONE]"
    await other.done()
    assert other.status == 200


async def test_what_cannot_fit_is_refused_with_what_would(street: Build) -> None:
    s = await street({"m": {"options": {"ram_bytes": 2 * 2**30}}})
    answer = await s.client.chat().done()
    assert answer.status == 507
    assert "2.00 GiB" in answer.json["error"]["message"]
    assert s.fleet.processes == []


async def test_the_measured_peak_is_remembered_across_restarts(street: Build) -> None:
    models = {"m": {"options": {"ram_bytes": 2**24, "measured_ram_bytes": 2**26}}}
    s = await street(models)
    await s.client.chat().done()
    replica = (await s.client.get("/pilotlight/v1/ps")).json["models"][0]["replicas"][0]
    assert replica["predicted_bytes"] == 2**24
    assert replica["charged_bytes"] > 2**26
    again = await street(models)
    served = again.house.catalogue.served("m")
    assert served is not None
    assert served.ram_bytes == replica["charged_bytes"]
