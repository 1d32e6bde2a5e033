"""The service as Cloud Run's API (v2) has it: what `apply` brings about. Pure.

Every field that a release decides is here, also where it says the default: what is absent would
keep the value of the release before it. None is a message that shall not be there.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pilotlight.deploy.cloud_run.gpus import GPUS
from pilotlight.deploy.cloud_run.instance import (
    CONFIG_VARIABLE,
    KEYS_VARIABLE,
    config_text,
    keys_text,
    secret_of,
)
from pilotlight.deploy.cloud_run.options import INGRESS
from pilotlight.deploy.cloud_run.placement import CloudRunRelease, billing_of
from pilotlight.deploy.instance_file import CACHE_DIR, DATA_DIR, PORT, USER
from pilotlight.deploy.resources import Resources

INVOKER = "roles/run.invoker"
LABELS: Mapping[str, str] = {"managed-by": "pilotlight"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Probe:
    path: str
    period_s: int
    timeout_s: int
    tries: int


# Ready is every model loaded and proven. A look each second, so that the first request waits for
# nothing else; 240 s together is the most there can be.
STARTUP = Probe(path="/ready", period_s=1, timeout_s=1, tries=240)
# Alive is the gateway's own word; an engine that dies is restarted by it.
LIVENESS = Probe(path="/health", period_s=30, timeout_s=10, tries=3)

VOLUME_OF_BUCKET, VOLUME_OF_DISK = "models", "scratch"
MOUNT_OPTIONS = ("implicit-dirs", f"uid={USER}", f"gid={USER}")
"""Folders that nobody made are there (uploads make none), and the files are the instance's own."""


def service_name(release: CloudRunRelease) -> str:
    return f"service/{release.name}"


def invoker_name(release: CloudRunRelease) -> str:
    return f"invoker/{release.name}"


def resources(release: CloudRunRelease) -> Resources:
    """The service, then who may call it: a policy hangs on a service."""
    found: dict[str, Mapping[str, Any]] = {service_name(release): service(release)}
    if release.options.invokers and release.options.invoker_check:
        members = sorted(set(release.options.invokers))
        found[invoker_name(release)] = {"role": INVOKER, "members": members}
    return found


def service(release: CloudRunRelease) -> dict[str, Any]:
    options = release.options
    return {
        "labels": dict(LABELS),
        "ingress": INGRESS[options.ingress],
        "launchStage": launch_stage(release),
        "invokerIamDisabled": not options.invoker_check,
        "template": _template(release),
        # Requests go on to the old revision until the new one is ready.
        "traffic": [{"type": "TRAFFIC_TARGET_ALLOCATION_TYPE_LATEST", "percent": 100}],
    }


def timeout_s(release: CloudRunRelease) -> int:
    return math.ceil(release.scaling.request_timeout_s)


def launch_stage(release: CloudRunRelease) -> str:
    """Ephemeral disks are a preview."""
    return "BETA" if release.options.ephemeral_disk else "GA"


def _template(release: CloudRunRelease) -> dict[str, Any]:
    options, scaling = release.options, release.scaling
    gpu = GPUS.get(release.size.gpu or "")
    return {
        "labels": dict(LABELS),
        "scaling": {
            "minInstanceCount": scaling.minimum,
            "maxInstanceCount": scaling.maximum,
        },
        "maxInstanceRequestConcurrency": scaling.concurrency,
        "timeout": f"{timeout_s(release)}s",
        "serviceAccount": options.service_account or "",
        "executionEnvironment": f"EXECUTION_ENVIRONMENT_{options.execution_environment.upper()}",
        "nodeSelector": {"accelerator": gpu.accelerator} if gpu else None,
        "gpuZonalRedundancyDisabled": bool(gpu) and not options.zonal_redundancy,
        "containers": [_container(release)],
        "volumes": [volume for volume, _ in _mounts(release)],
    }


def _container(release: CloudRunRelease) -> dict[str, Any]:
    return {
        "image": release.image or "",
        "ports": [{"containerPort": PORT}],
        "env": _variables(release),
        "resources": {
            "limits": limits(release),
            "cpuIdle": billing_of(release) == "request",
            "startupCpuBoost": release.options.boost,
        },
        "startupProbe": _probe(STARTUP),
        "livenessProbe": _probe(LIVENESS),
        "volumeMounts": [mount for _, mount in _mounts(release)],
    }


def _probe(probe: Probe) -> dict[str, Any]:
    return {
        "httpGet": {"path": probe.path, "port": PORT},
        "periodSeconds": probe.period_s,
        "timeoutSeconds": probe.timeout_s,
        "failureThreshold": probe.tries,
    }


def limits(release: CloudRunRelease) -> dict[str, str]:
    size = release.size
    found = {"cpu": f"{size.vcpus:g}", "memory": quantity(size.memory_bytes)}
    return found | ({"nvidia.com/gpu": f"{size.gpus}"} if size.gpu else {})


def quantity(value: int) -> str:
    """In Kubernetes' words, rounded up to a whole MiB."""
    mib = -(-value // 2**20)
    return f"{mib // 1024}Gi" if mib % 1024 == 0 else f"{mib}Mi"


def _variables(release: CloudRunRelease) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = [{"name": CONFIG_VARIABLE, "value": config_text(release)}]
    if secret := secret_of(release):
        reference = {"secret": secret[0], "version": secret[1]}
        found.append({"name": KEYS_VARIABLE, "valueSource": {"secretKeyRef": reference}})
    elif (keys := keys_text(release)) is not None:
        found.append({"name": KEYS_VARIABLE, "value": keys})
    return found


def _mounts(release: CloudRunRelease) -> list[tuple[dict[str, Any], dict[str, Any]]]:
    """Volumes and where each is seen."""
    found = []
    if release.models == "mount" and release.options.bucket is not None:
        gcs = {
            "bucket": release.options.bucket,
            "readOnly": True,
            "mountOptions": list(MOUNT_OPTIONS),
        }
        found.append((
            {"name": VOLUME_OF_BUCKET, "gcs": gcs},
            {"name": VOLUME_OF_BUCKET, "mountPath": CACHE_DIR},
        ))  # fmt: skip
    if release.options.ephemeral_disk:
        disk = {"medium": "DISK", "sizeLimit": quantity(release.size.disk_bytes)}
        found.append((
            {"name": VOLUME_OF_DISK, "emptyDir": disk},
            {"name": VOLUME_OF_DISK, "mountPath": DATA_DIR},
        ))  # fmt: skip
    return found
