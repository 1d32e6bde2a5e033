"""When a server counts as ready, asked over a real socket."""

from __future__ import annotations

import itertools

import pytest

from deploy.server.answering import answering
from pilotlight.deploy.server.address import Address
from pilotlight.deploy.server.readiness import Probe
from pilotlight.errors import DeployError


def well() -> None:
    """Nothing stands in the way."""


def test_it_waits_until_it_is() -> None:
    statuses = itertools.chain((503, 503), itertools.repeat(200))
    with answering(lambda path: next(statuses)) as address:
        assert Probe(address).wait("/ready", 30, well) > 0
    assert next(statuses) == 200


def test_each_path_is_asked_by_itself() -> None:
    with answering(lambda path: 200 if path == "/health" else 503) as address:
        assert Probe(address).answers("/health")
        assert not Probe(address).answers("/ready")


def test_out_of_time() -> None:
    with (
        answering(lambda path: 503) as address,
        pytest.raises(DeployError, match=r"isn't ready after 0\.01 s"),
    ):
        Probe(address).wait("/ready", 0.01, well)


def test_trouble_ends_the_wait_at_once() -> None:
    with (
        answering(lambda path: 503) as address,
        pytest.raises(DeployError, match="it ended with exit status 2"),
    ):
        Probe(address).wait("/ready", 3600, lambda: "it ended with exit status 2")


def test_nobody_there_is_not_ready() -> None:
    assert not Probe(Address("127.0.0.1", 1)).answers("/ready")
