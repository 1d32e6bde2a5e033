"""What a release's silence means on Cloud Run: its billing, its row of the catalog, its region."""

from __future__ import annotations

from functools import cache
from typing import TypeAlias

from pilotlight.catalog import catalog
from pilotlight.catalog.platform import Platform
from pilotlight.deploy.cloud_run.options import CloudRunOptions
from pilotlight.deploy.release import Release

CloudRunRelease: TypeAlias = Release[CloudRunOptions]


def platform_of(release: CloudRunRelease) -> str:
    if release.size.gpu is not None:
        return "cloud-run-gpu"
    return f"cloud-run-{billing_of(release)}"


def billing_of(release: CloudRunRelease) -> str:
    """GPUs are billed by instance, so that is what silence means with one."""
    usual = "instance" if release.size.gpu is not None else "request"
    return release.options.billing or usual


def region_of(release: CloudRunRelease) -> str:
    """Without a word, the one whose rates the bill has."""
    return release.region or row_of(platform_of(release)).region or "us-central1"


@cache
def row_of(platform: str) -> Platform:
    """Of the shipped catalog: a user's own prices change no limit of Cloud Run's."""
    return catalog.load().platforms.find(platform)
