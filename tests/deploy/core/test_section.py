"""The `deploy` section: three places, one order, and errors that name the place and the key."""

from __future__ import annotations

import pytest

from pilotlight.deploy.section import COMMON, common_of, options_of, own_settings, part_of
from pilotlight.errors import ConfigError

from .fake_target import FakeOptions, FakeTarget, Retry

FAKE = FakeTarget()


def test_the_command_line_beats_the_targets_section_which_beats_the_common_keys(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("pilotlight.deploy.section.TARGETS", {"fake": ("", ""), "lambda": ("", "")})
    section = {
        "name": "chat",
        "memory": "1GB",
        "vcpus": 1,
        "concurrency": 1,
        "fake": {"memory": "2GB", "vcpus": 2, "tags": ["a"]},
        "lambda": {"memory": "9GB"},
    }
    found = options_of(FAKE, section, ("memory=3GB", "fake.flavour=1.10", "retry.times=5"))
    assert (found.name, found.concurrency) == ("chat", 1)
    assert (found.vcpus, found.tags) == (2.0, ("a",))
    assert (found.memory, found.flavour, found.retry) == (3 * 10**9, "1.10", Retry(times=5))


def test_what_nobody_gives_of_the_common_keys_is_none_for_a_plan_comes_before_the_default() -> None:
    found = options_of(FAKE, {})
    assert found.maximum is None
    assert FakeOptions().maximum == 3
    assert (found.flavour, found.retry) == ("plain", Retry())


@pytest.mark.parametrize(
    ("section", "overrides", "said", "hint"),
    [
        ({"memroy": "1GB"}, (), "here.yaml: unknown key deploy.memroy", "'memory'"),
        ({"flavour": "x"}, (), "unknown key deploy.flavour", "known: name"),
        ({"fake": {"flavor": 1}}, (), "unknown key deploy.fake.flavor", "'flavour'"),
        ({"fake": {"needs_image": 1}}, (), "unknown key deploy.fake.needs_image", "did"),
        ({"memory": "lots"}, (), "here.yaml: deploy.memory is 'lots', expected a size", None),
        ({"fake": {"vcpus": "x"}}, (), "here.yaml: deploy.fake.vcpus is 'x'", None),
        ({"fake": 3}, (), "deploy.fake is 3, expected keys and values", None),
        ({}, ("memroy=1GB",), "--set memroy: unknown key 'memroy'", "'memory'"),
        ({}, ("fake.flavor=x",), "--set fake.flavor: unknown key 'flavor'", "'flavour'"),
        ({}, ("lambda.memory=1GB",), "--set lambda.memory is for lambda, and this is fake", "out"),
        ({}, ("memory",), "--set is 'memory', expected KEY=VALUE", "memory=8GB"),
        ({}, ("=1GB",), "--set is '=1GB', expected KEY=VALUE", "memory=8GB"),
        ({}, ("memory=lots",), "--set: memory is 'lots'", None),
        ({}, ("retry=1", "retry.times=2"), "--set retry.times=2: retry was given a value", "drop"),
    ],
)
def test_what_is_wrong_is_named(
    monkeypatch: pytest.MonkeyPatch,
    section: dict[str, object],
    overrides: tuple[str, ...],
    said: str,
    hint: str | None,
) -> None:
    monkeypatch.setattr("pilotlight.deploy.section.TARGETS", {"fake": ("", ""), "lambda": ("", "")})
    with pytest.raises(ConfigError) as caught:
        options_of(FAKE, section, overrides, source="here.yaml")
    assert said in caught.value.message
    assert (hint or "") in (caught.value.hint or "")


def test_parts_beside_the_targets_are_read_alike() -> None:
    section = {"build": {"times": 3}, "memory": "1GB"}
    assert part_of(Retry, "build", section) == Retry(times=3)
    assert part_of(Retry, "build", section, ("build.times=4",)) == Retry(times=4)
    assert common_of(section, ("vcpus=3",)).vcpus == 3
    with pytest.raises(ConfigError, match=r"--set lambda\.memory is for lambda"):
        common_of(section, ("lambda.memory=1GB",))


def test_the_reference_has_only_what_is_the_targets_own() -> None:
    own = [".".join(item.path) for item in own_settings(FakeOptions)]
    assert own == ["tags", "flavour", "retry.times"]
    assert "memory" in COMMON
