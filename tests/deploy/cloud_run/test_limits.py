"""Each limit just below, at and above; what is refused names the limit, the value and a fix."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from google.cloud import run_v2
from google.protobuf import json_format
from hypothesis import given
from hypothesis import strategies as st

from deploy.cloud_run.admin_rules import faults, plain
from deploy.cloud_run.releases import (
    CASES,
    CHAT,
    GIB,
    GPU,
    GUARDED,
    with_options,
    with_scaling,
    with_size,
)
from deploy.core.made import planned
from pilotlight.deploy.cloud_run.cloud_run import CloudRun
from pilotlight.deploy.cloud_run.limits import VARIABLE_BYTES
from pilotlight.deploy.cloud_run.placement import CloudRunRelease

MIB = 2**20
FITS: list[tuple[str, CloudRunRelease]] = [
    ("name of 49", replace(CHAT, name="c" * 49)),
    ("32 GiB", with_size(CHAT, vcpus=8, memory_bytes=32 * GIB)),
    ("4 GiB for each vCPU", with_size(CHAT, vcpus=2, memory_bytes=8 * GIB)),
    ("2 GiB with 4", with_size(CHAT, vcpus=4, memory_bytes=2 * GIB)),
    ("4 GiB with 6", with_size(CHAT, vcpus=6, memory_bytes=4 * GIB)),
    ("512 MiB", with_size(CHAT, vcpus=1, memory_bytes=512 * MIB)),
    ("concurrency 1000", with_scaling(CHAT, concurrency=1000)),
    ("an hour", with_scaling(CHAT, request_timeout_s=3600)),
    ("L4 at its least", with_size(GPU, vcpus=4, memory_bytes=16 * GIB)),
    ("L4 at its most", GPU),
    ("RTX PRO 6000", replace(GPU, region="us-central1", size=replace(
        GPU.size, vcpus=20, memory_bytes=80 * GIB, gpu="rtx-pro-6000"))),
    ("files that fill it", replace(CHAT, models="fetch", size=replace(
        CHAT.size, disk_bytes=6 * GIB))),
    ("more files on a disk", replace(GUARDED, size=replace(GUARDED.size, disk_bytes=32 * GIB))),
    ("a small one", with_options(
        with_scaling(with_size(CHAT, vcpus=0.5, memory_bytes=GIB), concurrency=1),
        execution_environment="gen1")),
    ("a tiny one", with_options(
        with_scaling(with_size(CHAT, vcpus=0.08, memory_bytes=128 * MIB), concurrency=1),
        execution_environment="gen1")),
    ("Docker Hub by its name", replace(CHAT, image="docker.io/acme/chat:1")),
    ("Docker Hub by none", replace(CHAT, image="acme/chat:1")),
    ("the old registry", replace(CHAT, image="eu.gcr.io/acme/chat:1")),
    ("keys in Secret Manager", replace(with_options(CHAT, keys_secret="chat-keys"), keys={})),
    ("32 MiB of request", replace(CHAT, serve={**CHAT.serve, "max_body": "32MiB"})),
]  # fmt: skip

REFUSED: list[tuple[str, CloudRunRelease, str, str, str]] = [
    ("name of 50", replace(CHAT, name="c" * 50), "name at most 49", "50 characters", "name: ccc"),
    ("over 32 GiB", with_size(CHAT, vcpus=8, memory_bytes=32 * GIB + 1),
     "memory at most 32 GiB", "32 GiB", "memory: 32GiB"),
    ("over 4 GiB for each", with_size(CHAT, vcpus=2, memory_bytes=8 * GIB + MIB),
     "at most 4 GiB for each vCPU", "8.001 GiB and 2 vCPUs", "vcpus: 4"),
    ("under 2 GiB with 4", with_size(CHAT, vcpus=4, memory_bytes=2 * GIB - MIB),
     "at least 2 GiB with 4 vCPUs", "1.999 GiB", "memory: 2GiB"),
    ("under 4 GiB with 8", with_size(CHAT, vcpus=8, memory_bytes=4 * GIB - MIB),
     "at least 4 GiB with 8 vCPUs", "3.999 GiB", "memory: 4GiB"),
    ("under 512 MiB", with_size(CHAT, vcpus=1, memory_bytes=511 * MIB),
     "at least 0.5 GiB with gen2", "0.499 GiB", "memory: 512MiB"),
    ("3 vCPUs", with_size(CHAT, vcpus=3), "one of 1, 2, 4, 6, 8", "3", "vcpus: 4"),
    ("10 vCPUs", with_size(CHAT, vcpus=10), "one of 1, 2, 4, 6, 8", "10", "vcpus: 8"),
    ("half a vCPU too much", with_size(CHAT, vcpus=1.5), "one of 1, 2", "1.5", "vcpus: 2"),
    ("concurrency below a vCPU", with_options(with_size(CHAT, vcpus=0.5, memory_bytes=GIB),
     execution_environment="gen1"), "below 1 vCPU concurrency 1", "concurrency 16", "vcpus: 1"),
    ("memory below half", with_options(with_scaling(
        with_size(CHAT, vcpus=0.49, memory_bytes=513 * MIB), concurrency=1),
        execution_environment="gen1"), "at most 0.5 GiB below 0.5 vCPU", "0.501 GiB", "vcpus: 1"),
    ("memory below one", with_options(with_scaling(
        with_size(CHAT, vcpus=0.99, memory_bytes=GIB + MIB), concurrency=1),
        execution_environment="gen1"), "at most 1 GiB below 1 vCPU", "1.001 GiB", "vcpus: 1"),
    ("gen2 below one", with_scaling(
        with_size(CHAT, vcpus=0.5, memory_bytes=GIB), concurrency=1),
     "below 1 vCPU execution environment gen1", "gen2", "vcpus: 1"),
    ("by instance below one", with_options(with_scaling(
        with_size(CHAT, vcpus=0.5, memory_bytes=GIB), concurrency=1),
        execution_environment="gen1", billing="instance"),
     "below 1 vCPU billing by request", "0.5 vCPU", "vcpus: 1"),
    ("concurrency 1001", with_scaling(CHAT, concurrency=1001),
     "concurrency at most 1000", "1001", "concurrency: 1000"),
    ("over an hour", with_scaling(CHAT, request_timeout_s=3600.5),
     "timeout at most 3600 s", "3600.5 s", "timeout: 3600s"),
    ("a chosen idle time", with_options(CHAT, idle=60.0),
     "idle instances stay", "60 s", "leave idle out"),
    ("Arm", with_size(CHAT, architecture="arm64"), "x86_64", "arm64", "architecture: x86_64"),
    ("another registry", replace(CHAT, image="ghcr.io/acme/chat:1"),
     "Artifact Registry or Docker Hub", "ghcr.io/acme/chat:1", "us-central1-docker.pkg.dev"),
    ("a registry that only looks like it", replace(CHAT, image="evildocker.io/acme/chat:1"),
     "Artifact Registry or Docker Hub", "evildocker.io", "us-central1-docker.pkg.dev"),
    ("L4 with 2 vCPUs", with_size(GPU, vcpus=2, memory_bytes=16 * GIB),
     "4 to 8 vCPUs", "2", "vcpus: 4"),
    ("L4 with 5 vCPUs", with_size(GPU, vcpus=5), "an even number", "5", "vcpus: 4"),
    ("L4 under 16 GiB", with_size(GPU, memory_bytes=16 * GIB - MIB),
     "16 to 32 GiB of memory", "16 GiB", "memory: 16GiB"),
    ("L4 over 32 GiB", with_size(GPU, memory_bytes=32 * GIB + MIB),
     "16 to 32 GiB of memory", "32 GiB", "memory: 32GiB"),
    ("RTX PRO 6000 at an L4's size", with_size(
        replace(GPU, region="us-central1"), gpu="rtx-pro-6000"),
     "20 to 20 vCPUs", "8", "vcpus: 20"),
    ("two GPUs", with_size(GPU, gpus=2), "one GPU", "2", "gpus: 1"),
    ("no such GPU there", with_size(GPU, gpu="h100-sxm"), "one of l4", "h100-sxm", "gpu: l4"),
    ("a region without it", replace(GPU, region="us-west1"),
     "l4 in one of us-central1", "us-west1", "region: us-central1"),
    ("a GPU by request", with_options(GPU, billing="request"),
     "billing by instance", "request", "billing: instance"),
    ("a GPU in gen1", with_options(GPU, execution_environment="gen1"),
     "gen2 with a GPU", "gen1", "execution_environment: gen2"),
    ("zones without a GPU", with_options(CHAT, zonal_redundancy=True),
     "zonal redundancy with a GPU", "none", "leave zonal_redundancy out"),
    ("files over memory", replace(CHAT, models="fetch", size=replace(
        CHAT.size, disk_bytes=6 * GIB + 1)),
     "files and model together", "6 GiB of files in 6 GiB", "memory: 7GiB"),
    ("too large a disk", replace(GUARDED, size=replace(
        GUARDED.size, disk_bytes=32 * GIB + 1)),
     "ephemeral disk at most 32 GiB", "32 GiB", "disk: 32GiB"),
    ("a disk in gen1", with_options(GUARDED, execution_environment="gen1"),
     "gen2 with an ephemeral disk", "gen1", "execution_environment: gen2"),
    ("no bucket", with_options(GPU, bucket=None), "a bucket to mount", "mount", "bucket: NAME"),
    ("a bucket for nothing", with_options(CHAT, bucket="models"),
     "models: mount with a bucket", "models: image", "models: mount"),
    ("a bucket in gen1", with_options(replace(CHAT, models="mount"), bucket="models",
     execution_environment="gen1"), "gen2 to mount", "gen1", "execution_environment: gen2"),
    ("a body over 32 MiB", replace(CHAT, serve={**CHAT.serve, "max_body": "33MiB"}),
     "a request at most 32 MiB", "33MiB", "max_body: 32MiB"),
    ("no keys", replace(CHAT, keys={"version": 1, "keys": []}),
     "an API key", "none", "pilotlight keys create --name web"),
    ("a slow fetch", with_size(replace(GUARDED, models="fetch"), disk_bytes=50_000_000_000),
     "ready within 240 s", "about 250 s", "models: image"),
]  # fmt: skip


@pytest.mark.parametrize("release", [each for _, each in FITS], ids=[name for name, _ in FITS])
def test_what_fits_is_let_through(release: CloudRunRelease) -> None:
    assert list(map(str, CloudRun().check(release))) == []


@pytest.mark.parametrize("case", CASES)
def test_the_goldens_break_no_limit(case: str) -> None:
    assert list(map(str, CloudRun().check(CASES[case]))) == []


@pytest.mark.parametrize(
    ("release", "limit", "value", "fix"),
    [each[1:] for each in REFUSED],
    ids=[each[0] for each in REFUSED],
)
def test_what_does_not_fit_is_refused_with_a_fix(
    release: CloudRunRelease, limit: str, value: str, fix: str
) -> None:
    found = CloudRun().check(release)
    [match] = [each for each in found if limit in each.limit]
    assert value in match.value
    assert fix in match.fix


def test_all_that_is_wrong_is_said_at_once() -> None:
    wrong = with_scaling(with_size(CHAT, vcpus=3, architecture="arm64"), concurrency=2000)
    assert len(CloudRun().check(wrong)) == 3


@pytest.mark.parametrize(("over", "found"), [(0, 0), (1, 1)])
def test_variables_have_a_size(over: int, found: int) -> None:
    text = CloudRun().wanted(replace(CHAT, keys={"keys": [""]}))["service/chat"]
    empty = len(text["template"]["containers"][0]["env"][1]["value"])
    keys = {"keys": ["x" * (VARIABLE_BYTES - empty + over)]}
    violations = CloudRun().check(replace(CHAT, keys=keys))
    assert len(violations) == found
    assert all("keys_secret" in each.fix for each in violations)
    assert not CloudRun().check(with_options(replace(CHAT, keys=keys), keys_secret="chat-keys"))


def test_a_plan_that_needs_more_memory_than_there_is_says_how_much() -> None:
    plan = planned("cloud-run-request-2x4").plan
    assert plan is not None
    needed = plan.deployment.ram_bytes
    fits = with_size(replace(CHAT, plan=plan), memory_bytes=needed)
    assert not CloudRun().check(fits)
    [tight] = CloudRun().check(with_size(fits, memory_bytes=needed - MIB))
    assert "for the model" in tight.value
    # What it fetches comes on top: there is no disk below its file system.
    fetched = replace(fits, models="fetch")
    [together] = CloudRun().check(fetched)
    assert "of files" in together.value
    assert not CloudRun().check(with_options(fetched, ephemeral_disk=True))


def _message(release: CloudRunRelease) -> run_v2.Service:
    document: Any = CloudRun().wanted(release)[f"service/{release.name}"]
    return run_v2.Service.wrap(json_format.ParseDict(document, plain(run_v2.Service())))


vcpus = st.sampled_from([0.05, 0.08, 0.3, 0.5, 0.9, 1, 1.5, 2, 3, 4, 5, 6, 8, 16, 20])
memory = st.integers(min_value=100, max_value=90 * 1024).map(lambda mib: mib * MIB)


@given(
    size=st.builds(
        lambda vcpus, memory, gpu: replace(
            CHAT.size, vcpus=vcpus, memory_bytes=memory, gpu=gpu, gpus=1 if gpu else 0
        ),
        vcpus,
        memory,
        st.sampled_from([None, "l4", "rtx-pro-6000"]),
    ),
    concurrency=st.sampled_from([1, 16, 1000, 1001]),
    timeout_s=st.sampled_from([1, 300, 3600, 3601]),
    generation=st.sampled_from(["gen1", "gen2"]),
)
def test_what_is_let_through_the_api_would_take(
    size: Any, concurrency: int, timeout_s: int, generation: str
) -> None:
    """Against rules written from the documents a second time."""
    release = with_options(
        with_scaling(
            replace(CHAT, size=size), concurrency=concurrency, request_timeout_s=timeout_s
        ),
        execution_environment=generation,
    )
    if not CloudRun().check(release):
        assert list(faults(release.name, _message(release))) == []
