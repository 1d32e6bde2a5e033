"""A release's size as an offer of its platform's, so that the planner's rules can price it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from pilotlight.catalog.billing import InstanceBilling, MachineBilling, RequestBilling
from pilotlight.catalog.catalog import Catalog
from pilotlight.catalog.platform import GIB, Offer, Rentable, rentables
from pilotlight.deploy.release import Release
from pilotlight.deploy.size import Size


def rented(release: Release[Any], platform: str, catalog: Catalog) -> Rentable | None:
    """None where nobody knows what it would cost: no such platform, GPU or machine is known."""
    sold = [
        each
        for each in rentables(catalog.platforms, catalog.offers)
        if each.platform.name == platform
    ]
    if not sold:
        return None
    if isinstance(sold[0].platform.billing, RequestBilling | InstanceBilling):
        return _instance(release.size, sold)
    found = _planned(release, sold)
    if found is None and isinstance(sold[0].platform.billing, MachineBilling):
        return _machine(release.size, sold)
    return found  # what somebody paid for a machine of their own isn't ours to guess


def _instance(size: Size, sold: Sequence[Rentable]) -> Rentable | None:
    """Any size can be had at the platform's rates; a GPU's rate is an offer's own."""
    same = [each for each in sold if (each.offer.gpu is None) == (size.gpu is None)]
    same = [each for each in same if each.offer.gpu == size.gpu]
    if not same:
        return None
    nearest = min(same, key=lambda each: _distance(each.offer, size))
    if _distance(nearest.offer, size) == (0, 0) and nearest.offer.gpus == size.gpus:
        return Rentable(nearest.platform, replace(nearest.offer, disk_gib=size.disk_bytes / GIB))
    offer = replace(
        nearest.offer,
        name=_words(size),
        vcpus=size.vcpus,
        memory_gib=size.memory_bytes / GIB,
        gpus=size.gpus,
        architecture=size.architecture,
        disk_gib=size.disk_bytes / GIB,
    )
    return Rentable(nearest.platform, offer)


def _distance(offer: Offer, size: Size) -> tuple[float, float]:
    return abs(offer.memory_bytes - size.memory_bytes), abs(offer.vcpus - size.vcpus)


def _words(size: Size) -> str:
    gpu = f" {size.gpus}x {size.gpu}" if size.gpu else ""
    return f"{size.vcpus:g} vCPU {size.memory_bytes / GIB:.3g} GiB{gpu}"


def _planned(release: Release[Any], sold: Sequence[Rentable]) -> Rentable | None:
    """The machine that the plan chose, unless something else is asked for now."""
    if release.plan is None:
        return None
    named = release.plan.deployment.offer
    found = next((each for each in sold if each.offer.name == named), None)
    return found if found and _holds(found.offer, release.size) else None


def _holds(offer: Offer, size: Size) -> bool:
    gpu = (offer.gpu, offer.gpus) == (size.gpu, size.gpus)
    return gpu and offer.vcpus >= size.vcpus and offer.memory_bytes >= size.memory_bytes


def _machine(size: Size, sold: Sequence[Rentable]) -> Rentable | None:
    """The cheapest that holds one instance."""
    found = [
        each
        for each in sold
        if _holds(each.offer, size) and each.offer.architecture == size.architecture
    ]
    return min(found, key=lambda each: each.offer.usd_per_hour or 0.0, default=None)
