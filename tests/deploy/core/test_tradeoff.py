"""Where the weights may be: weighed where such an instance is sold, and only there."""

from __future__ import annotations

import pytest

from pilotlight.deploy.tradeoff import tradeoff

from .made import facts, released


@pytest.mark.parametrize(
    ("overrides", "platforms"),
    [
        ((), {"lambda-x86", "cloud-run-request", "cloud-run-instance"}),
        (("architecture=arm64",), {"lambda-arm"}),
        (("gpu=l4",), {"cloud-run-gpu"}),
        (("gpu=h100-sxm",), set()),
    ],
)
def test_every_way_on_every_platform_that_sells_such_an_instance(
    overrides: tuple[str, ...], platforms: set[str]
) -> None:
    found = tradeoff(released(*overrides), facts(), 10**9)
    assert {each.platform for each in found} == platforms
    assert [each.models for each in found] == ["image", "fetch", "mount"] * len(platforms)
    assert all(each.start_s > 0 for each in found)


def test_weights_of_unknown_size_are_not_weighed() -> None:
    assert tradeoff(released(), facts(), None) == ()
