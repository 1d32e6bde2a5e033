"""GPUs that Cloud Run has, where, and how large an instance has to be to have one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

SOURCE = "cloud.google.com/run/docs/configuring/services/gpu"
AS_OF = "2026-10-01"


@dataclass(frozen=True, slots=True, kw_only=True)
class CloudRunGpu:
    accelerator: str
    """In Cloud Run's words."""

    least_vcpus: int
    least_memory_gib: int
    most_vcpus: int
    most_memory_gib: int
    regions: tuple[str, ...]


GPUS: Mapping[str, CloudRunGpu] = {
    "l4": CloudRunGpu(
        accelerator="nvidia-l4",
        least_vcpus=4,
        least_memory_gib=16,
        most_vcpus=8,
        most_memory_gib=32,
        # asia-south1 is by invitation.
        regions=(
            "us-central1",
            "us-east4",
            "europe-west1",
            "europe-west4",
            "asia-southeast1",
            "asia-south1",
        ),
    ),
    "rtx-pro-6000": CloudRunGpu(
        accelerator="nvidia-rtx-pro-6000",
        least_vcpus=20,
        least_memory_gib=80,
        most_vcpus=20,
        most_memory_gib=80,
        regions=("us-central1", "europe-west4", "asia-southeast1", "asia-south2"),
    ),
}
"""By the catalog's name. Each instance has one at most."""
