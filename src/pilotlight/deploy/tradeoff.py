"""Where the weights may be, weighed on every serverless platform that a release could go to."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from pilotlight.catalog.catalog import Catalog
from pilotlight.catalog.platform import Platform
from pilotlight.deploy.image.choices import Choice, choices
from pilotlight.deploy.release import Release
from pilotlight.planner.deploying import IMAGE_BYTES

_FAMILIES = ("function", "container")
_PROVIDERS = ("aws", "google")
"""Those that a target deploys to; machines keep what they fetched once."""


def tradeoff(
    release: Release[Any],
    catalog: Catalog,
    model_bytes: int | None,
    image_bytes: int = IMAGE_BYTES,
) -> tuple[Choice, ...]:
    """In the image, fetched or mounted; nothing where nobody knows how large the weights are."""
    if model_bytes is None:
        return ()
    return tuple(
        choice
        for platform in platforms(release, catalog)
        for choice in choices(
            platform, release.size, model_bytes=model_bytes, image_bytes=image_bytes
        )
    )


def platforms(release: Release[Any], catalog: Catalog) -> Iterator[Platform]:
    """Where such an instance is sold at all."""
    wanted = (release.size.gpu, release.size.architecture)
    sold = {
        offer.platform
        for offer in catalog.offers.values()
        if (offer.gpu, offer.architecture) == wanted
    }
    for platform in catalog.platforms.values():
        ours = platform.family in _FAMILIES and platform.provider in _PROVIDERS
        if ours and platform.name in sold:
            yield platform
