"""What leaves the cluster poorer comes last: a lost node, and the release's own end."""

from __future__ import annotations

import asyncio
import time

import pytest

from pilotlight.deploy.kubernetes.verbs import KubernetesTarget

from .client import until
from .deployed import NAMESPACE, SETTLED_S, Deployed

pytestmark = pytest.mark.platforms


async def test_a_killed_node(deployed: Deployed) -> None:
    """Pods move to the other one, and requests are served again."""
    await deployed.zero()
    # On a lost node they would never be gone, and the quota counts them.
    await until(lambda: not deployed.all_pods(deployed.engine), SETTLED_S)
    home = deployed.node(deployed.gateway)
    await _start_away_from(home, deployed)
    lost = deployed.node(deployed.engine)
    assert lost != home
    begun = asyncio.Event()
    victim = asyncio.ensure_future(deployed.client.stream(1500, begun))
    await begun.wait()
    await asyncio.to_thread(deployed.cluster.kill_node, lost)
    killed_s = time.monotonic()
    events = await victim
    assert events[-1].get("error", {}).get("code") == "engine_crashed", events[-1]
    deployed.note("killed node: its client is told", f"{time.monotonic() - killed_s:.1f} s")
    assert await deployed.client.chat()
    deployed.note("killed node: the next answer", f"{time.monotonic() - killed_s:.1f} s")
    assert deployed.node(deployed.engine) == home
    await asyncio.to_thread(_bury, lost, deployed)


def _bury(node: str, deployed: Deployed) -> None:
    """Its pods' objects wait for a kubelet that is no more; a cloud's controller ends them."""
    where = ("-n", deployed.namespace, "--field-selector", f"spec.nodeName={node}")
    deployed.cluster.kubectl("delete", "pods", *where, "--force", "--grace-period=0")


async def _start_away_from(home: str, deployed: Deployed) -> None:
    await asyncio.to_thread(deployed.cluster.kubectl, "cordon", home)
    try:
        await deployed.client.chat()
    finally:
        await asyncio.to_thread(deployed.cluster.kubectl, "uncordon", home)


async def test_delete_leaves_nothing(deployed: Deployed) -> None:
    begun_s = time.monotonic()
    KubernetesTarget().delete(deployed.release, lambda line: None)
    deployed.note("delete", f"{time.monotonic() - begun_s:.1f} s")
    names = "deployments,services,secrets,configmaps,roles,rolebindings,serviceaccounts"
    await until(lambda: not _left(deployed, names), SETTLED_S)
    assert KubernetesTarget().status(deployed.release).state == "absent"
    KubernetesTarget().delete(deployed.release, lambda line: None)  # nothing there is no error


def _left(deployed: Deployed, kinds: str) -> list[str]:
    selector = f"pilotlight.dev/release={deployed.release.name}"
    return [
        f"{each['kind']}/{each['metadata']['name']}"
        for each in deployed.cluster.items(kinds, NAMESPACE, selector)
    ]
