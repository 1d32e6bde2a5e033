"""MiniStack, an emulator of AWS that really runs an image function, in an environment of its own.

It and what it depends on would not go together with ours. PILOTLIGHT_MINISTACK names an installed
one; else it is installed once on a machine, under ``${XDG_CACHE_HOME:-~/.cache}``.
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import boto3.session
import botocore.session
import psutil
import pytest
from botocore.config import Config

from deploy.aws_lambda.fake_aws import MODELS
from deploy.image import built
from pilotlight.deploy.aws_lambda.live.aws import Aws

PACKAGE = "ministack[full]==1.5.33"
ACCOUNT = "123456789012"
REGION = "us-east-1"
SETTLED_S = 60.0


def program() -> Path:
    if named := os.environ.get("PILOTLIGHT_MINISTACK"):
        return Path(named)
    root = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    place = root / "pilotlight-ministack" / PACKAGE
    found = place / "bin" / "ministack"
    if not (place / "whole").exists():
        _install(place)
    return found


def _install(place: Path) -> None:
    shutil.rmtree(place, ignore_errors=True)
    subprocess.run((sys.executable, "-m", "venv", str(place)), check=True, timeout=120)
    pip = (str(place / "bin" / "pip"), "install", "--quiet", PACKAGE)
    done = subprocess.run(pip, capture_output=True, text=True, timeout=400)
    if done.returncode != 0:
        pytest.skip(f"{PACKAGE} can't be had: {done.stderr.strip()[-200:]}")
    (place / "whole").touch()


class MiniStack:
    """The emulator at `url`."""

    def __init__(self, url: str, log: Path) -> None:
        self.url = url
        self.log = log

    def session(self) -> boto3.session.Session:
        core = botocore.session.Session()
        core.register_component("data_loader", MODELS)
        return boto3.session.Session(
            aws_access_key_id=ACCOUNT,
            aws_secret_access_key="testing",
            region_name=REGION,
            botocore_session=core,
        )

    def connect(self, region: str = REGION) -> Aws:
        """As the target's own `connect`: AWS_ENDPOINT_URL says where AWS is."""
        return Aws(region, self.session())

    def client(self, service: str) -> Any:
        # An invocation is never sent twice, however busy this machine is.
        patient = Config(read_timeout=300, retries={"total_max_attempts": 1})
        return self.session().client(service, endpoint_url=self.url, config=patient)


@contextmanager
def running(directory: Path, *, containers: bool = False) -> Iterator[MiniStack]:
    """On a port of the loopback; it, and every container that it made, is gone at the end."""
    log, port = directory / "ministack.log", _free_port()
    environ = {
        "BIND_HOST": "127.0.0.1",
        "GATEWAY_PORT": str(port),
        "MINISTACK_ACCOUNT_ID": ACCOUNT,
        "LAMBDA_STRICT": "1",
        "MINISTACK_DOCKER_TIMEOUT": "60",
    }
    with ExitStack() as stack:
        if containers:
            environ["DOCKER_HOST"] = stack.enter_context(_podman_socket(directory))
        # Not the pages' own directory: it keeps files where it is started.
        stack.enter_context(_process((str(program()),), environ, log, directory))
        until_open(port)
        yield MiniStack(f"http://127.0.0.1:{port}", log)


@contextmanager
def _podman_socket(directory: Path) -> Iterator[str]:
    built.need("podman", "runc")
    path = directory / "podman.sock"
    words = ("podman", "system", "service", "--time", "0", f"unix://{path}")
    before = _containers()
    with _process(words, built.environment(), directory / "podman.log", directory):
        end_s = time.monotonic() + SETTLED_S
        while not path.exists() and time.monotonic() < end_s:
            time.sleep(0.01)
        try:
            yield f"unix://{path}"
        finally:
            if left := _containers() - before:
                built.podman("rm", "--force", "--time", "1", *left, check=False)


def _containers() -> set[str]:
    done = built.podman("ps", "--all", "--quiet", "--filter", "label=ministack=lambda")
    return set(done.stdout.split())


@contextmanager
def _process(
    words: tuple[str, ...], environ: Mapping[str, str], log: Path, directory: Path
) -> Iterator[None]:
    with log.open("ab") as out:
        process = psutil.Popen(
            words, env={**os.environ, **environ}, cwd=directory, stdout=out, stderr=out
        )
    try:
        yield
    finally:
        family = (*process.children(recursive=True), process)
        process.terminate()
        _, alive = psutil.wait_procs(family, timeout=10)
        for one in alive:
            one.kill()
        process.wait(10)


def until_open(port: int) -> None:
    end_s = time.monotonic() + SETTLED_S
    while time.monotonic() < end_s:
        try:
            socket.create_connection(("127.0.0.1", port), 1.0).close()
            return
        except OSError:
            time.sleep(0.02)
    raise AssertionError(f"nobody listens on port {port} after {SETTLED_S} s")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
