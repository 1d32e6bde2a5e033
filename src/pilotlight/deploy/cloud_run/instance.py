"""What an instance on Cloud Run is told: its configuration and keys, as variables.

Cloud Run mounts no files but secrets and buckets, and a change of a variable is a new revision
without a new image.
"""

from __future__ import annotations

import json

from pilotlight.deploy.cloud_run.placement import CloudRunRelease
from pilotlight.deploy.instance_file import KEYS_VARIABLE, instance_file

CONFIG_VARIABLE = "PILOTLIGHT_CONFIG_YAML"
DRAIN_S = 6.0
"""Cloud Run kills 10 s after SIGTERM; the rest is for engines to go, which have work in hand."""


def config_text(release: CloudRunRelease) -> str:
    return instance_file(release, drain_s=DRAIN_S)


def keys_text(release: CloudRunRelease) -> str | None:
    """Hashes, no secrets; None where they come out of Secret Manager, or there are none."""
    if release.options.keys_secret is not None or not release.keys:
        return None
    return json.dumps(release.keys, sort_keys=True, indent=1)


def secret_of(release: CloudRunRelease) -> tuple[str, str] | None:
    """Name and version."""
    if release.options.keys_secret is None:
        return None
    name, _, version = release.options.keys_secret.partition(":")
    return name, version or "latest"


__all__ = ["CONFIG_VARIABLE", "KEYS_VARIABLE", "config_text", "keys_text", "secret_of"]
