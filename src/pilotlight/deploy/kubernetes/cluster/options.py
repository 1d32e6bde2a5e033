"""What can be set about a cluster."""

from __future__ import annotations

from dataclasses import dataclass

from pilotlight.config import setting

CHANNELS = ("rapid", "regular", "stable")


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusterOptions:
    """A GKE cluster: a small pool that is always there, and one with accelerators from zero."""

    name: str = setting("pilotlight", help="of the cluster")
    project: str | None = setting(
        None, help="Google Cloud project; else the one gcloud is set to", example="my-project"
    )
    zone: str = setting("us-central1-a", help="zone of all nodes, where the accelerators are")
    machine: str = setting("g2-standard-8", help="machine type of the nodes that engines run on")
    gpu_nodes: int = setting(2, help="most of those; there are none while nobody asks")
    spot: bool = setting(False, help="whether they are spot nodes: cheaper, and may go at any time")
    gateway_machine: str = setting("e2-standard-2", help="of the nodes that gateways run on")
    gateway_nodes: int = setting(1, help="of those, always there")
    disk: int = setting(200, help="GiB of each engine node's boot disk, images and models included")
    channel: str = setting("regular", help="release channel: rapid, regular or stable")
    authorized: tuple[str, ...] = setting(
        (),
        help="networks that may reach the API server; else all may that have credentials",
        example=["203.0.113.0/24"],
    )
    configuration: str = setting("pilotlight.yaml", help="file that run.sh puts up and measures")
