"""A source, a target's options and the catalog make a release: every default is decided here.

What is given wins, then what the plan says, then the target's own default, then the one that
`settings.Common` names.
"""

from __future__ import annotations

import math
import re
import typing
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, get_args

from pilotlight.catalog.catalog import Catalog
from pilotlight.catalog.platform import CpuArchitecture
from pilotlight.config import Bytes
from pilotlight.deploy.release import ModelSource, Release
from pilotlight.deploy.section import COMMON, common_of, options_of
from pilotlight.deploy.settings import Common
from pilotlight.deploy.size import Scaling, Size
from pilotlight.deploy.source import Source
from pilotlight.deploy.target import Target
from pilotlight.errors import ConfigError
from pilotlight.planner.plan import Deployment

VCPUS = 2.0
MEMORY_BYTES = 6 * 2**30
SCRATCH_BYTES = 2**29
"""Logs, measurements and the system prompts' states, beside the models."""

CONCURRENCY, MAXIMUM = 8, 4
IDLE_S = REQUEST_TIMEOUT_S = 300.0

_NAME = re.compile(r"[a-z]([a-z0-9-]{0,38}[a-z0-9])?")
LONGEST_NAME = 40
"""Of a DNS label's 63: the platforms put more behind it, such as a revision."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """What this machine knows besides: of the image that it built, its keys, its models."""

    catalog: Catalog
    keys: Mapping[str, Any] = field(default_factory=dict)
    image: Callable[[str], str | None] = lambda name: None
    """What `deploy image` made last of that name."""

    weights_bytes: Callable[[Source], int | None] = lambda source: None
    """Of all its models together; None where nobody knows. Only asked where it matters."""


def resolve(
    target: Target,
    source: Source,
    known: Known,
    overrides: Sequence[str] = (),
    *,
    with_image: bool = True,
) -> Release[Any]:
    """Pure: the same arguments make the same release.

    `with_image` False is for whatever asks after a release and sends none.

    Raises:
        ConfigError: a key, a name or a value that can't be, or no image.
    """
    given: Common = options_of(target, source.section, overrides, source=source.name)
    usual: Common = target.options()
    fetches = _first(given.models, usual.models) == "fetch"
    if fetches and not with_image and weights_bytes(source, known) is None:
        # Whoever asks or deletes may do so on a machine that never had the models.
        usual = replace(usual, disk=_first(usual.disk, Bytes(SCRATCH_BYTES)))
    release = _released(source, known, given, usual)
    if target.options.needs_image:
        image = given.image or known.image(release.name)
        if image is None and with_image:
            raise _no_image(target)
        release = replace(release, image=image)
    return _of_platform(release, target, known.catalog, given)


def resolve_image(source: Source, known: Known, overrides: Sequence[str] = ()) -> Release[Common]:
    """What an image for every target is made for: the release of none.

    Raises as `resolve` does.
    """
    given = common_of(source.section, overrides, source=source.name)
    # How much room its instances need isn't the image's to know.
    return _released(source, known, given, Common(disk=Bytes(SCRATCH_BYTES)))


def _released(source: Source, known: Known, given: Common, usual: Common) -> Release[Common]:
    planned = source.plan.deployment if source.plan else None
    models = _model_source(_first(given.models, usual.models, "image"))
    return Release(
        name=_name(given, source),
        serve=source.serve,
        image=None,
        size=_size(given, usual, models, source, known),
        scaling=_scaling(given, planned, usual),
        models=models,
        region=given.region,
        keys=known.keys,
        plan=source.plan,
        plan_source=source.name if source.plan else None,
        options=_filled(given, usual),
    )


def _no_image(target: Target) -> ConfigError:
    return ConfigError(
        f"no image is named for {target.name}, and none was made here",
        hint="make one with: pilotlight deploy image; or name one: --image REGISTRY/NAME:TAG",
    )


def _first(*values: Any) -> Any:
    """The first that is there: zero is, None isn't."""
    return next((value for value in values if value is not None), None)


def _filled(given: Common, usual: Common) -> Common:
    """With the target's own defaults where nobody said anything."""
    return replace(given, **{name: _first(getattr(given, name), getattr(usual, name))
                             for name in COMMON})  # fmt: skip


def _name(options: Common, source: Source) -> str:
    """Raises ConfigError: it is no DNS label, or too long for what is made of it."""
    name = options.name or label_of(next(iter(source.serve.get("models") or {}), ""))
    if not _NAME.fullmatch(name):
        raise ConfigError(
            f"deploy.name is {name!r}, expected lower-case letters, digits and dashes, "
            f"a letter first, at most {LONGEST_NAME}",
            hint=f"such as --name {label_of(name)}",
        )
    return name


def label_of(text: str) -> str:
    """A name that a platform takes: ``Llama 3.2 1B`` → ``llama-3-2-1b``."""
    plain = re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")
    whole = plain if plain[:1].isalpha() else f"model-{plain}"
    return whole[:LONGEST_NAME].strip("-")


def _model_source(text: str) -> ModelSource:
    return typing.cast("ModelSource", _choice("deploy.models", text, ModelSource))


def _choice(where: str, text: str, kind: Any) -> str:
    if text not in get_args(kind):
        expected = " or ".join(get_args(kind))
        raise ConfigError(f"{where} is {text!r}, expected {expected}")
    return text


def weights_bytes(source: Source, known: Known) -> int | None:
    """Of all its models, as they lie here or as the plan has them; None where nobody knows."""
    found, plan = known.weights_bytes(source), source.plan
    if found is not None or plan is None:
        return found
    planned = plan.deployment
    return math.ceil(planned.parameters * planned.bits_per_weight / 8)


def _size(given: Common, usual: Common, models: ModelSource, source: Source, known: Known) -> Size:
    """An instance is a whole machine of the plan's, which may hold several of its replicas."""
    planned = source.plan.deployment if source.plan else None
    offer = known.catalog.offers.seek(planned.offer) if planned else None
    vcpus = memory = None
    if planned is not None:
        vcpus = offer.vcpus if offer else planned.vcpus * copies(planned)
        # The plan's own figure is without the part of the operating system.
        memory = offer.memory_bytes if offer else planned.ram_bytes * copies(planned)
    gpu, gpus = _gpus(given, planned, usual, known.catalog)
    processor = _first(given.architecture, offer and offer.architecture, usual.architecture)
    disk = _first(given.disk, usual.disk)
    if disk is None:
        disk = _disk(models, lambda: weights_bytes(source, known))
    return Size(
        vcpus=_positive("vcpus", _first(given.vcpus, vcpus, usual.vcpus, VCPUS)),
        memory_bytes=int(
            _positive("memory", _first(given.memory, memory, usual.memory, MEMORY_BYTES))
        ),
        disk_bytes=int(_positive("disk", disk)),
        architecture=typing.cast(
            "CpuArchitecture",
            _choice("deploy.architecture", processor or "x86_64", CpuArchitecture),
        ),
        gpu=gpu,
        gpus=gpus,
    )


def copies(planned: Deployment) -> int:
    """Replicas of the plan's on one of its machines."""
    return max(1, planned.replicas // planned.machines)


def _disk(models: ModelSource, weighed: Callable[[], int | None]) -> int:
    """Raises ConfigError: it has to hold models whose size nobody knows."""
    if models != "fetch":
        return SCRATCH_BYTES
    found = weighed()
    if found is None:
        raise ConfigError(
            "instances fetch their models, and how large those are isn't known here",
            hint="say what they need: --set disk=10GB; or `pilotlight pull` them once",
        )
    return found + SCRATCH_BYTES


def _gpus(
    given: Common, planned: Deployment | None, usual: Common, catalog: Catalog
) -> tuple[str | None, int]:
    """Raises ConfigError: the catalog has no such GPU, or a count without one."""
    text = _first(given.gpu, planned and planned.gpu, usual.gpu)
    if text is None or text == "none":
        if given.gpus:
            raise ConfigError(
                f"deploy.gpus is {given.gpus} without a GPU", hint="name it: --set gpu=L4"
            )
        return None, 0
    from_plan = planned.gpus * copies(planned) if planned and planned.gpu else None
    count = _first(given.gpus, from_plan, usual.gpus, 1)
    return catalog.gpus.find(text).name, int(_positive("gpus", count))


def _scaling(given: Common, planned: Deployment | None, usual: Common) -> Scaling:
    minimum, maximum = _bounds(given, planned, usual)
    batch = planned.concurrency * copies(planned) if planned else None
    concurrency = _first(given.concurrency, batch, usual.concurrency, CONCURRENCY)
    timeout_s = _positive("timeout", _first(given.timeout, usual.timeout, REQUEST_TIMEOUT_S))
    if not math.isfinite(timeout_s):
        raise ConfigError(
            "deploy.timeout is forever, and no platform waits so long", hint="such as 15m"
        )
    return Scaling(
        concurrency=int(_positive("concurrency", concurrency)),
        minimum=minimum,
        maximum=maximum,
        idle_s=_first(given.idle, planned and planned.idle_s, usual.idle, IDLE_S),
        request_timeout_s=timeout_s,
    )


def _bounds(given: Common, planned: Deployment | None, usual: Common) -> tuple[int, int]:
    """Raises ConfigError: more are kept ready than there may be."""
    minimum = _first(given.minimum, _planned_minimum(planned), usual.minimum, 0)
    machines = planned.machines if planned else None
    most = max(1, minimum, _first(machines, usual.maximum, MAXIMUM))
    maximum = _first(given.maximum, most)
    if minimum < 0 or maximum < 1 or minimum > maximum:
        raise ConfigError(
            f"deploy.minimum is {minimum} and deploy.maximum {maximum}, expected 0 or more, and "
            "at least one and as many",
            hint=f"such as --set maximum={max(1, minimum)}",
        )
    return minimum, maximum


def _planned_minimum(planned: Deployment | None) -> int | None:
    """A plan that never stops a machine has all of them ready."""
    if planned is None:
        return None
    return planned.machines if planned.idle_s is None else planned.minimum


def _positive(name: str, value: float) -> float:
    if not value > 0:
        raise ConfigError(f"deploy.{name} is {value!r}, expected more than none")
    return value


def _of_platform(
    release: Release[Any], target: Target, catalog: Catalog, given: Common
) -> Release[Any]:
    """With what only a platform's own plan knows, and within what nobody asked to go beyond."""
    platform = target.platform(release)
    row = catalog.platforms.seek(platform)
    scaling, region = release.scaling, release.region
    most = row.limits.concurrency if row else None
    if most is not None and given.concurrency is None:
        scaling = replace(scaling, concurrency=min(most, scaling.concurrency))
    if region is None and release.plan and release.plan.deployment.platform == platform:
        region = release.plan.deployment.region
    return replace(release, scaling=scaling, region=region)


def changed(release: Release[Any]) -> Iterator[tuple[str, str]]:
    """What differs from the plan that it came from, key and both values in words."""
    if release.plan is None:
        return
    planned = release.plan.deployment
    size, scaling = release.size, release.scaling
    pairs: Mapping[str, tuple[object, object]] = {
        "GPU": (planned.gpu, size.gpu),
        "concurrency": (planned.concurrency * copies(planned), scaling.concurrency),
        "minimum": (_planned_minimum(planned), scaling.minimum),
    }
    for name, (before, after) in pairs.items():
        if before != after:
            yield name, f"{before or 'none'} in the plan, {after or 'none'} here"
