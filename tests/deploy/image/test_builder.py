"""Who builds, and the command lines: pure, so that each builder is tried without being there."""

from __future__ import annotations

import json
import os

import pytest

from deploy.image.specs import NATIVE, WHEEL
from pilotlight.deploy.image import builder as builders
from pilotlight.deploy.image.builder import Builder
from pilotlight.deploy.image.pushing import repository
from pilotlight.errors import ConfigError, DeployError

ALL = {"docker": "/bin/docker", "podman": "/bin/podman", "buildah": "/bin/buildah"}


@pytest.mark.parametrize(
    ("wanted", "found", "expected"),
    [
        ("auto", ("docker", "podman", "buildah"), "buildah"),
        ("auto", ("docker", "podman"), "podman"),
        ("auto", ("docker",), "docker"),
        ("docker", ("docker", "podman", "buildah"), "docker"),
    ],
)
def test_chooses_the_wanted_one_or_the_first_there(
    wanted: str, found: tuple[str, ...], expected: str
) -> None:
    chosen = builders.choose(wanted, {name: ALL[name] for name in found})
    assert chosen == Builder(expected, ALL[expected])  # type: ignore[arg-type]


@pytest.mark.parametrize(("wanted", "found"), [("auto", {}), ("podman", {"docker": "/bin/docker"})])
def test_says_which_builder_is_missing(wanted: str, found: dict[str, str]) -> None:
    with pytest.raises(ConfigError, match=r"podman.*none on PATH"):
        builders.choose(wanted, found)


@pytest.mark.parametrize("name", ["buildah", "podman"])
def test_a_build_has_one_time_for_every_file(name: builders.Name) -> None:
    argv = builders.build(Builder(name, name), NATIVE, "/context", "/id")
    assert argv[argv.index("--timestamp") + 1] == str(NATIVE.epoch_s)
    assert argv[argv.index("--platform") + 1] == "linux/amd64"
    assert f"BASE={NATIVE.base}" in argv
    assert argv[-1] == "/context"


def test_docker_is_told_the_time_in_its_own_way_and_the_other_architecture() -> None:
    argv = builders.build(Builder("docker", "docker"), WHEEL, "/context", "/id")
    assert f"SOURCE_DATE_EPOCH={WHEEL.epoch_s}" in argv
    assert "--timestamp" not in argv
    assert argv[argv.index("--platform") + 1] == "linux/arm64"


def test_docker_adds_no_attestation_for_lambda_takes_no_index_of_images() -> None:
    """https://github.com/aws/aws-lambda-roadmap/issues/82"""
    environ = builders.environ(Builder("docker", "docker"))
    assert environ is not None
    assert environ["BUILDX_NO_DEFAULT_ATTESTATIONS"] == "1"
    assert environ["PATH"] == os.environ["PATH"]
    assert builders.environ(Builder("podman", "podman")) is None


def test_layers_have_a_size_as_sent_where_they_stand_in_the_manifest() -> None:
    assert builders.sent_bytes(json.dumps({"layers": [{"size": 1}, {"size": 2}]})) == (1, 2)
    assert builders.sent_bytes(json.dumps({"manifests": [{"size": 1}]})) == ()


def test_reads_each_builders_description() -> None:
    podman = json.dumps([{"RootFS": {"Layers": ["a", "b"]}, "Digest": "sha256:1"}])
    docker = json.dumps([{"RootFS": {"Layers": ["a"]}, "RepoDigests": ["x/y@sha256:2"]}])
    buildah = json.dumps(
        {"OCIv1": {"rootfs": {"diff_ids": ["a", "b"]}}, "FromImageDigest": "sha256:3"}
    )
    by_name = {
        name: Builder(name, name)  # type: ignore[arg-type]
        for name in ALL
    }
    assert builders.inspected_layers(by_name["podman"], podman) == ("a", "b")
    assert builders.inspected_layers(by_name["buildah"], buildah) == ("a", "b")
    assert builders.inspected_digest(by_name["podman"], podman) == "sha256:1"
    assert builders.inspected_digest(by_name["docker"], docker) == "sha256:2"
    assert builders.inspected_digest(by_name["buildah"], buildah) == "sha256:3"
    assert builders.inspected_digest(by_name["docker"], json.dumps([{}])) is None
    with pytest.raises(DeployError, match="no JSON"):
        builders.inspected_layers(by_name["podman"], "Error: no such image")


@pytest.mark.parametrize(
    ("plain_http", "expected"), [(True, True), (False, False)], ids=["plain", "tls"]
)
def test_a_push_checks_certificates_unless_told(plain_http: bool, expected: bool) -> None:
    (argv,) = builders.push(
        Builder("podman", "podman"), "id", "host/chat:1", "/digest",
        plain_http=plain_http, compression="zstd",
    )  # fmt: skip
    assert ("--tls-verify=false" in argv) is expected
    assert argv[argv.index("--compression-format") + 1] == "zstd"
    assert argv[-1] == "docker://host/chat:1"


def test_docker_pushes_what_has_the_name_of_the_place_and_prints_its_digest() -> None:
    tag, push = builders.push(
        Builder("docker", "docker"), "id", "host/chat:1", "", plain_http=False, compression="gzip"
    )
    assert tag[1:] == ("tag", "id", "host/chat:1")
    assert push[1:] == ("push", "host/chat:1")
    said = f"1: digest: sha256:{'1' * 64} size: 1234"
    assert builders.pushed_digest(said) == f"sha256:{'1' * 64}"
    assert builders.pushed_digest("denied") is None


@pytest.mark.parametrize(
    ("reference", "expected"),
    [
        ("host:5000/chat:1", "host:5000/chat"),
        ("host:5000/us/chat", "host:5000/us/chat"),
        ("chat:latest", "chat"),
        ("chat@sha256:12", "chat"),
    ],
)
def test_a_port_is_no_tag(reference: str, expected: str) -> None:
    assert repository(reference) == expected


def test_what_nobody_named_may_go() -> None:
    podman, buildah = Builder("podman", "podman"), Builder("buildah", "buildah")
    assert builders.is_named(podman, json.dumps([{"RepoTags": ["localhost/chat:latest"]}]))
    assert not builders.is_named(podman, json.dumps([{"RepoTags": []}]))
    named = {"FromImage": "localhost/chat:latest", "FromImageID": "abc"}
    assert builders.is_named(buildah, json.dumps(named))
    assert not builders.is_named(buildah, json.dumps({**named, "FromImage": "abc"}))
