"""The fleet of pods against an API server that grants nothing it was not asked for rightly."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from pilotlight.errors import EngineStartError, EngineUnreachableError, PilotlightError
from pilotlight.fleet.kubernetes.leases import LEASE_S, RENEW_S
from pilotlight.fleet.kubernetes.pool import LOOK_S
from pilotlight.fleet.kubernetes.process import PodProcess
from pilotlight.testing import VirtualClock

from .cluster import Cluster
from .pods import PODS, Gateway, gateway, quiet, until

CLAIM = "claim.pilotlight.dev/gw-1"


@pytest.fixture
async def cluster() -> AsyncIterator[Cluster]:
    made = Cluster()
    await made.start()
    yield made
    await made.stop()


@pytest.fixture
async def gate(cluster: Cluster) -> AsyncIterator[Gateway]:
    async with gateway(cluster) as made:
        yield made


def promptly(cluster: Cluster) -> None:
    cluster.prompt = lambda number: f"127.0.0.{number + 1}"


# From zero


async def test_from_zero_to_a_ready_pod_step_by_step(cluster: Cluster, gate: Gateway) -> None:
    process = await gate.launch()
    await until(lambda: cluster.pods)
    assert cluster.replicas == 1
    pod = cluster.only()
    await until(lambda: gate.stages == ["pod_created", "pod_scheduled"])
    assert "has no node yet" in process.last_words()
    cluster.schedule(pod)
    await until(lambda: gate.stages[1:] == ["pod_scheduled", "pod_started"])
    assert "pulls its image" in process.last_words()
    cluster.run(pod)
    await until(lambda: gate.stages[2:] == ["pod_started", "pod_ready"])
    assert "runs and is not ready" in process.last_words()
    cluster.ready(pod)
    assert await process.receive() == {"state": "ready"}
    assert gate.stages[3:] == ["pod_ready", "load"]
    assert process.alive
    assert CLAIM in cluster.annotations(pod)


async def test_a_second_replica_is_a_second_pod(cluster: Cluster, gate: Gateway) -> None:
    promptly(cluster)
    first, second = await gate.ready(), await gate.ready()
    assert cluster.replicas == 2
    assert first.pod is not None
    assert second.pod is not None
    assert first.pod.address != second.pod.address


async def test_two_launches_at_once_raise_the_scale_by_two(cluster: Cluster, gate: Gateway) -> None:
    promptly(cluster)
    first, second = await gate.launch(), await gate.launch()
    await first.receive()
    await second.receive()
    assert cluster.replicas == 2


async def test_a_change_by_another_in_between_is_not_lost(cluster: Cluster, gate: Gateway) -> None:
    promptly(cluster)
    cluster.stuck = True
    cluster.meanwhile = lambda: cluster.scale(4)
    process = await gate.launch()
    await until(lambda: cluster.asked.count("get deployments"))
    assert cluster.replicas == 4, "it was high enough by then"
    cluster.work()
    await process.receive()


async def test_what_others_scale_is_only_used(cluster: Cluster, gate: Gateway) -> None:
    promptly(cluster)
    process = await gate.launch(scales=False)
    await quiet(cluster)
    assert cluster.replicas == 0
    cluster.scale(1)
    await process.receive()
    await process.stop()
    assert cluster.replicas == 1
    assert cluster.annotations(cluster.only()) == {}


# To zero


async def test_a_stopped_replica_takes_its_pod_along(cluster: Cluster, gate: Gateway) -> None:
    promptly(cluster)
    process = await gate.ready()
    await process.stop()
    assert cluster.replicas == 0
    assert cluster.living() == []
    assert await process.wait() == "let go"
    await process.stop()  # once more is no more


@pytest.mark.parametrize("minor", [20, 21, 22, 32])
async def test_the_idle_pod_goes_and_not_the_busy_one(minor: int) -> None:
    cluster = Cluster(minor)
    await cluster.start()
    promptly(cluster)
    async with gateway(cluster) as gate:
        idle, busy = await gate.ready(), await gate.ready()
        # By itself a ReplicaSet would end the newer one.
        await idle.stop()
        assert busy.pod is not None
        assert cluster.only()["metadata"]["name"] == busy.pod.name
        assert cluster.replicas == 1
        assert busy.alive
    deletes = cluster.asked.count("delete pods")
    assert deletes == (1 if minor < 22 else 0), "a scale alone is enough where costs count"
    await cluster.stop()


async def test_a_pod_on_its_way_is_not_ended_for_an_idle_one(
    cluster: Cluster, gate: Gateway
) -> None:
    """A ReplicaSet ends what isn't ready first, whatever the others cost."""
    promptly(cluster)
    idle = await gate.ready()
    cluster.prompt = None
    coming = await gate.launch()
    await until(lambda: coming.pod)
    assert coming.pod is not None
    name = coming.pod.name
    await idle.stop()
    assert cluster.replicas == 1
    assert [pod["metadata"]["name"] for pod in cluster.living()] == [name]
    cluster.schedule(cluster.pods[name])
    cluster.ready(cluster.pods[name])
    await coming.receive()


async def test_a_start_given_up_is_taken_back(cluster: Cluster, gate: Gateway) -> None:
    process = await gate.launch()
    await until(lambda: process.pod)
    await process.stop(grace_s=0.0)
    assert cluster.replicas == 0
    assert cluster.living() == []


async def test_a_start_given_up_before_there_was_a_pod(cluster: Cluster, gate: Gateway) -> None:
    cluster.stuck = True
    process = await gate.launch()
    await until(lambda: cluster.replicas == 1)
    await process.stop(grace_s=0.0)
    assert cluster.replicas == 0


async def test_a_rollouts_extra_pod_lowers_nothing(cluster: Cluster, gate: Gateway) -> None:
    """While there is one pod more than the scale says, a lower scale would end one in use."""
    promptly(cluster)
    process = await gate.ready()
    cluster.stuck = True
    cluster.add()
    gate.clock.advance(PODS.linger_s + 1)
    await quiet(cluster)
    gate.clock.advance(RENEW_S)
    await quiet(cluster)
    assert cluster.replicas == 1
    assert process.alive


async def test_a_rollout_that_is_stuck_keeps_no_idle_pod_alive(
    cluster: Cluster, gate: Gateway
) -> None:
    promptly(cluster)
    process = await gate.ready()
    cluster.prompt, cluster.stuck = None, True
    cluster.add()  # which finds no node
    await quiet(cluster)
    await process.stop()
    assert cluster.replicas == 0


# Two gateways


async def test_the_next_gateway_has_no_cold_start(cluster: Cluster) -> None:
    promptly(cluster)
    async with gateway(cluster) as old:
        process = await old.ready()
        old.leaving = True
        await process.stop()
        assert cluster.replicas == 1, "a gateway that shuts down leaves its pods warm"
        assert cluster.annotations(cluster.only()) == {}
    async with gateway(cluster, name="gw-2") as new:
        await new.ready()
        assert cluster.replicas == 1
        assert new.stages == [], "there was nothing to wait for"


async def test_while_two_gateways_overlap_they_share_a_pod(cluster: Cluster) -> None:
    promptly(cluster)
    clock = VirtualClock()
    async with gateway(cluster, clock) as old, gateway(cluster, clock, "gw-2") as new:
        ours, theirs = await old.ready(), await new.ready()
        assert cluster.replicas == 1
        await ours.stop()
        assert cluster.replicas == 1, "another living gateway uses it"
        assert theirs.alive
        await theirs.stop()
        assert cluster.replicas == 0


async def test_a_claim_that_is_renewed_holds(cluster: Cluster) -> None:
    promptly(cluster)
    clock = VirtualClock()
    async with gateway(cluster, clock) as old, gateway(cluster, clock, "gw-2") as new:
        await old.ready()
        new.fleet.look_after(PODS)
        await quiet(cluster)
        for _ in range(int((PODS.linger_s + 2 * LEASE_S) / RENEW_S)):
            clock.advance(RENEW_S)
            await quiet(cluster)
        assert cluster.replicas == 1


async def test_the_claim_of_a_crashed_gateway_ends(cluster: Cluster, gate: Gateway) -> None:
    promptly(cluster)
    cluster.scale(1)
    cluster.annotate(cluster.only(), "claim.pilotlight.dev/gw-0", "2026-01-01T00:00:00Z")
    gate.fleet.look_after(PODS)
    await quiet(cluster)
    gate.clock.advance(LEASE_S)
    await quiet(cluster)
    gate.clock.advance(PODS.linger_s - 1)
    await quiet(cluster)
    assert cluster.replicas == 1, "nobody uses it, but only since the claim ended"
    gate.clock.advance(1)
    await until(lambda: cluster.replicas == 0)


async def test_a_crashed_gateways_claim_is_taken_off_the_pod(
    cluster: Cluster, gate: Gateway
) -> None:
    promptly(cluster)
    cluster.scale(1)
    cluster.annotate(cluster.only(), "claim.pilotlight.dev/gw-0", "2026-01-01T00:00:00Z")
    await gate.ready()
    gate.clock.advance(LEASE_S + 1)
    await until(lambda: set(cluster.annotations(cluster.only())) == {CLAIM})


async def test_a_pod_that_nobody_uses_goes_in_time(cluster: Cluster, gate: Gateway) -> None:
    promptly(cluster)
    cluster.scale(2)
    gate.fleet.look_after(PODS)
    await quiet(cluster)
    gate.clock.advance(PODS.linger_s - 1)
    await quiet(cluster)
    assert cluster.replicas == 2
    gate.clock.advance(1)
    await until(lambda: cluster.replicas == 0)


async def test_a_pod_that_another_claims_at_the_last_moment_stays(
    cluster: Cluster, gate: Gateway
) -> None:
    promptly(cluster)
    process = await gate.ready()
    pod = cluster.only()
    cluster.meanwhile = lambda: cluster.annotate(pod, "claim.pilotlight.dev/gw-2", "now")
    await process.stop()
    assert cluster.replicas == 1
    assert set(cluster.annotations(pod)) == {"claim.pilotlight.dev/gw-2"}


async def test_a_pod_that_another_takes_away_is_not_claimed(
    cluster: Cluster, gate: Gateway
) -> None:
    promptly(cluster)
    cluster.scale(1)
    leaving = cluster.only()
    cluster.meanwhile = lambda: cluster.annotate(leaving, "pilotlight.dev/leaving", "gw-2")
    process = await gate.launch()
    await until(lambda: "pilotlight.dev/leaving" in cluster.annotations(leaving))
    cluster.scale(0)
    gate.clock.advance(LOOK_S)
    await process.receive()
    assert process.pod is not None
    assert process.pod.name != leaving["metadata"]["name"]


# The end of a pod


async def serving(cluster: Cluster, gate: Gateway) -> PodProcess:
    promptly(cluster)
    return await gate.ready()


async def test_a_killed_pod_ends_its_replica(cluster: Cluster, gate: Gateway) -> None:
    process = await serving(cluster, gate)
    cluster.remove(cluster.only())
    assert await process.wait() == "its pod is gone"
    assert not process.alive


async def test_a_crashed_container_ends_its_replica_though_its_pod_stays(
    cluster: Cluster, gate: Gateway
) -> None:
    process = await serving(cluster, gate)
    pod = cluster.only()
    died = {"terminated": {"reason": "OOMKilled", "exitCode": 137}}
    cluster.container(pod, {"running": {}}, restarts=1, last=died)
    assert await process.wait() == "its container ended: OOMKilled, exit code 137"
    again = await gate.launch()
    cluster.ready(pod)
    await again.receive()
    assert cluster.replicas == 1, "the same pod, restarted by its kubelet"


async def test_a_lost_node_ends_its_replica(cluster: Cluster, gate: Gateway) -> None:
    process = await serving(cluster, gate)
    cluster.condition(cluster.only(), "Ready", "False")
    assert await process.wait() == "its node node-1 is lost"


async def test_a_pod_that_is_slow_to_say_it_is_ready_lives_on(
    cluster: Cluster, gate: Gateway
) -> None:
    """A busy engine misses its kubelet's probes; it answers all the same."""
    process = await serving(cluster, gate)
    pod = cluster.only()
    cluster.container(pod, {"running": {}}, ready=False)
    cluster.condition(pod, "Ready", "False")
    await quiet(cluster)
    assert process.alive


async def test_a_pod_told_to_go_says_so_and_may_finish(cluster: Cluster, gate: Gateway) -> None:
    process = await serving(cluster, gate)
    pod = cluster.only()
    cluster.tell_to_go(pod)
    assert await process.leaving() == f"pod {pod['metadata']['name']} was told to go"
    assert process.alive
    cluster.remove(pod)
    assert await process.wait() == "its pod is gone"


async def test_a_pod_that_vanishes_while_it_starts_is_replaced(
    cluster: Cluster, gate: Gateway
) -> None:
    process = await gate.launch()
    await until(lambda: process.pod)
    cluster.prompt = lambda number: "127.0.0.9"
    cluster.remove(cluster.only())
    await process.receive()
    assert process.alive


# In words


async def failing(process: PodProcess) -> PilotlightError:
    with pytest.raises(PilotlightError) as raised:
        await process.receive()
    return raised.value


async def test_no_node_has_room(cluster: Cluster, gate: Gateway) -> None:
    """Not given up: a cluster that scales its nodes brings one."""
    process = await gate.launch()
    await until(lambda: process.pod)
    words = "0/2 nodes are available: 2 Insufficient nvidia.com/gpu."
    cluster.condition(cluster.only(), "PodScheduled", "False", words)
    await until(lambda: words in process.last_words())
    pod = cluster.only()
    cluster.schedule(pod)
    cluster.ready(pod)
    await process.receive()


async def test_an_image_that_is_not_there(cluster: Cluster, gate: Gateway) -> None:
    process = await gate.launch()
    await until(lambda: process.pod)
    pod = cluster.only()
    cluster.schedule(pod)
    cluster.container(pod, {"waiting": {"reason": "ErrImagePull", "message": "refused"}})
    await until(lambda: "ErrImagePull: refused" in process.last_words())
    message = 'Back-off pulling image "nowhere/chat:1"'
    cluster.container(pod, {"waiting": {"reason": "ImagePullBackOff", "message": message}})
    error = await failing(process)
    assert isinstance(error, EngineStartError)
    assert message in error.message
    assert "credentials" in str(error.hint)
    await process.stop()
    assert cluster.replicas == 0


async def test_an_engine_that_ends_again_and_again(cluster: Cluster, gate: Gateway) -> None:
    process = await gate.launch()
    await until(lambda: process.pod)
    pod = cluster.only()
    cluster.logs[pod["metadata"]["name"]] = "loading\nerror: no such model 'smol'\n"
    cluster.schedule(pod)
    cluster.container(
        pod,
        {"waiting": {"reason": "CrashLoopBackOff", "message": "back-off 10s"}},
        restarts=2,
        last={"terminated": {"reason": "Error", "exitCode": 2}},
    )
    error = await failing(process)
    assert "Error, exit code 2" in error.message
    assert error.message.endswith("loading | error: no such model 'smol'")


async def test_a_quota_that_is_used_up(cluster: Cluster, gate: Gateway) -> None:
    cluster.quota = 0
    process = await gate.launch()
    await until(lambda: cluster.replicas == 1)
    await quiet(cluster)
    gate.clock.advance(LOOK_S)
    error = await failing(process)
    assert isinstance(error, EngineUnreachableError), "it may pass, so nothing is given up for it"
    assert "exceeded quota: tenant" in error.message
    assert "quota" in str(error.hint)
    await process.stop()
    assert cluster.replicas == 0


async def test_a_quota_that_pods_on_their_way_out_use_up_is_waited_for(
    cluster: Cluster, gate: Gateway
) -> None:
    promptly(cluster)
    cluster.quota = 1
    first = await gate.ready()
    old = cluster.only()
    await first.stop()
    second = await gate.launch()
    await until(lambda: cluster.replicas == 1)
    for _ in range(5):
        await quiet(cluster)
        gate.clock.advance(LOOK_S)
    assert "has not made its pod yet" in second.last_words()
    cluster.remove(old)
    await second.receive()


async def test_a_pod_kept_alive_by_another_gateways_raise_goes_all_the_same(
    cluster: Cluster, gate: Gateway
) -> None:
    """Marked by us, the scale lowered, and raised again before the ReplicaSet looked."""
    promptly(cluster)
    process = await gate.ready()
    marked = cluster.only()
    cluster.stuck = True
    await process.stop()
    assert cluster.replicas == 0
    cluster.scale(1)
    cluster.work()
    cluster.changed(marked)
    await until(lambda: cluster.replicas == 0)
    assert cluster.living() == []


@pytest.mark.parametrize(
    "verb",
    ["get deployments/scale", "list pods", "watch pods", "patch pods", "patch deployments/scale"],
)
async def test_a_rule_that_the_role_lacks(cluster: Cluster, gate: Gateway, verb: str) -> None:
    promptly(cluster)
    cluster.forbidden.add(verb)
    process = await gate.launch()
    error = await failing(process)
    action, resource = verb.split(" ")
    assert f'cannot {action} resource "{resource}"' in error.message
    assert "Role" in str(error.hint)
    cluster.forbidden.clear()
    await process.stop()
    assert (await gate.ready()).alive, "whoever asks anew hears anew"


async def test_a_deployment_that_is_not_there(cluster: Cluster, gate: Gateway) -> None:
    error = await failing(await gate.launch(deployment="chit"))
    assert "no Deployment 'chit' in namespace 'models'" in error.message


async def test_an_api_out_of_reach_passes_by_itself(cluster: Cluster, gate: Gateway) -> None:
    await cluster.stop()
    process = await gate.launch()
    assert isinstance(await failing(process), EngineUnreachableError)
    await process.stop()
    await cluster.start()
    promptly(cluster)
    await gate.ready()


# The watch


async def test_a_watch_that_ends_goes_on_where_it_was(cluster: Cluster, gate: Gateway) -> None:
    process = await serving(cluster, gate)
    await until(lambda: cluster.watching == 1)
    lists = cluster.asked.count("list pods")
    cluster.cut_watches()
    cluster.remove(cluster.only())
    assert await process.wait() == "its pod is gone"
    assert cluster.asked.count("list pods") == lists


async def test_a_watch_too_old_lists_anew(cluster: Cluster, gate: Gateway) -> None:
    process = await serving(cluster, gate)
    await until(lambda: cluster.watching == 1)
    lists = cluster.asked.count("list pods")
    cluster.forget_events()
    await until(lambda: cluster.asked.count("list pods") > lists)
    cluster.remove(cluster.only())
    assert await process.wait() == "its pod is gone"


@pytest.mark.parametrize(
    ("kind", "thing"), [("MODIFIED", {}), ("ERROR", {"kind": "Status"}), ("ERROR", {"code": 410})]
)
async def test_what_cant_be_read_ends_no_watch_for_good(
    cluster: Cluster, gate: Gateway, kind: str, thing: dict[str, object]
) -> None:
    process = await serving(cluster, gate)
    await until(lambda: cluster.watching == 1)
    lists = cluster.asked.count("list pods")
    cluster.tell(kind, thing)
    await until(lambda: cluster.asked.count("list pods") > lists)
    cluster.remove(cluster.only())
    assert await process.wait() == "its pod is gone"


async def test_an_api_that_was_away_is_caught_up_with(cluster: Cluster, gate: Gateway) -> None:
    process = await serving(cluster, gate)
    await until(lambda: cluster.watching == 1)
    await cluster.stop()
    assert process.alive, "the pod serves whether or not the API does"
    cluster.remove(cluster.only())
    await cluster.start()
    for _ in range(20):
        await quiet(cluster)
        gate.clock.advance(1.0)
    assert await process.wait() == "its pod is gone"
