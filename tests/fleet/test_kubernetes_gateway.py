"""A whole gateway whose one model runs in pods: requests in, pods up and down, answers out."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from gateway.asgi import Client
from pilotlight import config
from pilotlight.fleet.kubernetes import Access, PodFleet
from pilotlight.gateway.assembly import House, build
from pilotlight.gateway.pods import fleet_of, look_after_pods
from pilotlight.machine import Machine
from pilotlight.testing import FakeFleet, FakeStore, VirtualClock

from .cluster import DEPLOYMENT, NAMESPACE, TOKEN, Cluster
from .pods import EnginePods, quiet, until

MACHINE = Machine("test cpu", 2, 8 * 2**30, (), frozenset({"avx2"}))
CHAT = "/v1/chat/completions"
KEEP_ALIVE_S = 60.0


def asked(**more: Any) -> dict[str, Any]:
    return {"model": "chat", "messages": [{"role": "user", "content": "Hi"}], **more}


class City:
    """A gateway, its cluster, and the servers in its pods."""

    def __init__(self, directory: Path, **model: Any) -> None:
        self.cluster = Cluster()
        self.engines = EnginePods()
        self.clock = VirtualClock()
        self.leaving = False
        self.directory = directory
        self._model = model
        self.house: House
        self.client: Client

    async def begin(self) -> None:
        await self.cluster.start()
        for number in range(2, 6):
            await self.engines.start(f"127.0.0.{number}")
        self.cluster.prompt = lambda number: f"127.0.0.{number + 1}"
        self.open()

    def open(self, name: str = "gw-1") -> None:
        """A gateway, or after `house.close` the next one."""
        options = {
            "deployment": DEPLOYMENT,
            "namespace": NAMESPACE,
            "port": self.engines.port,
            "api_key_env": "PODS_KEY",
            "max_concurrency": 1,
        }
        model = {
            "ref": "openai:smol",
            "engine": "kubernetes",
            "keep_alive": f"{KEEP_ALIVE_S}s",
            **self._model,
            "options": options,
        }
        file = self.directory / "pilotlight.yaml"
        file.write_text(
            yaml.safe_dump({"data_dir": str(self.directory), "memory": 2**30,
                            "models": {"chat": model}})
        )  # fmt: skip
        access = Access(self.cluster.url, NAMESPACE, token=lambda: TOKEN)
        self.leaving = False
        self.fleet = PodFleet(FakeFleet(), access, self.clock, lambda: self.leaving, name)
        settings = config.load(file, environ={})
        self.house = build(settings, MACHINE, self.fleet, store=FakeStore(), clock=self.clock)
        self.client = Client(self.house.app)
        look_after_pods(self.fleet, self.house.catalogue)
        self.house.begin()

    async def close(self) -> None:
        await self.house.close()
        await self.engines.stop()
        await self.cluster.stop()

    async def shut_down(self) -> None:
        """As after a SIGTERM."""
        self.leaving = True
        self.house.router.drain()
        await self.house.router.quiet()
        await self.house.close()

    @property
    def replicas(self) -> dict[str, str]:
        """State by id."""
        return {r.id: str(r.state) for r in self.house.router.state.replicas.values()}


@pytest.fixture
async def city(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[City]:
    monkeypatch.setenv("PODS_KEY", "pods-key")
    made = City(tmp_path, max=2)
    await made.begin()
    yield made
    await made.close()


async def test_a_request_brings_up_a_pod_and_time_takes_it_down(city: City) -> None:
    answer = await city.client.post(CHAT, asked())
    assert answer.status == 200, answer.body
    assert city.cluster.replicas == 1
    again = await city.client.post(CHAT, asked())
    assert again.status == 200
    assert city.cluster.replicas == 1
    await city.clock.run_for(KEEP_ALIVE_S)
    await until(lambda: city.cluster.replicas == 0)
    await until(lambda: not city.replicas)


async def test_its_cold_start_has_the_clusters_phases(city: City) -> None:
    city.cluster.prompt = None
    call = asyncio.ensure_future(city.client.post(CHAT, asked()))
    await until(lambda: city.cluster.pods)
    pod = city.cluster.only()
    await quiet(city.cluster)
    city.cluster.schedule(pod)
    await quiet(city.cluster)
    city.cluster.run(pod)
    await quiet(city.cluster)
    city.cluster.ready(pod)
    assert (await call).status == 200
    (start,) = city.house.performer.cold_starts
    assert [phase.name for phase in start.phases][-7:] == [
        "pod_created", "pod_scheduled", "pod_started", "pod_ready", "load", "warm_up",
        "first_token",
    ]  # fmt: skip


async def test_a_queue_brings_up_a_second_pod(city: City) -> None:
    city.engines.hold = asyncio.Event()
    first = city.client.begin("POST", CHAT, asked(stream=True))
    await until(lambda: first.chunks)
    second = city.client.begin("POST", CHAT, asked(stream=True))
    await until(lambda: second.chunks)
    assert city.cluster.replicas == 2
    city.engines.hold.set()
    await first.done()
    await second.done()


async def test_a_pod_told_to_go_finishes_and_the_next_request_has_another(city: City) -> None:
    city.engines.hold = asyncio.Event()
    first = city.client.begin("POST", CHAT, asked(stream=True))
    await until(lambda: first.chunks)
    old = city.cluster.only()
    city.cluster.tell_to_go(old)  # its Deployment makes another
    await until(lambda: "draining" in city.replicas.values())
    city.engines.hold.set()
    assert (await city.client.post(CHAT, asked())).status == 200
    await first.done()
    assert b"[DONE]" in b"".join(first.chunks), "what was in flight came to its end"
    city.cluster.remove(old)
    assert {address for address, path in city.engines.asked if path == CHAT} == {
        "127.0.0.2", "127.0.0.3",
    }  # fmt: skip
    model = city.house.router.state.models["chat"]
    assert (model.crashes, model.failure) == (0, None), "to be told to go is no crash"


async def test_a_killed_pod_is_an_error_to_one_and_not_to_the_next(city: City) -> None:
    city.engines.hold = asyncio.Event()
    first = city.client.begin("POST", CHAT, asked(stream=True))
    await until(lambda: first.chunks)
    await city.engines.kill("127.0.0.2")
    city.cluster.remove(city.cluster.only())
    await first.done()
    last = b"".join(first.chunks)
    assert b"engine_crashed" in last
    assert b"[DONE]" not in last
    city.engines.hold.set()
    assert (await city.client.post(CHAT, asked())).status == 200


@pytest.mark.parametrize("silent", [False, True], ids=["mid-answer", "before its headers"])
async def test_a_lost_node_ends_answers_that_would_never_come(city: City, silent: bool) -> None:
    city.engines.hold, city.engines.silent = asyncio.Event(), silent
    first = city.client.begin("POST", CHAT, asked(stream=True))
    await until(lambda: city.engines.streams and (silent or first.chunks))
    city.cluster.condition(city.cluster.only(), "Ready", "False")
    await first.done()
    assert b"engine_crashed" in first.body


async def test_a_gateway_that_shuts_down_leaves_its_pods_to_the_next(city: City) -> None:
    assert (await city.client.post(CHAT, asked())).status == 200
    uid = city.cluster.only()["metadata"]["uid"]
    await city.shut_down()
    assert city.cluster.replicas == 1
    city.open("gw-2")
    assert (await city.client.post(CHAT, asked())).status == 200
    assert city.cluster.only()["metadata"]["uid"] == uid
    await city.clock.run_for(KEEP_ALIVE_S)
    await until(lambda: city.cluster.replicas == 0)


@pytest.fixture
async def strict(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[City]:
    """A gateway that gives up at the first failure."""
    monkeypatch.setenv("PODS_KEY", "pods-key")
    made = City(tmp_path, load_timeout="30s", max_crashes=1)
    await made.begin()
    yield made
    await made.close()


async def test_what_is_wrong_in_the_cluster_reaches_whoever_asked(strict: City) -> None:
    strict.cluster.forbidden.add("patch deployments/scale")
    answer = await strict.client.post(CHAT, asked())
    assert answer.status == 503
    assert b"cannot patch resource" in answer.body


async def test_whoever_waits_in_vain_hears_where_the_start_stood(strict: City) -> None:
    strict.cluster.prompt = None
    call = asyncio.ensure_future(strict.client.post(CHAT, asked()))
    await until(lambda: strict.cluster.pods)
    words = "0/2 nodes are available: 2 Insufficient cpu."
    strict.cluster.condition(strict.cluster.only(), "PodScheduled", "False", words)
    await quiet(strict.cluster)
    strict.clock.advance(30.0)
    answer = await call
    assert answer.status == 503
    assert words.encode() in answer.body
    await until(lambda: strict.cluster.replicas == 0)


def test_without_a_model_in_pods_there_is_no_cluster_to_find(tmp_path: Path) -> None:
    local = FakeFleet()
    assert fleet_of(config.Settings(data_dir=tmp_path), local, lambda: False) is local
