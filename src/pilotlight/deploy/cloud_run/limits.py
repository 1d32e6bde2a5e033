"""What Cloud Run would refuse, or what it would accept and then end: found before it is asked.

Figures are the catalog's where it has them. The others are of Cloud Run's documents, as of
`AS_OF`: cloud.google.com/run/quotas, /run/docs/configuring/services/{cpu,memory-limits,gpu},
/run/docs/configuring/healthchecks and /run/docs/container-contract.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence

from pilotlight.deploy.cloud_run.gpus import GPUS, CloudRunGpu
from pilotlight.deploy.cloud_run.instance import config_text, keys_text
from pilotlight.deploy.cloud_run.placement import (
    CloudRunRelease,
    billing_of,
    platform_of,
    region_of,
    row_of,
)
from pilotlight.deploy.violation import Violation
from pilotlight.quantities import parse_bytes

AS_OF = "2026-10-01"
GIB, MIB = 2**30, 2**20

LONGEST_NAME = 49
WHOLE_VCPUS = (1, 2, 4, 6, 8)
LEAST_VCPUS = 0.08
LEAST_MEMORY_BYTES = {"gen1": 128 * MIB, "gen2": 512 * MIB}
LEAST_MEMORY_BY_VCPUS = {4: 2 * GIB, 6: 4 * GIB, 8: 4 * GIB}
SMALL_VCPUS, SMALL_MEMORY_BYTES = 0.5, 512 * MIB
"""Below so many vCPUs at most so much memory; from there to one vCPU twice as much."""

VARIABLE_BYTES = 32 * 2**10
REQUEST_BODY_BYTES = 32 * MIB
STARTUP_S = 240
REGISTRIES = ("-docker.pkg.dev", "-gcr.io", ".gcr.io", "-docker.io")
"""Ends of their hosts, with a dash before the whole of one."""


def violations(release: CloudRunRelease) -> Sequence[Violation]:
    return [found for rule in RULES for found in rule(release)]


def _name(release: CloudRunRelease) -> Iterator[Violation]:
    if len(release.name) > LONGEST_NAME:
        yield Violation(
            f"name at most {LONGEST_NAME} characters",
            f"{release.name!r}, {len(release.name)} characters",
            f"set name: {release.name[:LONGEST_NAME].rstrip('-')}",
        )


def _image(release: CloudRunRelease) -> Iterator[Violation]:
    host = (release.image or "").partition("/")[0]
    elsewhere = "." in host or ":" in host or host == "localhost"
    if elsewhere and not f"-{host}".endswith(REGISTRIES):
        yield Violation(
            "image in Artifact Registry or Docker Hub",
            f"{release.image!r}",
            f"push it to {region_of(release)}-docker.pkg.dev/PROJECT/pilotlight and set image: to "
            "what that printed",
        )


def _architecture(release: CloudRunRelease) -> Iterator[Violation]:
    if release.size.architecture != "x86_64":
        yield Violation(
            "architecture x86_64", release.size.architecture, "set architecture: x86_64"
        )


def _vcpus(release: CloudRunRelease) -> Iterator[Violation]:
    vcpus = release.size.vcpus
    if release.size.gpu is not None or vcpus in WHOLE_VCPUS or LEAST_VCPUS <= vcpus < 1:
        return
    fit = next((each for each in WHOLE_VCPUS if each >= vcpus), WHOLE_VCPUS[-1])
    yield Violation(
        f"vCPUs {LEAST_VCPUS:g} to 1, or one of {', '.join(map(str, WHOLE_VCPUS))}",
        f"{vcpus:g}",
        f"set vcpus: {fit if vcpus >= LEAST_VCPUS else LEAST_VCPUS:g}",
    )


def _part_of_a_vcpu(release: CloudRunRelease) -> Iterator[Violation]:
    vcpus, options = release.size.vcpus, release.options
    if vcpus >= 1 or release.size.gpu is not None:
        return
    less = f"{vcpus:g} vCPU"
    if release.scaling.concurrency != 1:
        value = f"{less} and concurrency {release.scaling.concurrency}"
        yield Violation("below 1 vCPU concurrency 1", value, "set vcpus: 1")
    if billing_of(release) != "request":
        yield Violation("below 1 vCPU billing by request", less, "set vcpus: 1")
    if options.execution_environment != "gen1":
        value = f"{less} and {options.execution_environment}"
        yield Violation("below 1 vCPU execution environment gen1", value, "set vcpus: 1")
    most = SMALL_MEMORY_BYTES * (1 if vcpus < SMALL_VCPUS else 2)
    if release.size.memory_bytes > most:
        yield Violation(
            f"memory at most {_gib(most)} below {SMALL_VCPUS if vcpus < SMALL_VCPUS else 1:g} vCPU",
            f"{_gib(release.size.memory_bytes)} and {less}",
            "set vcpus: 1",
        )


def _memory(release: CloudRunRelease) -> Iterator[Violation]:
    if release.size.gpu is not None:
        return
    limits = row_of(platform_of(release)).limits
    memory, vcpus = release.size.memory_bytes, release.size.vcpus
    most = int((limits.memory_gib or 0) * GIB)
    if most and memory > most:
        yield Violation(
            f"memory at most {_gib(most)}", _gib(memory), f"set memory: {_yaml_gib(most)}"
        )
    elif limits.gib_per_vcpu and vcpus >= 1 and memory > limits.gib_per_vcpu * vcpus * GIB:
        enough = next(
            (n for n in WHOLE_VCPUS if n * limits.gib_per_vcpu * GIB >= memory), WHOLE_VCPUS[-1]
        )
        yield Violation(
            f"memory at most {limits.gib_per_vcpu:g} GiB for each vCPU",
            f"{_gib(memory)} and {vcpus:g} vCPUs",
            f"set vcpus: {enough}",
        )
    least = LEAST_MEMORY_BY_VCPUS.get(int(vcpus), 0) if vcpus >= 1 else 0
    floor = LEAST_MEMORY_BYTES[release.options.execution_environment]
    if memory < max(least, floor):
        with_what = f"{vcpus:g} vCPUs" if least > floor else release.options.execution_environment
        yield Violation(
            f"memory at least {_gib(max(least, floor))} with {with_what}",
            _gib(memory),
            f"set memory: {_yaml_gib(max(least, floor))}",
        )


def _gpu(release: CloudRunRelease) -> Iterator[Violation]:
    size = release.size
    if size.gpu is None:
        if release.options.zonal_redundancy:
            yield Violation("zonal redundancy with a GPU", "none", "leave zonal_redundancy out")
        return
    gpu = GPUS.get(size.gpu)
    if gpu is None:
        yield Violation(f"GPU one of {', '.join(GPUS)}", size.gpu, f"set gpu: {next(iter(GPUS))}")
        return
    if size.gpus != 1:
        yield Violation("one GPU for each instance", f"{size.gpus}", "set gpus: 1")
    if release.options.billing == "request":
        yield Violation("billing by instance with a GPU", "request", "set billing: instance")
    if release.options.execution_environment != "gen2":
        yield Violation("execution environment gen2 with a GPU", "gen1",
                        "set execution_environment: gen2")  # fmt: skip
    if region_of(release) not in gpu.regions:
        yield Violation(
            f"{size.gpu} in one of {', '.join(gpu.regions)}",
            f"region {region_of(release)}",
            f"set region: {gpu.regions[0]}",
        )
    yield from _gpu_size(release, gpu)


def _gpu_size(release: CloudRunRelease, gpu: CloudRunGpu) -> Iterator[Violation]:
    size = release.size
    if not gpu.least_vcpus <= size.vcpus <= gpu.most_vcpus or size.vcpus % 2:
        near = gpu.least_vcpus if size.vcpus < gpu.most_vcpus else gpu.most_vcpus
        yield Violation(
            f"{gpu.least_vcpus} to {gpu.most_vcpus} vCPUs, an even number, with {size.gpu}",
            f"{size.vcpus:g}",
            f"set vcpus: {near}",
        )
    least, most = gpu.least_memory_gib * GIB, gpu.most_memory_gib * GIB
    if not least <= size.memory_bytes <= most:
        yield Violation(
            f"{gpu.least_memory_gib} to {gpu.most_memory_gib} GiB of memory with {size.gpu}",
            _gib(size.memory_bytes),
            f"set memory: {_yaml_gib(least if size.memory_bytes < least else most)}",
        )


def _scaling(release: CloudRunRelease) -> Iterator[Violation]:
    limits, scaling = row_of(platform_of(release)).limits, release.scaling
    if limits.concurrency and scaling.concurrency > limits.concurrency:
        yield Violation(
            f"concurrency at most {limits.concurrency}",
            f"{scaling.concurrency}",
            f"set concurrency: {limits.concurrency}",
        )
    if limits.request_s and scaling.request_timeout_s > limits.request_s:
        yield Violation(
            f"timeout at most {limits.request_s:g} s",
            f"{scaling.request_timeout_s:g} s",
            f"set timeout: {limits.request_s:g}s",
        )
    if release.options.idle is not None:
        yield Violation(
            "idle instances stay as long as Cloud Run likes",
            f"idle: {release.options.idle:g} s",
            "leave idle out; `minimum` keeps instances",
        )


def _room(release: CloudRunRelease) -> Iterator[Violation]:
    """Files that it writes are memory: Cloud Run's file system has no disk below it."""
    planned = release.plan.deployment if release.plan else None
    loaded = 0 if planned is None or planned.gpu else planned.ram_bytes
    written = release.size.disk_bytes
    if release.options.ephemeral_disk or release.models != "fetch":
        written = 0
    if loaded + written > release.size.memory_bytes:
        parts = [f"{_gib(loaded)} for the model"] if loaded else []
        parts += [f"{_gib(written)} of files"] if written else []
        fix = f"set memory: {_yaml_gib(loaded + written)}"
        yield Violation(
            "files and model together within memory",
            f"{' and '.join(parts)} in {_gib(release.size.memory_bytes)}",
            f"{fix}, or models: image" if written else fix,
        )


def _disk(release: CloudRunRelease) -> Iterator[Violation]:
    limits, options = row_of(platform_of(release)).limits, release.options
    most = int((limits.disk_gib or 0) * GIB)
    if options.ephemeral_disk and most and release.size.disk_bytes > most:
        yield Violation(
            f"ephemeral disk at most {_gib(most)}",
            _gib(release.size.disk_bytes),
            f"set disk: {_yaml_gib(most)}",
        )
    if options.ephemeral_disk and options.execution_environment != "gen2":
        yield Violation("execution environment gen2 with an ephemeral disk", "gen1",
                        "set execution_environment: gen2")  # fmt: skip


def _bucket(release: CloudRunRelease) -> Iterator[Violation]:
    bucket, mounted = release.options.bucket, release.models == "mount"
    if mounted and bucket is None:
        yield Violation("a bucket to mount", "models: mount", "set bucket: NAME, or models: image")
    if bucket is not None and not mounted:
        yield Violation(
            "models: mount with a bucket", f"models: {release.models}", "set models: mount"
        )
    if mounted and release.options.execution_environment != "gen2":
        yield Violation("execution environment gen2 to mount a bucket", "gen1",
                        "set execution_environment: gen2")  # fmt: skip


def _start(release: CloudRunRelease) -> Iterator[Violation]:
    """Longer starts are broken off by the startup probe, whose bound this is."""
    start_s = sum(release.plan.speed.start_s.values()) if release.plan else 0.0
    if release.models == "fetch":
        rate = row_of(platform_of(release)).provision.fetch_mb_s * 1e6
        start_s = max(start_s, release.size.disk_bytes / rate)
    if start_s > STARTUP_S:
        yield Violation(
            f"ready within {STARTUP_S} s of its start",
            f"about {start_s:.0f} s",
            "set models: image" if release.models == "fetch" else "plan a smaller model",
        )


def _variables(release: CloudRunRelease) -> Iterator[Violation]:
    for what, text, fix in (
        ("configuration", config_text(release), "serve fewer models from one service"),
        ("keys", keys_text(release), "set keys_secret: NAME"),
    ):
        if text is not None and len(text.encode()) > VARIABLE_BYTES:
            yield Violation(
                f"a variable at most {VARIABLE_BYTES} bytes",
                f"{len(text.encode())} bytes of {what}",
                fix,
            )


def _keys(release: CloudRunRelease) -> Iterator[Violation]:
    """Without any, the gateway serves nothing but loopback, and so doesn't start here."""
    if release.options.keys_secret is None and not release.keys.get("keys"):
        yield Violation(
            "an API key, for whoever asks",
            "none",
            "run `pilotlight keys create --name web`, or set keys_secret: NAME",
        )


def _body(release: CloudRunRelease) -> Iterator[Violation]:
    body = release.serve.get("max_body")
    if body is not None and parse_bytes(body) > REQUEST_BODY_BYTES:
        yield Violation(
            f"a request at most {REQUEST_BODY_BYTES // MIB} MiB over HTTP/1",
            f"max_body: {json.dumps(body)}",
            "set max_body: 32MiB",
        )


RULES: Sequence[Callable[[CloudRunRelease], Iterator[Violation]]] = (
    _name, _image, _architecture, _vcpus, _part_of_a_vcpu, _memory, _gpu, _scaling, _room, _disk,
    _bucket, _start, _variables, _keys, _body,
)  # fmt: skip


def _gib(value: int) -> str:
    return f"{value / GIB:.4g} GiB"


def _yaml_gib(value: int) -> str:
    """The next whole GiB, or MiB below one."""
    if value < GIB:
        return f"{-(-value // MIB)}MiB"
    return f"{-(-value // GIB)}GiB"
