"""The target's verbs on a cluster that is really there."""

from __future__ import annotations

import asyncio
import itertools
import time

import pytest

from pilotlight.deploy.kubernetes.verbs import KubernetesTarget
from pilotlight.deploy.resources import changes

from .deployed import Deployed

pytestmark = pytest.mark.platforms


async def test_what_was_applied_is_what_is_wanted(deployed: Deployed) -> None:
    kubernetes = KubernetesTarget()
    live = kubernetes.live(deployed.release)
    assert list(changes(live, kubernetes.wanted(deployed.release))) == []


async def test_applying_it_again_changes_nothing(deployed: Deployed) -> None:
    """A scale that the gateway has set since is none of `apply`'s business."""
    await deployed.client.chat()
    before = {pod["metadata"]["uid"] for pod in deployed.pods(deployed.engine)}
    kubernetes = KubernetesTarget()
    wanted = kubernetes.wanted(deployed.release)
    todo = list(changes(kubernetes.live(deployed.release), wanted))
    async with deployed.client.traffic(1) as tally:  # or the gateway would take it to zero
        await asyncio.to_thread(kubernetes.apply, deployed.release, todo, lambda line: None)
        assert deployed.replicas() == 1
        assert {pod["metadata"]["uid"] for pod in deployed.pods(deployed.engine)} == before
    assert tally.failures == []


async def test_status_says_what_is_there(deployed: Deployed) -> None:
    await deployed.client.chat()
    status = KubernetesTarget().status(deployed.release)
    assert status.state == "ready"
    assert status.url == deployed.client.url
    assert status.instances == 1
    assert status.image == deployed.release.image


async def test_logs_of_gateway_and_engine(deployed: Deployed) -> None:
    await deployed.client.chat()
    lines = KubernetesTarget().logs(deployed.release, since_s=600, follow=False)
    found = "\n".join(itertools.islice(lines, 5000))
    assert "/v1/chat/completions 200" in found
    assert f"pod/{deployed.engine}" in found


async def test_cool_makes_the_next_request_a_cold_start(deployed: Deployed) -> None:
    await deployed.client.chat()
    KubernetesTarget().cool(deployed.release, lambda line: None)
    assert deployed.pods(deployed.engine) == []
    begun_s = time.monotonic()
    assert await deployed.client.chat()
    deployed.note("first answer after `cool`", f"{time.monotonic() - begun_s:.2f} s")


async def test_pods_are_as_restricted_as_the_cluster_can_ask(deployed: Deployed) -> None:
    """The cluster here is older than Pod Security admission: what it would look at, we do."""
    await deployed.client.chat()
    for pod in deployed.pods(deployed.engine) + deployed.pods(deployed.gateway):
        spec = pod["spec"]
        assert spec["securityContext"]["runAsNonRoot"] is True
        assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        for container in spec["containers"]:
            assert container["securityContext"]["allowPrivilegeEscalation"] is False
            assert container["securityContext"]["readOnlyRootFilesystem"] is True
            assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}


async def test_an_engine_refuses_whoever_is_not_the_gateway(deployed: Deployed) -> None:
    """No NetworkPolicy is enforced here: its own key is what keeps strangers out."""
    await deployed.client.chat()
    (pod,) = deployed.pods(deployed.engine)
    from aiohttp import ClientSession

    url = f"http://{pod['status']['podIP']}:8080/v1/models"
    async with ClientSession() as session:
        async with session.get(url) as response:
            assert response.status == 401
        key = {"Authorization": f"Bearer {deployed.client.key}"}
        async with session.get(url, headers=key) as response:
            assert response.status == 401, "a user's key is good for the gateway alone"
