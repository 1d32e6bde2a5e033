"""The rendered files: as approved, and how far the unit is confined."""

from __future__ import annotations

import configparser
from dataclasses import replace
from typing import Any

import pytest
import yaml

from deploy.server.releases import KEYLESS, OPEN, SYSTEMD, SYSTEMD_CASES, with_options
from deploy.systemd.goldens import approved, rendered
from pilotlight.deploy.release import Release
from pilotlight.deploy.systemd.target import SystemdTarget
from pilotlight.deploy.systemd.unit import SPARE_S

cases = pytest.mark.parametrize("case", SYSTEMD_CASES)


def service(release: Release[Any]) -> dict[str, list[str]]:
    """The unit's section [Service]; a key may be there several times."""
    text = SystemdTarget().render(release)[f"pilotlight-{release.name}.service"]
    found: dict[str, list[str]] = {}
    for line in text.partition("[Service]")[2].partition("[Install]")[0].splitlines():
        key, equals, value = line.partition("=")
        if equals and not line.startswith("#"):
            found.setdefault(key, []).append(value)
    return found


def configuration(release: Release[Any]) -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load(SystemdTarget().render(release)["pilotlight.yaml"])
    return loaded


@cases
def test_files_are_as_approved(case: str) -> None:
    assert rendered(case) == approved(case), "see deploy.systemd.goldens"


@cases
def test_files_come_in_reading_order(case: str) -> None:
    name = SYSTEMD_CASES[case].name
    assert list(rendered(case))[:2] == ["README.md", f"pilotlight-{name}.service"]


@cases
def test_it_is_killed_only_after_its_drain(case: str) -> None:
    assert configuration(SYSTEMD_CASES[case])["drain"] == "20s"
    assert service(SYSTEMD_CASES[case])["TimeoutStopSec"] == [f"{20 + SPARE_S:g}s"]


@cases
def test_the_release_is_one_link_away(case: str) -> None:
    """Nothing of the unit names a version: another link and a restart are an update."""
    home = f"/opt/pilotlight/{SYSTEMD_CASES[case].name}/current"
    assert service(SYSTEMD_CASES[case])["ExecStart"] == [
        f"{home}/venv/bin/python -m pilotlight.instance"
    ]


def test_the_size_is_its_bound() -> None:
    found = service(OPEN)
    assert found["MemoryMax"] == [str(6 * 2**30)]
    assert found["CPUQuota"] == ["150%"]


def test_keys_are_linked_to_where_the_gateway_looks() -> None:
    link = "/opt/pilotlight/chat/current/keys.json %S/pilotlight-chat/keys.json"
    assert service(SYSTEMD)["ExecStartPre"] == [f"/bin/ln -sfn {link}"]
    assert "keys.json" in SystemdTarget().render(SYSTEMD)
    assert "ExecStartPre" not in service(KEYLESS)
    assert "keys.json" not in SystemdTarget().render(KEYLESS)


def test_a_gpu_is_all_that_it_may_open() -> None:
    assert service(OPEN)["DeviceAllow"] == ["char-nvidia* rw"]
    assert "PrivateDevices" not in service(OPEN)
    assert service(SYSTEMD)["PrivateDevices"] == ["yes"]


def test_what_holds_for_this_machine_stays() -> None:
    """It runs on a machine like the one that the file was written on, unlike a container."""
    serve = {
        **SYSTEMD.serve,
        "engines": {"llamacpp": {"server": "/usr/local/bin/llama-server"}},
        "memory": "8GB",
    }
    found = configuration(replace(SYSTEMD, serve=serve))
    assert found["engines"] == serve["engines"]
    assert found["memory"] == "8GB"
    assert found["ledger"] == {"usd_per_kwh": 0.14}


def test_it_listens_where_it_is_told() -> None:
    release = with_options(SYSTEMD, listen="192.0.2.7:9000")
    assert (configuration(release)["host"], configuration(release)["port"]) == ("192.0.2.7", 9000)


def test_mounted_models_are_only_read() -> None:
    assert configuration(OPEN)["store"] == {"shared": ["/srv/models"], "offline": True}


@cases
def test_the_unit_is_in_three_sections(case: str) -> None:
    name = SYSTEMD_CASES[case].name
    parser = configparser.ConfigParser(strict=False, interpolation=None)
    parser.optionxform = str  # type: ignore[assignment,method-assign]
    parser.read_string(rendered(case)[f"pilotlight-{name}.service"])
    assert parser.sections() == ["Unit", "Service", "Install"]


@pytest.mark.parametrize(
    "other",
    [
        replace(SYSTEMD, keys={**SYSTEMD.keys, "keys": []}),
        replace(SYSTEMD, serve={**SYSTEMD.serve, "drain": "21s"}),
        replace(SYSTEMD, size=replace(SYSTEMD.size, vcpus=3)),
        with_options(SYSTEMD, package="pilotlight[llamacpp]==1.2.4"),
    ],
    ids=["keys", "configuration", "size", "package"],
)
def test_every_change_is_another_release(other: Release[Any]) -> None:
    assert (
        SystemdTarget().wanted(other)["service/chat"]
        != SystemdTarget().wanted(SYSTEMD)["service/chat"]
    )
