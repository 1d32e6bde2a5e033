"""What Cloud Run's Admin API refuses, as far as its documents say: cloud.google.com/run/docs, v2.

Independent of `pilotlight.deploy.cloud_run.limits` on purpose: a limit that both had wrong in the
same way would be found by neither, so these are written from the documents once more.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from google.cloud import run_v2
from google.protobuf.message import Message
from google.protobuf.unknown_fields import UnknownFieldSet

_SERVICE_ID = re.compile(r"[a-z]([a-z0-9-]{0,47}[a-z0-9])?")
_CPU_OF_MEMORY = ((0.5, 0.08), (1, 0.5), (4, 1), (8, 2), (16, 4), (24, 6), (32, 8))
"""GiB up to which so much CPU will do."""

_RESERVED = {"PORT", "K_SERVICE", "K_REVISION", "K_CONFIGURATION"}
_ACCELERATORS = {"nvidia-l4": (4, 16), "nvidia-rtx-pro-6000": (20, 80)}
_UNITS = {"Ki": 2**10, "Mi": 2**20, "Gi": 2**30}


def faults(service_id: str, service: run_v2.Service) -> Iterator[str]:
    if not _SERVICE_ID.fullmatch(service_id):
        yield f"service_id: {service_id!r} must be a DNS label of at most 49 characters"
    yield from (f"unknown field in {where}" for where in _unknown(run_v2.Service.pb(service), ""))
    if not service.template.containers:
        yield "template.containers: at least one is required"
        return
    yield from _template(service.template)
    yield from _container(service.template, service.template.containers[0])
    if service.traffic and sum(each.percent for each in service.traffic) != 100:
        yield "traffic: percentages must add up to 100"


def _unknown(message: Message, where: str) -> Iterator[str]:
    if len(UnknownFieldSet(message)):
        yield where or "the service"
    for field, value in message.ListFields():
        if field.message_type is None or field.message_type.GetOptions().map_entry:
            continue
        items = [value] if isinstance(value, Message) else value
        for item in items:
            yield from _unknown(item, f"{where}.{field.name}".strip("."))


def _template(template: run_v2.RevisionTemplate) -> Iterator[str]:
    if not 0 < template.max_instance_request_concurrency <= 1000:
        yield "template.max_instance_request_concurrency: must be 1 to 1000"
    if not 0 < template.timeout.total_seconds() <= 3600:
        yield "template.timeout: must be 1 s to 3600 s"
    scaling = template.scaling
    if scaling.min_instance_count > scaling.max_instance_count:
        yield "template.scaling: min_instance_count is over max_instance_count"
    mounted = {mount.name for mount in template.containers[0].volume_mounts}
    declared = {volume.name for volume in template.volumes}
    if mounted != declared:
        yield f"template.volumes: {declared} are not those that are mounted, {mounted}"
    gen1 = template.execution_environment == run_v2.ExecutionEnvironment.EXECUTION_ENVIRONMENT_GEN1
    if gen1 and any("gcs" in volume for volume in template.volumes):
        yield "template.volumes.gcs: needs the second generation execution environment"


def _container(template: run_v2.RevisionTemplate, container: run_v2.Container) -> Iterator[str]:
    if not re.match(r"([a-z0-9-]+-docker\.pkg\.dev|docker\.io|gcr\.io)/", container.image):
        yield f"template.containers[0].image: {container.image!r} is in no supported registry"
    names = [variable.name for variable in container.env]
    if len(set(names)) < len(names) or _RESERVED & set(names):
        yield f"template.containers[0].env: {names} has reserved or repeated names"
    for variable in container.env:
        if len(variable.value.encode()) > 32 * 1024:
            yield f"template.containers[0].env: {variable.name} is over 32 KiB"
    yield from _resources(template, container)
    yield from _probe("startup_probe", container.startup_probe, longest_s=240)
    yield from _probe("liveness_probe", container.liveness_probe, longest_s=None)


def _resources(template: run_v2.RevisionTemplate, container: run_v2.Container) -> Iterator[str]:
    limits = dict(container.resources.limits)
    cpu, memory = float(limits["cpu"]), bytes_of(limits["memory"])
    where = "template.containers[0].resources"
    if gpus := limits.get("nvidia.com/gpu"):
        accelerator = template.node_selector.accelerator
        if gpus != "1" or accelerator not in _ACCELERATORS:
            yield f"{where}: {gpus} GPU of type {accelerator!r}"
            return
        least_cpu, least_gib = _ACCELERATORS[accelerator]
        if cpu < least_cpu or memory < least_gib * 2**30:
            yield f"{where}: {accelerator} needs {least_cpu} CPU and {least_gib}Gi"
        if container.resources.cpu_idle:
            yield f"{where}.cpu_idle: must be false with a GPU"
        return
    if template.node_selector.accelerator:
        yield f"{where}: a node selector without a GPU"
    if cpu not in (1, 2, 4, 6, 8) and not 0.08 <= cpu < 1:
        yield f"{where}.limits.cpu: {cpu:g} is not allowed"
    needed = next((each for gib, each in _CPU_OF_MEMORY if memory <= gib * 2**30), None)
    if needed is None or cpu < needed:
        yield f"{where}.limits.memory: {limits['memory']} needs {needed} CPU"
    if cpu < 1 and template.max_instance_request_concurrency != 1:
        yield f"{where}.limits.cpu: below 1 needs concurrency 1"


def _probe(name: str, probe: run_v2.Probe, longest_s: int | None) -> Iterator[str]:
    if not probe.http_get.path.startswith("/"):
        yield f"{name}.http_get.path: must begin with a slash"
    if not 1 <= probe.timeout_seconds <= probe.period_seconds:
        yield f"{name}: timeout_seconds is over period_seconds"
    if longest_s is not None and probe.period_seconds * probe.failure_threshold > longest_s:
        yield f"{name}: fails after more than {longest_s} s"


def bytes_of(quantity: str) -> float:
    return float(quantity[:-2]) * _UNITS[quantity[-2:]]


def plain(message: Any) -> Any:
    """The protobuf message below a proto-plus one."""
    return type(message).pb(message)
