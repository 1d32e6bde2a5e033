"""What a cluster would refuse, or leave pending for ever: found before anything is sent."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import PurePosixPath
from typing import Any

from pilotlight.config import Settings, parse_bytes
from pilotlight.deploy.kubernetes import cache, command, engine, tenancy
from pilotlight.deploy.kubernetes.document import dumped
from pilotlight.deploy.kubernetes.gateway import LEAST_BYTES, configuration
from pilotlight.deploy.kubernetes.images import kinds
from pilotlight.deploy.kubernetes.layout import Engine, Layout
from pilotlight.deploy.kubernetes.machines import Machine, machines
from pilotlight.deploy.kubernetes.options import GPU_LABELS, SCALERS, SERVICES
from pilotlight.deploy.violation import Violation
from pilotlight.errors import EngineOptionError
from pilotlight.quantities import show_bytes
from pilotlight.router import capacity

LABEL = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
MOST_CONFIG_BYTES = 2**20
"""Of one ConfigMap or Secret: kubernetes.io/docs/concepts/configuration/configmap."""

_PULL_POLICIES = ("Always", "IfNotPresent", "Never")


def check(layout: Layout) -> tuple[Violation, ...]:
    """Every one; a rule that another's finding makes meaningless keeps quiet."""
    # Times that never end come first: the others count with them.
    return tuple(_endless(layout)) or tuple(found for rule in _RULES for found in rule(layout))


def _endless(layout: Layout) -> Iterator[Violation]:
    options, idle_s = layout.options, layout.release.scaling.idle_s
    times = {
        "load_timeout": (options.load_timeout, "15m"),
        "drain": (options.drain, "1m"),
        "dead_node": (options.dead_node or 0.0, "5m"),
        "wait": (options.wait, "10m"),
        "idle": (idle_s if options.scaler == "keda" else 0.0, "5m"),
    }
    for key, (value, usual) in times.items():
        if not math.isfinite(value):
            yield Violation(f"{key} has an end", f"{key} forever", f"set {key}={usual}")


def _words(layout: Layout) -> Iterator[Violation]:
    options = layout.options
    choices: Mapping[str, tuple[str, tuple[str, ...]]] = {
        "service": (options.service, SERVICES),
        "gpu_labels": (options.gpu_labels, GPU_LABELS),
        "scaler": (options.scaler, SCALERS),
        "pull_policy": (options.pull_policy, _PULL_POLICIES),
    }
    for key, (value, allowed) in choices.items():
        if value not in allowed:
            expected = ", ".join(allowed)
            yield Violation(f"{key} is one of {expected}", repr(value), f"set {key}={allowed[0]}")
    if options.gateway_memory < LEAST_BYTES:
        yield Violation(
            f"a gateway needs {show_bytes(LEAST_BYTES)}",
            show_bytes(options.gateway_memory),
            "set gateway_memory=512MiB",
        )
    if options.gateways < 1:
        yield Violation("at least one gateway", str(options.gateways), "set gateways=1")


def _names(layout: Layout) -> Iterator[Violation]:
    longest = "a namespace is a DNS label: lower-case letters, digits and dashes, at most 63"
    for namespace in layout.namespaces:
        if not LABEL.fullmatch(namespace):
            yield Violation(longest, repr(namespace), "set namespace, or rename the tenant")
    for number in ("gateway_vcpus", "cache_size"):
        value = getattr(layout.options, number)
        if value <= 0:
            yield Violation(f"{number} is more than none", str(value), f"set {number}")


def _helper(layout: Layout) -> Iterator[Violation]:
    if not cache.needs_helper(layout):
        return
    path, taken = PurePosixPath(layout.options.cache_path), cache.helper_namespace(layout)
    if not path.is_absolute() or ".." in path.parts:
        yield Violation(
            "cache_path is a whole path of the nodes, without ..",
            repr(layout.options.cache_path),
            "set cache_path=/var/lib/pilotlight",
        )
    if taken in layout.namespaces:
        yield Violation(
            f"the namespace {taken!r} is the cache's helper's alone, for it sees nodes",
            "a tenant of that name",
            "rename the tenant",
        )
    if not layout.options.create_namespace:
        yield Violation(
            "a cache on each node takes a namespace of its own, for the helper that sees nodes",
            "create_namespace: false",
            "set create_namespace=true, or storage_class to a volume that nodes share",
        )


def _keys(layout: Layout) -> Iterator[Violation]:
    if not layout.release.keys.get("keys"):
        yield Violation(
            "a gateway that others can reach needs an API key",
            "none",
            "run `pilotlight keys create --name NAME` first",
        )


def _engines(layout: Layout) -> Iterator[Violation]:
    if not layout.entries:
        yield Violation("there is a model to serve", "none", "add one under models")
    for each in layout.engines:
        yield from _engine(layout, each)


def _engine(layout: Layout, each: Engine) -> Iterator[Violation]:
    key = f"models.{each.model}"
    if not each.image.known:
        yield Violation(
            f"{key}.engine runs in pods: {', '.join(kinds())}",
            repr(each.kind),
            "choose one of them, or give the endpoint where it runs",
        )
        return
    if layout.image_of(each) is None:
        yield Violation(
            f"{key}: {each.image.missing}",
            f"no image for {each.kind}",
            f"build one that has it, and set engine_images: {{{each.kind}: IMAGE}}",
        )
    if not each.image.ours and each.source == "image":
        yield Violation(
            f"{key}: the image of {each.kind} is another project's and has no weights",
            "models: image",
            "set models=mount, or leave it out",
        )
    if each.image.ours:
        yield from _memory(layout, each)
    if each.entry.get("adapters"):
        yield Violation(
            f"{key}: adapters aren't laid over models in pods",
            f"{len(each.entry['adapters'])} adapters",
            "serve each as a model of its own, or from `pilotlight serve` on one machine",
        )
    if each.image.known and not each.image.ours:
        yield from _command(layout, each)


def _memory(layout: Layout, each: Engine) -> Iterator[Violation]:
    """Else its pod ends as it starts, and only whoever asks first would hear of it."""
    kept = layout.release.serve.get("memory_reserve", Settings().memory_reserve)
    least = parse_bytes(kept) + capacity.LEAST_BYTES
    if layout.release.size.memory_bytes < least:
        yield Violation(
            f"models.{each.model}: memory_reserve and {show_bytes(capacity.LEAST_BYTES)} beside it",
            show_bytes(layout.release.size.memory_bytes),
            f"set memory={show_bytes(least)} or more, or a smaller memory_reserve",
        )


def _command(layout: Layout, each: Engine) -> Iterator[Violation]:
    try:
        command.argv(layout, each)
    except EngineOptionError as error:
        yield Violation(error.message, f"models.{each.model}.options", error.hint or "correct it")


def _parallel(layout: Layout) -> Iterator[Violation]:
    """All GPUs of a replica are in one pod, on one node."""
    size = layout.release.size
    for each in layout.engines:
        spread = _spread(each.options)
        if spread is not None and size.gpu is not None and spread != size.gpus:
            yield Violation(
                f"models.{each.model}: one pod has all GPUs that share the model, and no others",
                f"{spread} by its options, {size.gpus} in a pod",
                f"set gpus={spread}, or the option to {size.gpus}",
            )


def _spread(options: Mapping[str, Any]) -> int | None:
    """How many GPUs the options share the model over; None where they don't say."""
    names = ("tensor_parallel", "pipeline_parallel", "data_parallel")
    found = [command.degree(options.get(n) or options.get(f"{n}_size")) or 0 for n in names]
    if not any(found):
        return None
    total = 1
    for each in found:
        total *= max(1, each)
    return total


def _machine(layout: Layout) -> Iterator[Violation]:
    size, options, machine = layout.release.size, layout.options, layout.machine
    if options.machine is not None and options.machine not in machines():
        yield Violation(
            f"machine is one that is known here: {', '.join(machines())}",
            repr(options.machine),
            "choose one of them, or leave it out with gpu_labels=none",
        )
    elif machine is not None:
        yield from _on_machine(layout, machine)
    elif size.gpu is not None and options.gpu_labels == "gke":
        have = sorted({m.gpu for m in machines().values() if m.gpu})
        counts = sorted({m.gpus for m in machines().values() if m.gpu == size.gpu})
        known = f"with {size.gpu}: {counts}" if counts else f"with {', '.join(have)}"
        yield Violation(
            f"GKE has nodes {known}",
            f"{size.gpus} × {size.gpu}",
            "set gpu and gpus to one of them, or gpu_labels=nvidia on a cluster of your own",
        )


def _on_machine(layout: Layout, machine: Machine) -> Iterator[Violation]:
    size = layout.release.size
    extra = max((tenancy.pod_of(layout, each).memory_bytes for each in layout.engines), default=0)
    memory = max(extra, size.memory_bytes)
    vcpus = max((tenancy.pod_of(layout, each).vcpus for each in layout.engines), default=0.0)
    if (size.gpu or None) != machine.gpu and not machine.tpus:
        yield Violation(
            f"{machine.name} has {machine.gpus} × {machine.gpu}" if machine.gpu
            else f"{machine.name} has no GPU",
            f"{size.gpus} × {size.gpu}" if size.gpu else "no GPU",
            "leave machine out, and gpu and gpus choose it",
        )  # fmt: skip
    elif size.gpus > machine.gpus:
        yield Violation(
            f"{machine.name} has {machine.gpus} GPUs", f"{size.gpus} in a pod",
            f"set gpus={machine.gpus}, or another machine",
        )  # fmt: skip
    if memory > machine.allocatable_bytes:
        yield Violation(
            f"{machine.name} leaves {show_mib(machine.allocatable_bytes)} to pods of its "
            f"{machine.memory_gib} GiB",
            show_mib(memory),
            f"set memory={show_mib(machine.allocatable_bytes - (memory - size.memory_bytes))}, or "
            "a larger machine",
        )
    if vcpus > machine.allocatable_vcpus:
        most = machine.allocatable_vcpus - (vcpus - size.vcpus)
        yield Violation(
            f"{machine.name} leaves {machine.allocatable_vcpus:g} of its {machine.vcpus} vCPUs",
            f"{vcpus:g}",
            f"set vcpus={int(most * 10) / 10:g}, or a larger machine",
        )
    if size.architecture != machine.architecture:
        yield Violation(
            f"{machine.name} is {machine.architecture}",
            size.architecture,
            f"set architecture={machine.architecture}, and an image for it",
        )


def show_mib(size_bytes: int) -> str:
    """Whole MiB, down: what is told to do must then pass."""
    return show_bytes(size_bytes >> 20 << 20)


def _tenants(layout: Layout) -> Iterator[Violation]:
    taken: dict[str, str] = {}
    for tenant, given in layout.tenants.items():
        for model in given.models:
            if model not in layout.entries:
                yield Violation(
                    f"tenants.{tenant}.models are models of this file",
                    repr(model),
                    f"choose among {', '.join(layout.entries)}",
                )
            if model in taken:
                yield Violation(
                    "a model is one tenant's", f"{model!r} of {taken[model]} and {tenant}",
                    "give each tenant a model of its own with the same ref",
                )  # fmt: skip
            taken[model] = tenant
        yield from _quota(layout, tenant)


def _quota(layout: Layout, tenant: str) -> Iterator[Violation]:
    """It must hold one pod of each of its models, or one of them never starts."""
    for each in layout.of(tenant):
        one, most = tenancy.pod_of(layout, each), tenancy.allowed(layout, tenant)
        for name, needed, given in (
            ("vcpus", one.vcpus, most.vcpus),
            ("memory", one.memory_bytes, most.memory_bytes),
            ("gpus", one.gpus, most.gpus),
            ("pods", one.pods, most.pods),
        ):
            if given < needed:
                yield Violation(
                    f"tenants.{tenant}.{name} is {given:g}",
                    f"{needed:g} in one pod of {each.model}",
                    f"set it to {needed:g} or more",
                )


def _sizes(layout: Layout) -> Iterator[Violation]:
    """Configuration travels in ConfigMaps, which are no place for a novel."""
    texts = {"the gateway's configuration": len(dumped(configuration(layout)).encode())}
    for each in layout.engines:
        if each.image.known:
            files = engine.config_files(layout, each)
            texts[f"models.{each.model}"] = sum(len(text.encode()) for text in files.values())
    for name, found in texts.items():
        if found > MOST_CONFIG_BYTES:
            yield Violation(
                "a ConfigMap holds at most 1 MiB",
                f"{found} bytes in {name}",
                "keep long prompts in files of the image",
            )


_Rule = Callable[[Layout], Iterator[Violation]]
_RULES: tuple[_Rule, ...] = (
    _words, _names, _helper, _keys, _tenants, _engines, _parallel, _machine, _sizes
)  # fmt: skip
