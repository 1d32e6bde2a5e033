"""One cluster for all of these tests, and one release in it; both are gone at the end."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from typing import Any

import pytest

from pilotlight.deploy.kubernetes.verbs import KubernetesTarget
from pilotlight.deploy.resources import changes

from ..image.built import MODEL, built_image, environment, make_keys
from .client import Client
from .deployed import NAME, NAMESPACE, Deployed, release
from .tool import Cluster, up

FIGURES: dict[str, str] = {}


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Figures are what these tests are for, too."""
    if FIGURES:
        terminalreporter.section("measured on a cluster of two nodes on this machine")
        for what, figure in FIGURES.items():
            terminalreporter.write_line(f"{what}: {figure}")


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster]:
    with up(nodes=2) as made:
        yield made


@pytest.fixture(scope="session")
def image(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The real image, as the nodes know it. CLUSTER_IMAGE names one of podman's to take."""
    built = os.environ.get("CLUSTER_IMAGE") or built_image("wheel")
    return cluster.load(built, tmp_path_factory.mktemp("image"), environment())


@pytest.fixture(scope="session")
def deployed(cluster: Cluster, image: str) -> Iterator[Deployed]:
    """As `pilotlight deploy apply kubernetes` puts it up."""
    keys, secret = make_keys()
    asked, kubernetes = release(cluster, image, json.loads(keys)), KubernetesTarget()
    assert not kubernetes.check(asked)
    todo = list(changes(kubernetes.live(asked), kubernetes.wanted(asked)))
    told: list[str] = []
    begun_s = time.monotonic()
    status = kubernetes.apply(asked, todo, told.append)
    FIGURES["apply until the gateway is ready"] = f"{time.monotonic() - begun_s:.2f} s"
    assert status.url is not None
    (engine,) = (
        each["metadata"]["name"]
        for each in cluster.items("deployments", NAMESPACE)
        if each["metadata"]["name"] != NAME
    )
    client = Client(status.url, secret, MODEL)
    yield Deployed(cluster, asked, NAMESPACE, NAME, engine, client, FIGURES)
    kubernetes.delete(asked, told.append)
