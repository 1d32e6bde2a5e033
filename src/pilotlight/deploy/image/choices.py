"""Where instances have the weights from, weighed: seconds and dollars of each way; pure.

The rates are the catalog's rows of platforms. They have one speed for bytes out of an image and
out of storage of the region, so a start takes as long either way. What differs is what is paid
for room, which limit is met first, and what a change costs: a new model in the image is another
push, a fetched or mounted one is none.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from pilotlight.catalog.billing import InstanceBilling, RequestBilling
from pilotlight.catalog.platform import GIB, Platform
from pilotlight.deploy.release import ModelSource
from pilotlight.deploy.size import Size
from pilotlight.quantities import about_bytes, about_seconds

_HOUR_S = 3600.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    platform: str
    models: ModelSource
    start_s: float
    """From nothing to the last byte of the weights, on a new instance."""

    usd_per_start: float | None
    """What of it is billed; None where a whole machine is."""

    disk_usd_per_hour: float
    """Of room for the weights in each instance that runs, beyond what is included."""

    pushed_bytes: int
    """What another model sends to the registry."""

    problem: str | None = None


def choices(
    platform: Platform, size: Size, *, model_bytes: int, image_bytes: int
) -> tuple[Choice, Choice, Choice]:
    """In the image, fetched at each start, or from a mounted cache. `image_bytes` is without."""
    provision = platform.provision
    fetch_s = model_bytes / (provision.fetch_mb_s * 1e6)
    start_s = provision.boot_s + fetch_s
    billed_s = fetch_s + (provision.boot_s if provision.boot_billed else 0.0)
    per_s = _usd_per_s(platform, size)
    usd = None if per_s is None else billed_s * per_s

    def of(models: ModelSource, disk_usd: float, pushed: int, problem: str | None) -> Choice:
        return Choice(
            platform=platform.name, models=models, start_s=start_s, usd_per_start=usd,
            disk_usd_per_hour=disk_usd, pushed_bytes=pushed, problem=problem,
        )  # fmt: skip

    limits = platform.limits
    too_large = _over("image", image_bytes + model_bytes, limits.image_gib)
    no_room = _over("disk", model_bytes, limits.disk_gib)
    return (
        of("image", 0.0, model_bytes, too_large),
        of("fetch", _disk_usd_per_hour(platform, model_bytes), 0, no_room),
        of("mount", 0.0, 0, None),
    )


def _usd_per_s(platform: Platform, size: Size) -> float | None:
    billing = platform.billing
    if not isinstance(billing, RequestBilling | InstanceBilling) or size.gpus:
        return None  # a GPU's rate is the offer's, and a machine is paid for whatever it does
    if not billing.start_billed:
        return 0.0
    gib = size.memory_bytes / GIB
    return size.vcpus * billing.vcpu_usd_per_s + gib * billing.gib_usd_per_s


def _disk_usd_per_hour(platform: Platform, model_bytes: int) -> float:
    billing = platform.billing
    if not isinstance(billing, RequestBilling):
        return 0.0
    paid_gib = max(0.0, model_bytes / GIB - billing.disk_included_gib)
    return paid_gib * billing.disk_gib_usd_per_s * _HOUR_S


def _over(what: str, size_bytes: int, limit_gib: float | None) -> str | None:
    if limit_gib is None or size_bytes <= limit_gib * GIB:
        return None
    return f"{about_bytes(size_bytes)} is over its {what} limit of {limit_gib:g} GiB"


def text(found: Iterable[Choice]) -> str:
    """A line each, for people."""
    return "\n".join(_line(one) for one in found)


def _line(one: Choice) -> str:
    return f"{one.platform:<20} {one.models:<6} " + "; ".join(_words(one))


def _words(one: Choice) -> Iterator[str]:
    if one.problem is not None:
        yield one.problem
        return
    yield f"{about_seconds(one.start_s)} to the last byte"
    if one.usd_per_start is not None:
        yield f"${one.usd_per_start:.6f} a start"
    if one.disk_usd_per_hour:
        yield f"${one.disk_usd_per_hour:.6f} an hour for its disk"
    if one.pushed_bytes:
        yield f"another model pushes {about_bytes(one.pushed_bytes)}"
    if one.models == "mount":
        yield "the storage is billed apart"
