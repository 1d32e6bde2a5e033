"""LoRA adapters as ``model:adapter``: declared or added while serving, checked before use."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from pilotlight.core import ReplicaState
from pilotlight.errors import ConfigError

from .asgi import Call, turn
from .conftest import Build
from .house import Street

DRAINING = ReplicaState.DRAINING
ADAPTERS = "/pilotlight/v1/adapters"


def tuned(lora: str = "live", **model: Any) -> dict[str, dict[str, Any]]:
    options = {"lora": lora, **model.pop("options", {})}
    return {"m": {"options": options, **model}}


def add(s: Street, adapter: str = "a", ref: str | None = None, **fields: Any) -> Call:
    ref = f"fake:{adapter}" if ref is None else ref
    body = {"model": "m", "adapter": adapter, "ref": ref, **fields}
    return s.client.begin("POST", ADAPTERS, body)


async def remove(s: Street, name: str = "m:a") -> Call:
    return await s.client.begin("DELETE", f"{ADAPTERS}/{name}").done()


async def listed(s: Street) -> list[str]:
    return [model["id"] for model in (await s.client.get("/v1/models")).json["data"]]


async def states(s: Street) -> dict[str, str]:
    found = (await s.client.get(ADAPTERS)).json["adapters"]
    return {item["id"]: item["state"] for item in found}


async def said(s: Street, model: str) -> str:
    answer = await s.client.chat(model).done()
    assert answer.status == 200, answer.json
    assert answer.json["model"] == model
    return str(answer.json["choices"][0]["message"]["content"])


async def test_a_declared_adapter_answers_otherwise_than_its_model(street: Build) -> None:
    s = await street(tuned(adapters={"a": "fake:a", "b": {"ref": "fake:b"}}))
    answers = {await said(s, name) for name in ("m", "m:a", "m:b")}
    assert len(answers) == 3
    assert await listed(s) == ["m", "m:a", "m:b"]
    one = (await s.client.get("/v1/models/m:a")).json
    assert (one["id"], one["parent"]) == ("m:a", "m")
    assert len(s.fleet.processes) == 1


@pytest.mark.parametrize("lora", ["live", "reload"])
async def test_one_added_while_serving_is_there_once_the_call_answers(
    street: Build, lora: str
) -> None:
    s = await street(tuned(lora))
    before = await said(s, "m")
    answer = await add(s).done()
    assert (answer.status, answer.json["state"]) == (200, "ready")
    assert await said(s, "m:a") != before == await said(s, "m")
    assert "m:a" in await listed(s)
    assert len(s.fleet.alive) == 1
    assert len(s.fleet.processes) == (1 if lora == "live" else 2)


async def test_a_successor_is_up_before_the_old_replica_leaves(street: Build) -> None:
    s = await street(tuned("reload"))
    await said(s, "m")
    s.fleet.hold("load")
    adding = add(s)
    fresh = await s.fleet.launched(2)
    await fresh.reached("load")
    assert await said(s, "m")
    refused = await s.client.chat("m:a").done()
    assert (refused.status, refused.json["error"]["code"]) == (503, "adapter_not_ready")
    assert await listed(s) == ["m"]
    assert await states(s) == {"m:a": "loading"}
    assert adding.status is None
    fresh.release("load")
    assert (await adding.done()).status == 200
    await turn()
    assert s.fleet.alive == [fresh]
    assert await said(s, "m:a")


async def test_without_room_for_both_the_queue_waits_for_the_successor(street: Build) -> None:
    s = await street(tuned("reload", options={"ram_bytes": 700 * 2**20}, min=1))
    s.fleet.processes[0].hold("token:1")
    running = s.client.chat()
    await s.fleet.processes[0].reached("token:1")
    adding = add(s)
    replicas = s.house.router.state.replicas
    await s.house.router.until(lambda: all(r.state is DRAINING for r in replicas.values()))
    waiting = s.client.chat("m:a")
    await turn()
    assert waiting.status is None
    assert len(s.fleet.processes) == 1
    s.fleet.processes[0].release("token:1")
    assert (await running.done()).status == 200
    assert (await adding.done()).status == 200
    assert (await waiting.done()).status == 200
    assert s.fleet.alive == s.fleet.processes[1:]


async def test_what_is_in_hand_is_finished_by_who_has_it(street: Build) -> None:
    s = await street(tuned("reload"))
    await said(s, "m")
    old = s.fleet.processes[0]
    old.hold("token:2")
    stream = s.client.chat(stream=True)
    await old.reached("token:2")
    assert (await add(s).done()).status == 200
    assert old.alive
    old.release("token:2")
    assert (await stream.done()).events[-1] == "[DONE]"
    await turn()
    assert not old.alive


@pytest.mark.parametrize("lora", ["live", "reload"])
async def test_one_removed_is_refused_at_once(street: Build, lora: str) -> None:
    s = await street(tuned(lora))
    await said(s, "m")
    await add(s).done()
    answer = await remove(s)
    assert (answer.status, answer.json) == (200, {"id": "m:a", "removed": True})
    refused = await s.client.chat("m:a").done()
    assert refused.status == 404
    assert "m" in refused.json["error"]["message"]
    assert await listed(s) == ["m"]
    await said(s, "m")
    again = await add(s).done()
    assert again.status == 200
    assert await said(s, "m:a")


async def test_what_was_added_is_there_after_a_restart(street: Build, tmp_path: Path) -> None:
    s = await street(tuned())
    await add(s).done()
    await add(s, "b").done()
    await remove(s, "m:b")
    await s.house.close()
    again = await street(tuned())
    assert await listed(again) == ["m", "m:a"]
    assert await said(again, "m:a") != await said(again, "m")
    kept = json.loads((tmp_path / "adapters.json").read_text())
    assert kept == {"m": {"a": {"ref": "fake:a", "digest": None}}}


async def test_a_wrong_one_is_refused_before_it_touches_traffic(street: Build) -> None:
    s = await street(tuned())
    await said(s, "m")
    answer = await add(s, "bad").done()
    assert (answer.status, answer.json["error"]["code"]) == (400, "bad_adapter")
    assert "another model" in answer.json["error"]["message"]
    assert await listed(s) == ["m"]
    assert await states(s) == {}
    assert (await s.client.chat("m:bad").done()).status == 404
    assert await said(s, "m")


async def test_one_that_only_the_engine_refuses_is_taken_back(street: Build) -> None:
    s = await street(tuned())
    await said(s, "m")
    await add(s).done()
    answer = await add(s, "odd").done()
    assert answer.status == 400
    assert "no weights" in answer.json["error"]["message"]
    assert await states(s) == {"m:a": "ready"}
    assert await said(s, "m:a") != await said(s, "m")
    assert len(s.fleet.processes) == 1


async def test_one_that_its_engine_does_not_start_with_leaves_the_old_serving(
    street: Build,
) -> None:
    s = await street(tuned("reload"))
    await said(s, "m")
    s.fleet.fail_launch = "out of memory"
    answer = await add(s).done()
    assert (answer.status, answer.json["error"]["code"]) == (400, "bad_adapter")
    s.fleet.fail_launch = None
    assert await states(s) == {}
    assert await said(s, "m")


async def test_a_declared_wrong_one_costs_its_model_nothing(street: Build) -> None:
    s = await street(tuned(adapters={"bad": "fake:bad", "a": "fake:a"}))
    assert await said(s, "m")
    assert await said(s, "m:a")
    refused = await s.client.chat("m:bad").done()
    assert (refused.status, refused.json["error"]["code"]) == (400, "bad_adapter")
    assert await listed(s) == ["m", "m:a"]
    found = (await s.client.get(ADAPTERS)).json["adapters"]
    by_name = {item["adapter"]: item for item in found}
    assert by_name["bad"]["state"] == "failed"
    assert "another model" in by_name["bad"]["error"]
    assert by_name["bad"]["declared"]


async def test_one_whose_bytes_cannot_be_had_is_told_and_tried_again_when_added(
    street: Build,
) -> None:
    s = await street(tuned(adapters={"a": "fake:a"}), absent=["a"])
    s.store.fail = "no such file"
    assert await said(s, "m")
    assert await states(s) == {"m:a": "failed"}
    s.store.fail = None
    assert (await add(s).done()).status == 200
    assert await said(s, "m:a")


async def test_its_bytes_are_fetched_before_the_first_load(street: Build) -> None:
    s = await street(tuned(adapters={"a": "fake:a"}), absent=["m", "a"])
    assert await states(s) == {"m:a": "absent"}
    assert await said(s, "m:a") != await said(s, "m")
    assert s.store.fetched == ["m", "a"]


async def test_an_alias_names_adapters_too_and_so_does_latest(street: Build) -> None:
    s = await street(tuned(aliases=["gpt"], adapters={"a": "fake:a"}))
    answer = await s.client.chat("gpt:a").done()
    assert answer.json["model"] == "m:a"
    assert answer.headers["x-pilotlight-model"] == "m:a"
    same = (await s.client.chat("m:a").done()).json["choices"]
    assert answer.json["choices"] == same
    assert (await s.client.chat("m:latest:a").done()).json["choices"] == same


@pytest.mark.parametrize("path", ["/v1/messages", "/v1/responses", "/v1/completions", "/api/chat"])
async def test_every_surface_that_generates_reaches_it(street: Build, path: str) -> None:
    s = await street(tuned(adapters={"a": "fake:a"}))
    bodies: dict[str, dict[str, Any]] = {
        "/v1/messages": {"max_tokens": 8, "messages": [{"role": "user", "content": "hi"}]},
        "/v1/responses": {"input": "hi"},
        "/v1/completions": {"prompt": "hi"},
        "/api/chat": {"stream": False, "messages": [{"role": "user", "content": "hi"}]},
    }
    plain, laid = [
        (await s.client.post(path, {"model": name, **bodies[path]})) for name in ("m", "m:a")
    ]
    assert (plain.status, laid.status) == (200, 200)
    assert laid.json["model"] == "m:a"
    dull = {"id", "created", "created_at", "model"}
    shown = [{k: v for k, v in call.json.items() if k not in dull} for call in (plain, laid)]
    assert str(shown[0]) != str(shown[1])


async def test_what_an_adapter_does_not_do_is_refused_by_name(street: Build) -> None:
    s = await street(tuned(adapters={"a": "fake:a"}))
    plain = await s.client.post("/v1/embeddings", {"model": "m", "input": "hi"})
    assert plain.status == 200
    refused = await s.client.post("/v1/embeddings", {"model": "m:a", "input": "hi"})
    assert (refused.status, refused.json["error"]["code"]) == (400, "unsupported_operation")
    assert "'m:a'" in refused.json["error"]["message"]


async def test_a_model_whose_engine_takes_none_says_so(street: Build) -> None:
    s = await street({"m": {}})
    answer = await add(s).done()
    assert (answer.status, answer.json["error"]["code"]) == (400, "bad_adapter")
    assert "takes no adapters" in answer.json["error"]["message"]


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"adapter": "a b"}, "adapter"),
        ({"adapter": 3}, "adapter"),
        ({"adapter": "taken"}, "adapter"),
        ({"model": "nobody"}, "model"),
        ({"ref": ""}, "adapter"),
        ({"ref": "ftp:x"}, "adapter"),
        ({"digest": "sha256:12"}, "adapter"),
        ({"scale": 2}, "scale"),
    ],
)
async def test_bad_requests_to_add_name_the_field(
    street: Build, fields: dict[str, Any], param: str
) -> None:
    s = await street({**tuned(), "m:taken": {}})
    answer = await add(s, **{"adapter": "a", **fields}).done()
    assert 400 <= (answer.status or 0) < 500
    assert answer.json["error"]["param"] == param, answer.json
    assert await states(s) == {}


async def test_the_same_again_is_fine_and_another_under_its_name_is_not(street: Build) -> None:
    s = await street(tuned(adapters={"d": "fake:d"}))
    await add(s).done()
    assert (await add(s).done()).status == 200
    other = await add(s, ref="fake:other").done()
    assert (other.status, other.json["error"]["code"]) == (409, "adapter_conflict")
    declared = await remove(s, "m:d")
    assert (declared.status, declared.json["error"]["code"]) == (409, "adapter_conflict")
    assert "configuration file" in declared.json["error"]["message"]
    assert (await remove(s, "m")).status == 404
    assert (await remove(s, "m:zzz")).status == 404


async def test_a_client_that_leaves_stops_nothing(street: Build) -> None:
    s = await street(tuned("reload"))
    await said(s, "m")
    s.fleet.hold("load")
    call = add(s)
    fresh = await s.fleet.launched(2)
    await fresh.reached("load")
    call.leave()
    await turn()
    fresh.release("load")
    await asyncio.wait_for(s.house.router.until(lambda: len(s.house.router.state.replicas) == 1), 5)
    assert await states(s) == {"m:a": "ready"}


async def test_changes_in_one_go_arrive_all(street: Build) -> None:
    s = await street(tuned())
    await said(s, "m")
    calls = [add(s, f"a{number}") for number in range(5)]
    assert [(await call.done()).status for call in calls] == [200] * 5
    answers = {await said(s, f"m:a{number}") for number in range(5)}
    assert len(answers) == 5


async def test_a_sleeping_replica_wakes_with_what_came_meanwhile(street: Build) -> None:
    s = await street(tuned("reload", sleep_after="5s", keep_alive="1h"))
    await said(s, "m")
    await s.clock.run_for(6)
    assert (await add(s).done()).status == 200
    assert await said(s, "m:a")
    assert len(s.fleet.processes) == 1


async def test_its_memory_is_counted(street: Build) -> None:
    s = await street(tuned(adapters={"a": "fake:a"}))
    shown = (await s.client.get("/pilotlight/v1/models")).json["models"][0]
    assert shown["predicted_bytes"] == 16 * 2**20 + 2**20


async def test_unreadable_kept_adapters_are_an_error_not_an_empty_list(
    street: Build, tmp_path: Path
) -> None:
    (tmp_path / "adapters.json").write_text("{")
    with pytest.raises(ConfigError, match=r"adapters\.json"):
        await street(tuned())


@pytest.mark.parametrize(
    "models",
    [
        {"m": {"adapters": {"a": "fake:a"}}, "m:a": {}},
        {"m": {"adapters": {"a b": "fake:a"}}},
        {"m": {"adapters": {"a": {"ref": "fake:a", "scale": 1}}}},
        {"m": {"adapters": {"a": {}}}},
        {"m": {"adapters": {"a": "ftp:x"}}},
    ],
)
async def test_declarations_that_make_no_sense_are_errors(
    street: Build, models: dict[str, Any]
) -> None:
    with pytest.raises(Exception, match=r"adapter|m:a|ftp"):
        await street(models)


async def test_a_stream_names_the_adapter_and_leaves_what_was_said_alone(street: Build) -> None:
    s = await street(tuned(adapters={"a": "fake:a"}))
    said_name = 'echo {"model":"m"}'
    plain = await s.client.chat("m", said_name, stream=True).done()
    laid = await s.client.chat("m:a", said_name, stream=True).done()
    names = {event["model"] for event in laid.events[:-1]}
    assert names == {"m:a"}
    assert laid.events[-1] == "[DONE]"
    assert {event["model"] for event in plain.events[:-1]} == {"m"}
    assert "m:a" not in laid.text
