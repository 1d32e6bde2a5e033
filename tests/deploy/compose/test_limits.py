"""What one server can't be asked for, just below each limit and above it."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from deploy.server.releases import ALONE, COMPOSE, COMPOSE_CASES, with_options, with_scaling
from pilotlight.deploy.compose.target import ComposeTarget
from pilotlight.deploy.release import Release
from pilotlight.errors import ConfigError


def broken(release: Release[Any]) -> list[str]:
    return [str(one) for one in ComposeTarget().check(release)]


@pytest.mark.parametrize("case", COMPOSE_CASES)
def test_a_good_release_breaks_none(case: str) -> None:
    assert broken(COMPOSE_CASES[case]) == []


@pytest.mark.parametrize(
    ("release", "named", "fix"),
    [
        (with_scaling(COMPOSE, maximum=2), "has 2:", "maximum: 1"),
        (with_scaling(COMPOSE, minimum=2, maximum=2), "has 2:", "minimum: 1"),
        (replace(COMPOSE, image=None), "has none", "deploy image"),
        (with_options(ALONE, publish="0.0.0.0:8080"), "0.0.0.0:8080 and no key", "keys create"),
        (with_options(ALONE, publish="[::]:8080"), "[::]:8080 and no key", "127.0.0.1:8080"),
        (replace(COMPOSE, models="mount"), "no compose.cache", "compose.cache: /srv"),
        (with_options(COMPOSE, cache=Path("/srv/models")), "models: image", "models: mount"),
        (
            with_options(replace(COMPOSE, models="mount"), cache=Path("models")),
            "'models'",
            "/srv/models",
        ),
        (
            with_options(replace(COMPOSE, models="mount"), cache=Path("/srv/a:b")),
            "'/srv/a:b'",
            "/srv/a-b",
        ),
        (with_options(COMPOSE, ready=math.inf), "ready forever", "5m"),
        (replace(COMPOSE, serve={**COMPOSE.serve, "drain": "forever"}), "drain forever", "1m"),
        (with_options(COMPOSE, env_file=Path("chat.env")), "'chat.env'", "/etc/pilotlight/chat"),
        (with_options(ALONE, publish="127.0.0.1:1023"), "127.0.0.1:1023", "127.0.0.1:8080"),
        (
            replace(COMPOSE, models="fetch", serve={"models": {"a": "/home/me/a.gguf"}}),
            "/home/me/a.gguf",
            "models: image",
        ),
    ],
)
def test_each_is_named_with_its_value_and_the_fix(
    release: Release[Any], named: str, fix: str
) -> None:
    [said] = broken(release)
    assert named in said
    assert fix in said


@pytest.mark.parametrize(
    "release",
    [
        with_scaling(COMPOSE, minimum=1, maximum=1),
        with_options(ALONE, publish="[::1]:8080"),
        with_options(ALONE, publish="127.0.0.1:1024"),
        with_options(COMPOSE, publish="0.0.0.0:443"),
        replace(COMPOSE, serve={"models": {"a": "/home/me/a.gguf"}}),
    ],
)
def test_at_the_limit_it_is_fine(release: Release[Any]) -> None:
    assert broken(release) == []


def test_an_address_that_is_none_is_an_error() -> None:
    with pytest.raises(ConfigError, match=r"compose\.publish is 'everywhere'"):
        broken(with_options(COMPOSE, publish="everywhere"))
