"""From zero and back, and what happens to requests when pods, nodes and versions come and go."""

from __future__ import annotations

import asyncio
import time

import pytest

from .client import until
from .deployed import IDLE_S, SETTLED_S, Deployed, shown

pytestmark = pytest.mark.platforms


async def test_from_zero_on_a_request_and_back(deployed: Deployed) -> None:
    await deployed.zero()
    begun_s = time.monotonic()
    assert await deployed.client.chat()
    took_s = time.monotonic() - begun_s
    assert deployed.replicas() == 1
    deployed.note("first answer from zero pods", f"{took_s:.2f} s")
    deployed.note("its phases (ms)", shown(await deployed.phases_ms()))
    back_s = await deployed.zero()
    assert back_s < IDLE_S + SETTLED_S / 4
    deployed.note(
        f"back to zero after the last answer (keep_alive {IDLE_S:g} s)", f"{back_s:.1f} s"
    )


async def test_requests_at_once_are_one_cold_start(deployed: Deployed) -> None:
    await deployed.zero()
    answers = await asyncio.gather(*(deployed.client.chat() for _ in range(4)))
    assert all(answers)
    assert deployed.replicas() == 1
    assert len(deployed.pods(deployed.engine)) == 1


async def test_a_killed_pod(deployed: Deployed) -> None:
    """Who was being answered hears of it; whoever asks next is served by another."""
    await deployed.client.chat()
    (pod,) = deployed.pods(deployed.engine)
    begun = asyncio.Event()
    victim = asyncio.ensure_future(deployed.client.stream(1500, begun))
    await begun.wait()
    words = ("delete", "pod", pod["metadata"]["name"], "-n", deployed.namespace)
    await asyncio.to_thread(
        deployed.cluster.kubectl, *words, "--grace-period=0", "--force", "--wait=false"
    )
    killed_s = time.monotonic()
    events = await victim
    assert events[-1].get("error", {}).get("code") == "engine_crashed", events[-1]
    told_s = time.monotonic() - killed_s
    assert await deployed.client.chat()
    deployed.note("killed pod: its client is told", f"{told_s:.2f} s")
    deployed.note("killed pod: the next answer", f"{time.monotonic() - killed_s:.2f} s")
    (other,) = deployed.pods(deployed.engine)
    assert other["metadata"]["uid"] != pod["metadata"]["uid"]


async def test_a_rolling_update_of_the_engine_fails_no_request(deployed: Deployed) -> None:
    await deployed.client.chat()
    before = {pod["metadata"]["uid"] for pod in deployed.pods(deployed.engine)}
    async with deployed.client.traffic(2) as tally:
        await deployed.roll(deployed.engine)
        await until(lambda: _are_others(deployed, deployed.engine, before), SETTLED_S)
        answered = tally.answered
        await until(lambda: tally.answered > answered + 4, SETTLED_S)
    assert tally.failures == []
    assert deployed.replicas() == 1
    deployed.note(
        "rolling update of the engine",
        f"{tally.answered} requests, none failed, the slowest {tally.longest_s:.2f} s",
    )


async def test_a_rolling_update_of_the_gateway_fails_no_request(deployed: Deployed) -> None:
    """The next one uses the pods of the last one: no cold start, and no second pod."""
    await deployed.client.chat()
    engines = {pod["metadata"]["uid"] for pod in deployed.pods(deployed.engine)}
    before = {pod["metadata"]["uid"] for pod in deployed.pods(deployed.gateway)}
    async with deployed.client.traffic(2) as tally:
        await deployed.roll(deployed.gateway)
        await until(lambda: _are_others(deployed, deployed.gateway, before), SETTLED_S)
        answered = tally.answered
        await until(lambda: tally.answered > answered + 4, SETTLED_S)
    assert tally.failures == []
    assert {pod["metadata"]["uid"] for pod in deployed.pods(deployed.engine)} == engines
    deployed.note(
        "rolling update of the gateway",
        f"{tally.answered} requests, none failed, the slowest {tally.longest_s:.2f} s",
    )
    await deployed.zero()


def _are_others(deployed: Deployed, deployment: str, before: set[str]) -> bool:
    return not before & {pod["metadata"]["uid"] for pod in deployed.pods(deployment)}
