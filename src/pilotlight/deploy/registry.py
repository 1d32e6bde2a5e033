"""The targets by name; each is imported when it is asked for."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import import_module

from pilotlight.deploy.target import Target
from pilotlight.errors import DeployError

# Module below pilotlight.deploy, and its class that makes one. Not a function `target` of the
# package: a module of that name beside it takes its place as soon as somebody imports it.
TARGETS: Mapping[str, tuple[str, str]] = {
    "lambda": ("aws_lambda.target", "LambdaTarget"),
    "cloudrun": ("cloud_run.cloud_run", "CloudRun"),
    "kubernetes": ("kubernetes.verbs", "KubernetesTarget"),
    "compose": ("compose.target", "ComposeTarget"),
    "systemd": ("systemd.target", "SystemdTarget"),
}


def find(name: str) -> Target:
    """Raises DeployError for a target that isn't there."""
    if name not in TARGETS:
        raise DeployError(f"there is no target {name!r}", hint=f"one of: {', '.join(TARGETS)}")
    module, kind = TARGETS[name]
    make: Callable[[], Target] = getattr(import_module(f"pilotlight.deploy.{module}"), kind)
    return make()
