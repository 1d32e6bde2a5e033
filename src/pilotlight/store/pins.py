"""Holding a model to the digest that the configuration pins it to."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from pilotlight.errors import DigestError
from pilotlight.store.address import redacted
from pilotlight.store.digest import combined
from pilotlight.store.publication import Arrived
from pilotlight.store.sources.base import Listing


def with_pin(listing: Listing, pin: str | None) -> Listing:
    """Expect the pinned hash; files known to have another need no download to be refused."""
    if pin is None or any(file.member is not None for file in listing.files):
        return listing
    known = [(file.file_name, file.sha256) for file in listing.files if file.sha256 is not None]
    if len(known) == len(listing.files):
        require(redacted(listing.files[0].url), combined(known), pin)
    if len(listing.files) == 1:
        return replace(listing, files=(replace(listing.files[0], sha256=pin),))
    return listing


def check_arrived(arrived: Sequence[Arrived], pin: str | None) -> None:
    """Raises DigestError when what came is not what is pinned."""
    require(arrived[0].name, combined((each.name, each.sha256) for each in arrived), pin)


def require(name: str, found: str, pin: str | None) -> None:
    """Raises DigestError for a hash that isn't the pinned one."""
    if pin not in (None, found):
        raise DigestError(
            f"{name!r} has sha256:{found}, expected sha256:{pin}",
            hint="correct the model's digest, or name a revision that has it",
        )
