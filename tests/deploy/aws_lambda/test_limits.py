"""Every limit just below, at and just above it; what breaks one is named with a fix that does."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deploy.aws_lambda.plans import plan
from deploy.aws_lambda.releases import (
    ACCESS_POINT,
    ALL_OPTIONS,
    CASES,
    CHAT,
    FILE_SYSTEM,
    MIB,
    with_options,
    with_scaling,
    with_size,
)
from pilotlight.deploy.aws_lambda import function
from pilotlight.deploy.aws_lambda.limits import RETENTION_DAYS
from pilotlight.deploy.aws_lambda.target import LambdaTarget
from pilotlight.deploy.release import Release

REPOSITORY = "123456789012.dkr.ecr.us-east-1.amazonaws.com/chat"


def broken(release: Release[Any]) -> list[str]:
    return [violation.limit for violation in LambdaTarget().check(release)]


def only(release: Release[Any]) -> Any:
    (violation,) = LambdaTarget().check(release)
    return violation


@pytest.mark.parametrize("release", CASES.values(), ids=CASES)
def test_the_releases_to_test_with_break_none(release: Release[Any]) -> None:
    assert broken(release) == []


@pytest.mark.parametrize(
    ("size_bytes", "limit"),
    [
        (127 * MIB, "memory at least 128 MB"),
        (128 * MIB, None),
        (10_240 * MIB - 1, None),
        (10_240 * MIB, None),
        (10_240 * MIB + 1, "memory at most 10240 MB"),
    ],
)
def test_memory(size_bytes: int, limit: str | None) -> None:
    assert broken(with_size(CHAT, memory_bytes=size_bytes)) == ([limit] if limit else [])


@pytest.mark.parametrize(
    ("disk_mb", "rendered_mb"), [(0, 512), (511, 512), (512, 512), (513, 513), (10_240, 10_240)]
)
def test_every_environment_has_the_disk_that_is_in_the_price(
    disk_mb: int, rendered_mb: int
) -> None:
    release = with_size(CHAT, disk_bytes=disk_mb * MIB)
    assert broken(release) == []
    assert LambdaTarget().wanted(release)["function/chat"]["disk_mb"] == rendered_mb


def test_disk() -> None:
    violation = only(with_size(CHAT, disk_bytes=10_240 * MIB + 1))
    assert violation.limit == "ephemeral storage (/tmp) at most 10240 MB"
    assert "10240MiB" in violation.fix


@pytest.mark.parametrize(
    ("timeout_s", "fits"), [(0.5, True), (1, True), (899, True), (900, True), (900.5, False)]
)
def test_timeout(timeout_s: float, fits: bool) -> None:
    release = with_scaling(CHAT, request_timeout_s=timeout_s)
    assert broken(release) == ([] if fits else ["timeout at most 900 s"])


def test_a_part_of_a_second_is_a_second() -> None:
    release = with_scaling(CHAT, request_timeout_s=0.5)
    assert LambdaTarget().wanted(release)["function/chat"]["timeout_s"] == 1
    assert broken(with_scaling(CHAT, request_timeout_s=0)) == ["timeout at least 1 s"]


def test_one_request_at_a_time() -> None:
    assert broken(CHAT) == []
    violation = only(with_scaling(CHAT, concurrency=2))
    assert violation.value == "concurrency 2"
    assert "lambda.concurrency to 1" in violation.fix


@pytest.mark.parametrize(
    ("minimum", "maximum", "broke"), [(0, 1, 0), (4, 4, 0), (5, 4, 1), (0, 0, 1)]
)
def test_standby_is_within_what_is_reserved(minimum: int, maximum: int, broke: int) -> None:
    assert len(broken(with_scaling(CHAT, minimum=minimum, maximum=maximum))) == broke


def test_no_gpu() -> None:
    violation = only(with_size(CHAT, gpu="L4", gpus=1))
    assert violation.limit == "Lambda has no GPU"
    assert violation.value == "1x L4"


@pytest.mark.parametrize(("vcpus", "fits"), [(1, True), (3.47, True), (3.5, True), (3.6, False)])
def test_processors_come_with_memory(vcpus: float, fits: bool) -> None:
    release = with_options(CHAT, vcpus=vcpus)  # at 6144 MB there are 3.47
    assert bool(broken(release)) is not fits


def test_the_processors_that_are_asked_for_come_with_the_memory_that_is_named() -> None:
    violation = only(with_options(CHAT, vcpus=4))
    assert "set memory to 7076MiB" in violation.fix
    assert broken(with_size(with_options(CHAT, vcpus=4), memory_bytes=7076 * MIB)) == []


@given(memory_mb=st.integers(128, 10_240))
def test_threads_never_take_more_than_the_share_of_time(memory_mb: int) -> None:
    release = with_size(CHAT, memory_bytes=memory_mb * MIB)
    threads = function.threads(release)
    assert 1 <= threads <= max(1.0, memory_mb / 1769)
    assert threads + 1 > memory_mb / 1769


def test_a_model_that_says_its_threads_has_those() -> None:
    serve = {"models": {"m": {"ref": "pypi:m", "options": {"threads": 2}}, "n": "pypi:n"}}
    text = function.environment(replace(CHAT, serve=serve))[function.CONFIG_VARIABLE]
    assert "threads: 2" in text
    assert "threads: 3" in text


# Name and its variable's quotes, colon and comma, as JSON.
FRAME = len('"FILL":"",')
ROOM = 4096 - function.environment_bytes(function.environment(CHAT)) - FRAME


@pytest.mark.parametrize(("length", "fits"), [(ROOM - 1, True), (ROOM, True), (ROOM + 1, False)])
def test_the_environment(length: int, fits: bool) -> None:
    release = with_options(CHAT, environment={"FILL": "x" * length})
    assert bool(broken(release)) is not fits


def test_what_has_to_be_escaped_counts_twice() -> None:
    half = ROOM // 2 + 1
    assert broken(with_options(CHAT, environment={"FILL": '"' * half}))


def test_many_keys_fill_the_environment_and_are_named() -> None:
    key = CHAT.keys["keys"][0]
    violation = only(replace(CHAT, keys={"version": 1, "keys": [key] * 40}))
    assert violation.limit == "environment variables at most 4096 bytes together"
    assert "PILOTLIGHT_KEYS_JSON" in violation.value


@pytest.mark.parametrize("name", ["AWS_REGION", "_HANDLER", "A", "1A", "A-B", "Ä1"])
def test_names_that_lambda_keeps_or_refuses(name: str) -> None:
    assert repr(name) in only(with_options(CHAT, environment={name: "x"})).value


@pytest.mark.parametrize("name", sorted(function.OWN_VARIABLES))
def test_variables_of_ours_are_not_given(name: str) -> None:
    violation = only(with_options(CHAT, environment={name: "x"}))
    assert violation.limit == "a variable that Pilotlight sets itself can't be given"
    assert violation.value == repr(name)


def test_names_of_functions_and_of_their_roles() -> None:
    longest = 64 - len("-us-east-1")
    assert broken(replace(CHAT, name="x" * longest)) == []
    violation = only(replace(CHAT, name="x" * (longest + 1)))
    assert "the name of its role" in violation.limit
    assert violation.fix == f"choose a name of at most {longest} characters"
    role = "arn:aws:iam::123456789012:role/shared"
    assert broken(with_options(replace(CHAT, name="x" * 64), role=role)) == []
    assert len(broken(with_options(replace(CHAT, name="x" * 65), role=role))) == 1
    assert len(broken(replace(CHAT, name="a.b"))) == 1


@pytest.mark.parametrize(
    "image",
    [
        f"{REPOSITORY}:latest",
        f"{REPOSITORY}@sha256:{'0' * 64}",
        f"{REPOSITORY}:1@sha256:{'0' * 64}",
        "123456789012.dkr-ecr.us-east-1.on.aws/team/chat:1",
        REPOSITORY,
    ],
)
def test_images_in_ecr(image: str) -> None:
    assert broken(replace(CHAT, image=image)) == []


@pytest.mark.parametrize(
    "image",
    [
        None,
        "chat:latest",
        "ghcr.io/org/chat:1",
        "public.ecr.aws/org/chat:1",
        "123456789012.dkr.ecr-fips.us-east-1.amazonaws.com/chat:1",
        f"{REPOSITORY}@sha256:123",
    ],
)
def test_images_elsewhere(image: str | None) -> None:
    violation = only(replace(CHAT, image=image))
    assert violation.limit == "an image must be in a private registry of ECR"
    assert repr(image) in violation.value


def test_an_image_of_another_region() -> None:
    violation = only(replace(CHAT, region="eu-west-1"))
    assert "own region" in violation.limit
    assert "us-east-1" in violation.fix


def test_without_a_region_it_runs_where_its_image_is() -> None:
    release = replace(CHAT, region=None)
    assert broken(release) == []
    assert "role/chat-us-east-1" in LambdaTarget().wanted(release)
    assert "a function is in a region" in broken(replace(release, image=None))


def test_a_model_must_fit_memory() -> None:
    fits = replace(CHAT, plan=plan(used_bytes=6144 * MIB))
    assert broken(fits) == []
    violation = only(replace(CHAT, plan=plan(used_bytes=6144 * MIB + 1)))
    assert violation.limit == "the model must fit into memory"
    assert violation.fix == "set memory to 6145MiB"


def test_a_model_that_is_fetched_must_fit_the_disk() -> None:
    release = with_size(replace(CHAT, models="fetch"), disk_bytes=1000 * MIB)
    assert broken(replace(release, plan=plan(weights_bytes=1000 * MIB))) == []
    violation = only(replace(release, plan=plan(weights_bytes=1000 * MIB + 1)))
    assert violation.limit == "models that are fetched at start must fit into /tmp"
    assert "1001MiB" in violation.fix


def test_a_model_in_the_image_must_fit_the_image() -> None:
    gib = 2**30
    large = with_size(CHAT, memory_bytes=10 * gib)
    assert broken(replace(large, plan=plan(weights_bytes=10 * gib))) == []
    assert broken(replace(large, plan=plan(weights_bytes=10 * gib + 1))) == ["image at most 10 GB"]


def test_the_processors_of_the_plan_are_needed() -> None:
    small = with_size(CHAT, memory_bytes=1769 * MIB)
    assert broken(replace(small, plan=plan(vcpus=1))) == []
    assert len(broken(replace(small, plan=plan(vcpus=2)))) == 1


def test_a_streamed_response() -> None:
    most = 200 * MIB // 256
    assert broken(replace(CHAT, plan=plan(context=most))) == []
    release = replace(CHAT, plan=plan(context=most + 1))
    assert only(release).limit == "a streamed response at most 200 MB"
    assert broken(with_options(release, invoke_mode="BUFFERED")) == []


@pytest.mark.parametrize("days", [0, 2, 15, 4000])
def test_days_that_logs_are_kept(days: int) -> None:
    violation = only(with_options(CHAT, log_retention=days))
    fix = int(violation.fix.rpartition(" ")[2])
    assert fix in RETENTION_DAYS
    assert broken(with_options(CHAT, log_retention=fix)) == []


@pytest.mark.parametrize(
    ("key", "value"), [("auth", "none"), ("invoke_mode", "STREAM"), ("role", "my-role")]
)
def test_words_that_aws_knows(key: str, value: str) -> None:
    violation = only(with_options(CHAT, **{key: value}))
    assert repr(value) in violation.value
    assert f"lambda.{key}" in violation.fix


def test_a_url_that_anybody_reaches_needs_keys() -> None:
    for keys in ({}, {"version": 1, "keys": []}):
        assert only(replace(CHAT, keys=keys)).limit == "a URL that anybody reaches needs API keys"
        assert broken(replace(with_options(CHAT, auth="AWS_IAM"), keys=keys)) == []


def test_a_vpc_has_subnets_and_groups() -> None:
    groups, subnets = ("sg-1",), ("subnet-1",)
    assert broken(with_options(CHAT, subnets=subnets, security_groups=groups)) == []
    assert len(broken(with_options(CHAT, subnets=subnets))) == 1
    assert len(broken(with_options(CHAT, security_groups=groups))) == 1
    assert broken(with_options(CHAT, subnets=subnets * 16, security_groups=groups * 5)) == []
    assert len(broken(with_options(CHAT, subnets=subnets * 17, security_groups=groups * 6))) == 2


@pytest.mark.parametrize(
    "missing",
    [
        {"access_point": None},
        {"file_system": None},
        {"access_point": FILE_SYSTEM},
        {"file_system": ACCESS_POINT},
        {"subnets": (), "security_groups": ()},
    ],
)
def test_mounted_models_need_their_file_system_and_its_network(missing: dict[str, Any]) -> None:
    assert len(broken(with_options(ALL_OPTIONS, **missing))) == 1


@pytest.mark.parametrize(
    ("key", "value"), [("access_point", ACCESS_POINT), ("file_system", FILE_SYSTEM)]
)
def test_a_file_system_that_nothing_is_read_from_is_refused(key: str, value: str) -> None:
    violation = only(with_options(CHAT, **{key: value}))
    assert violation.value == f"{key}, and models: image"
    assert f"leave lambda.{key} out" in violation.fix


@pytest.mark.parametrize("count", [49, 50])
def test_tags(count: int) -> None:
    release = with_options(CHAT, tags={f"key{i}": "x" for i in range(count)})
    assert bool(broken(release)) is (count == 50)  # ours is one more


@pytest.mark.parametrize(
    ("key", "value"), [("aws:x", "y"), ("k" * 129, "y"), ("k", "v" * 257), ("k", '"')]
)
def test_tags_that_aws_refuses(key: str, value: str) -> None:
    assert len(broken(with_options(CHAT, tags={key: value}))) == 1


def test_all_that_is_broken_is_named_at_once() -> None:
    release = with_size(with_scaling(CHAT, concurrency=8), gpu="L4", gpus=1)
    assert len(broken(replace(release, image=None))) == 3


@pytest.mark.parametrize(
    ("architecture", "platform"), [("x86_64", "lambda-x86"), ("arm64", "lambda-arm")]
)
def test_the_bill_follows_the_architecture(architecture: str, platform: str) -> None:
    release = with_size(CHAT, architecture=architecture)
    assert LambdaTarget().platform(release) == platform
    assert LambdaTarget().wanted(release)["function/chat"]["architecture"] == architecture
