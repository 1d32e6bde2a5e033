"""What a unit on one server can't be asked for, just below each limit and above it."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from deploy.server.releases import KEYLESS, OPEN, SYSTEMD, SYSTEMD_CASES, with_options, with_scaling
from pilotlight.deploy.release import Release
from pilotlight.deploy.systemd.target import SystemdTarget
from pilotlight.errors import ConfigError


def broken(release: Release[Any]) -> list[str]:
    return [str(one) for one in SystemdTarget().check(release)]


def of_model(ref: str) -> Release[Any]:
    return replace(SYSTEMD, serve={"models": {"mine": {"ref": ref, "engine": "python"}}})


@pytest.mark.parametrize("case", SYSTEMD_CASES)
def test_a_good_release_breaks_none(case: str) -> None:
    assert broken(SYSTEMD_CASES[case]) == []


@pytest.mark.parametrize(
    ("release", "named", "fix"),
    [
        (with_scaling(SYSTEMD, maximum=2), "has 2:", "systemd.maximum: 1"),
        (replace(SYSTEMD, models="image"), "models: image", "models: fetch"),
        (replace(SYSTEMD, models="mount"), "no systemd.cache", "/srv/models"),
        (with_options(SYSTEMD, cache=Path("/srv/m")), "models: fetch", "models: mount"),
        (with_options(KEYLESS, listen="0.0.0.0:8080"), "no key", "keys create"),
        (with_options(SYSTEMD, listen="0.0.0.0:1023"), "0.0.0.0:1023", "0.0.0.0:8080"),
        (with_options(SYSTEMD, ready=math.inf), "ready forever", "5m"),
        (replace(SYSTEMD, serve={**SYSTEMD.serve, "drain": "forever"}), "drain forever", "1m"),
        (with_options(SYSTEMD, python=Path("/root/v/bin/python")), "/root/v", "/usr/bin/python3"),
        (with_options(OPEN, cache=Path("/home/me/models")), "'/home/me/models'", "/srv/models"),
        (with_options(SYSTEMD, python=Path("python3")), "'python3'", "systemd.python"),
        (with_options(SYSTEMD, env_file=Path("/etc/a b")), "'/etc/a b'", "a-b"),
        (with_options(SYSTEMD, env_file=Path("/etc/100%")), "'/etc/100%'", "systemd.env_file"),
        (of_model("file:/home/me/a.gguf"), "/home/me/a.gguf", "/srv/pilotlight/a.gguf"),
        (of_model("python:/tmp/mine.py:Mine"), "/tmp/mine.py", "/srv/pilotlight/mine.py"),
        (of_model("python:mine.py:Mine"), "mine.py", "/srv/pilotlight/mine.py"),
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
        with_scaling(SYSTEMD, minimum=1),
        with_options(SYSTEMD, listen="0.0.0.0:1024"),
        with_options(KEYLESS, listen="[::1]:8080"),
        of_model("python:/srv/mine.py:Mine"),
        of_model("python:mine.module:Mine"),
        of_model("file:/homes/a.gguf"),
    ],
)
def test_at_the_limit_it_is_fine(release: Release[Any]) -> None:
    assert broken(release) == []


def test_an_address_that_is_none_is_an_error() -> None:
    with pytest.raises(ConfigError, match=r"systemd\.listen is 'here'"):
        broken(with_options(SYSTEMD, listen="here"))
