"""Images that this machine can't run, and builders that run elsewhere."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from deploy.image import built
from pilotlight.deploy.image import packages
from pilotlight.deploy.image.make import make
from pilotlight.deploy.image.request import ImageRequest
from pilotlight.deploy.image.settings import ImageOptions

pytestmark = pytest.mark.platforms

_MACHINE = {62: "x86_64", 183: "arm64"}
"""What an ELF file's header calls a machine."""


def test_packages_for_arm64_are_collected_on_any_machine() -> None:
    wanted = packages.requirements("wheel")
    site = packages.stage(built.cache() / "data/deploy/parts", "3.11", "arm64", wanted, None)
    libraries = list(site.rglob("*.so"))
    assert len(libraries) > 10
    found = {_MACHINE[int.from_bytes(path.read_bytes()[18:20], "little")] for path in libraries}
    assert found == {"arm64"}


@contextmanager
def service(tmp_path: Path) -> Iterator[str]:
    """podman's service, which speaks docker's API."""
    address = f"unix://{tmp_path / 'podman.sock'}"
    process = subprocess.Popen(
        ("podman", "system", "service", "--time", "0", address), env=built.environment()
    )
    try:
        deadline = time.monotonic() + 20
        while not (tmp_path / "podman.sock").exists():
            assert time.monotonic() < deadline
            time.sleep(0.02)
        yield address
    finally:
        process.terminate()
        process.wait()


def test_docker_builds_it_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    built.need("docker", "podman")
    tag = f"{built.REPOSITORY}/by-docker:test"
    options = ImageOptions(base=built.base_image(), engine="none", builder="docker", tag=tag)
    request = ImageRequest(
        name="by-docker",
        serve={},
        configuration="models: {chat: 'openai:gpt'}\n",
        options=options,
        data_dir=built.cache() / "data",
    )
    try:
        with service(tmp_path) as address:
            monkeypatch.setenv("DOCKER_HOST", address)
            if "podman" not in _server_of(shutil.which("docker") or "docker").lower():
                pytest.skip("this docker doesn't talk to podman's service")
            done = make(request, lambda line: None)
        assert len({layer.digest for layer in done.layers}) == len(done.layers)
        assert done.notes[-1].startswith("tried: Python 3.11")
    finally:
        built.podman("rmi", "--force", tag, check=False)


def _server_of(docker: str) -> str:
    done = subprocess.run(
        (docker, "version", "--format", "{{json .Server.Components}}"),
        capture_output=True, text=True, env=dict(os.environ),
    )  # fmt: skip
    return done.stdout
