"""A program that makes a real cluster on this machine, named by KUBERNETES_TOOL or on PATH.

Its words are ``install``, ``up --nodes N`` (the last line printed is the kubeconfig's path),
``load ARCHIVE``, ``node-kill N``, ``kubectl …`` and ``down``.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

VARIABLE = "KUBERNETES_TOOL"
INSTALL_S = 900.0
UP_S = 180.0


def program() -> str:
    """Skips the test by the name of what is missing."""
    named = os.environ.get(VARIABLE) or shutil.which("kubernetes")
    if not named or not os.access(named, os.X_OK):
        pytest.skip(f"no program that makes a cluster: set {VARIABLE} to one")
    if os.geteuid() != 0:
        pytest.skip(f"{named} needs root")
    return named


@dataclass(frozen=True, slots=True)
class Cluster:
    program: str
    kubeconfig: Path

    def run(self, *words: str, timeout_s: float = 60.0) -> str:
        done = _run(
            (self.program, *words), {**os.environ, "KUBECONFIG": str(self.kubeconfig)}, timeout_s
        )
        return done.stdout

    def kubectl(self, *words: str, timeout_s: float = 60.0) -> str:
        return self.run("kubectl", *words, timeout_s=timeout_s)

    def items(self, kind: str, namespace: str, selector: str = "") -> list[dict[str, Any]]:
        words = ("get", kind, "-n", namespace, "-l", selector, "-o", "json")
        found: list[dict[str, Any]] = json.loads(self.kubectl(*words))["items"]
        return found

    def get(self, kind: str, name: str, namespace: str) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(
            self.kubectl("get", kind, name, "-n", namespace, "-o", "json")
        )
        return found

    def load(self, image: str, directory: Path, environment: dict[str, str]) -> str:
        """Puts podman's `image` into every node; its name there."""
        archive = directory / "image.tar"
        words = ("podman", "save", "--format", "docker-archive", "-o", str(archive), image)
        _run(words, environment, 300.0)
        try:
            return self.run("load", str(archive), timeout_s=300.0).splitlines()[-1].strip()
        finally:
            archive.unlink()

    def kill_node(self, name: str) -> None:
        """As a power loss does."""
        self.run("node-kill", name.removeprefix("node"))


@contextmanager
def up(nodes: int) -> Iterator[Cluster]:
    """A cluster that is gone at the end, whatever happened.

    CLUSTER_KUBECONFIG names one of the tool's that runs already, and is left as it is.
    """
    tool = program()
    if running := os.environ.get("CLUSTER_KUBECONFIG"):
        yield Cluster(tool, Path(running))
        return
    _run((tool, "install"), dict(os.environ), INSTALL_S)
    kubeconfig = Path(_run((tool, "up", "--nodes", str(nodes)), dict(os.environ), UP_S)
                      .stdout.splitlines()[-1])  # fmt: skip
    cluster = Cluster(tool, kubeconfig)
    try:
        yield cluster
    finally:
        cluster.run("down", timeout_s=120.0)


def _run(
    words: tuple[str, ...], environment: dict[str, str], timeout_s: float
) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(words, capture_output=True, text=True, timeout=timeout_s, env=environment)
    assert done.returncode == 0, f"{' '.join(words[:4])}: {done.stdout[-2000:]}{done.stderr}"
    return done
