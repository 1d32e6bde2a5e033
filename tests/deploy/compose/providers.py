"""The programs that run compose files, each with the environment in which Podman is behind it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest

from deploy.image.built import environment

READY_S = 10.0


@contextmanager
def podman_compose(folder: Path) -> Iterator[Mapping[str, str]]:
    """From beside this interpreter, where a virtual environment has it, or from PATH."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    if shutil.which("podman-compose", path=path) is None:
        pytest.skip("podman-compose isn't on PATH: pip install podman-compose")
    yield {**environment(), "PATH": path}


@contextmanager
def docker_compose(folder: Path) -> Iterator[Mapping[str, str]]:
    """Docker's own client and compose, asking Podman, which serves Docker's API on a socket."""
    need_docker_compose()
    socket = folder / "podman.sock"
    service = subprocess.Popen(
        ("podman", "system", "service", "--time=0", f"unix://{socket}"),
        env=environment(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        deadline_s = time.monotonic() + READY_S
        while not socket.exists() and service.poll() is None and time.monotonic() < deadline_s:
            time.sleep(0.02)
        assert socket.exists(), "podman serves no API"
        yield {**environment(), "DOCKER_HOST": f"unix://{socket}"}
    finally:
        service.terminate()
        service.wait(timeout=READY_S)


def need_docker_compose() -> None:
    """Skip where it isn't; DOCKER_CONFIG names a folder with a config.json and cli-plugins/."""
    if shutil.which("docker") is None:
        pytest.skip("docker isn't on PATH")
    if subprocess.run(("docker", "compose", "version"), capture_output=True).returncode != 0:
        pytest.skip("docker has no compose plugin: apt-get install docker-compose (2.26 or newer)")


PROVIDERS: Mapping[str, Callable[[Path], AbstractContextManager[Mapping[str, str]]]] = {
    "podman-compose": podman_compose,
    "docker compose": docker_compose,
}
