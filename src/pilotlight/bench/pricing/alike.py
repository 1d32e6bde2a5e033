"""The sizes that platforms sell of a machine like the one that was measured."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from pilotlight.catalog.platform import GIB, Offer, Rentable

MOST = 2.0
"""Times the vCPUs; a larger size would be paid for and not used."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """What served: the part of a machine that it may use."""

    vcpus: float
    memory_bytes: int
    """That it takes, not that there is."""

    gpu: str | None = None
    """A name in the catalog."""

    gpus: int = 0


def alike(subject: Subject, offered: Iterable[Rentable]) -> list[Rentable]:
    """Of each platform the smallest offer that has as much; none of platforms that sell no such.

    A machine of one's own isn't like any other: those are priced when they are asked for.
    """
    found: dict[str, Rentable] = {}
    for each in offered:
        if each.platform.family == "owned" or not _holds(each.offer, subject):
            continue
        best = found.get(each.platform.name)
        if best is None or _size(each.offer) < _size(best.offer):
            found[each.platform.name] = each
    return list(found.values())


def _holds(offer: Offer, subject: Subject) -> bool:
    if (offer.gpu, offer.gpus) != (subject.gpu, subject.gpus):
        return False
    # Beside a GPU the processors are its seller's choice.
    fits = bool(subject.gpu) or subject.vcpus <= offer.vcpus <= MOST * subject.vcpus
    return fits and offer.memory_gib * GIB >= subject.memory_bytes


def _size(offer: Offer) -> tuple[float, float]:
    return offer.vcpus, offer.memory_gib
