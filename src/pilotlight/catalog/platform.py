"""Where a model can run, for what money: platforms with their rules, and what each offers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from pilotlight.catalog.billing import Billing, InstanceBilling, MachineBilling, OwnedBilling
from pilotlight.catalog.row import Count, FieldProblem, NotNegative, Positive, Row, Tally
from pilotlight.errors import ConfigError

Family = Literal["function", "container", "pod", "machine", "owned"]
CpuArchitecture = Literal["x86_64", "arm64"]

GIB = 2**30


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What the platform allows; None is no limit that matters here."""

    memory_gib: Positive | None = None
    vcpus: Positive | None = None
    gib_per_vcpu: Positive | None = None
    concurrency: Count | None = None
    """Requests that one instance may be given at once."""

    request_s: Positive | None = None
    response_mib: Positive | None = None
    """Of a streamed response."""

    image_gib: Positive | None = None
    disk_gib: Positive | None = None
    instances: Count | None = None
    scale_to_zero: bool
    idle_s: NotNegative = 0
    """How long an instance without requests stays; `note` says where one may choose it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Provision:
    """What comes before the engine's own start, where nothing runs yet."""

    boot_s: NotNegative
    """Until the first instruction of ours."""

    boot_billed: bool
    fetch_mb_s: Positive
    """Model bytes from the platform's own storage, or out of the image, in 10⁶ bytes."""

    restart_after_s: Positive | None = None
    """A start that takes longer is broken off then, and begun again."""

    basis: str
    """Where these come from: a document, or that they are assumed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Platform(Row):
    title: str
    provider: str
    family: Family
    region: str | None = None
    private: bool = False
    """Whether nobody else's machine sees a prompt."""

    limits: Limits
    provision: Provision
    billing: Billing
    note: str = ""

    @property
    def concurrent(self) -> bool:
        return self.limits.concurrency != 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer(Row):
    """A size that can be had on a platform. What is paid besides the platform's rates is here."""

    platform: str
    vcpus: Positive
    """Hardware threads where the seller counts threads."""

    threads_per_core: Count = 2
    memory_gib: Positive
    cpu: str
    """A row of the processors."""

    architecture: CpuArchitecture = "x86_64"
    gpu: str | None = None
    gpus: Tally = 0
    usd_per_hour: NotNegative | None = None
    """On machines: all of it, GPUs and all."""

    gpu_usd_per_s: NotNegative | None = None
    """On instances: each GPU, besides vCPUs and memory."""

    disk_gib: NotNegative = 0
    capital_usd: NotNegative | None = None
    years: Positive | None = None
    load_w: Positive | None = None
    """Drawn by the whole machine at full load."""

    idle_w: NotNegative | None = None
    """Drawn without any; None: a tenth of `load_w`."""

    def __post_init__(self) -> None:
        if (self.gpu is None) != (self.gpus == 0):
            raise FieldProblem("gpus", "a count with a `gpu`, and none without")

    @property
    def cores(self) -> float:
        return self.vcpus / self.threads_per_core

    @property
    def memory_bytes(self) -> int:
        return int(self.memory_gib * GIB)


@dataclass(frozen=True, slots=True)
class Rentable:
    """An offer with its platform's rules: all that a price needs."""

    platform: Platform
    offer: Offer

    @property
    def as_of(self) -> str:
        """Of the older of the two."""
        return min(self.platform.as_of, self.offer.as_of).isoformat()


_PRICES: Mapping[type, tuple[str, ...]] = {
    InstanceBilling: ("gpu_usd_per_s",),
    MachineBilling: ("usd_per_hour",),
    OwnedBilling: ("capital_usd", "years", "load_w"),
}
"""Fields of an offer that its platform's rule reads, and no other rule does."""


def rentables(
    platforms: Mapping[str, Platform], offers: Mapping[str, Offer]
) -> tuple[Rentable, ...]:
    """Every offer with its platform. Raises ConfigError for one that can't be priced."""
    found = []
    for offer in offers.values():
        platform = platforms.get(offer.platform)
        if platform is None:
            raise ConfigError(
                f"the offer {offer.name!r} is on a platform {offer.platform!r} that isn't there",
                hint=f"one of: {', '.join(platforms)}",
            )
        _check(platform, offer)
        found.append(Rentable(platform, offer))
    return tuple(found)


def _check(platform: Platform, offer: Offer) -> None:
    kind = type(platform.billing)
    for rule, names in _PRICES.items():
        for name in names:
            given = getattr(offer, name) is not None
            due = rule is kind and (name != "gpu_usd_per_s" or offer.gpu is not None)
            if given != due:
                raise ConfigError(
                    f"the offer {offer.name!r} on {platform.name!r} has "
                    f"{'a' if given else 'no'} {name!r}",
                    hint=f"{platform.name!r} bills by {platform.billing.kind!r}: "
                    + ("leave it out" if given else "give it"),
                )
