"""The rendered files: as approved, and what a server makes of them."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from deploy.compose.goldens import approved, rendered
from deploy.server.releases import ALONE, COMPOSE, COMPOSE_CASES, IMAGE, with_options
from pilotlight.deploy.compose.compose_file import SPARE_S
from pilotlight.deploy.compose.target import ComposeTarget
from pilotlight.deploy.release import Release
from pilotlight.deploy.resources import changes

cases = pytest.mark.parametrize("case", COMPOSE_CASES)


def document(release: Release[Any]) -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load(ComposeTarget().render(release)["compose.yaml"])
    return loaded


def gateway(release: Release[Any]) -> dict[str, Any]:
    service: dict[str, Any] = document(release)["services"]["gateway"]
    return service


@cases
def test_files_are_as_approved(case: str) -> None:
    assert rendered(case) == approved(case), "see deploy.compose.goldens"


@cases
def test_files_come_in_reading_order(case: str) -> None:
    assert list(rendered(case))[:2] == ["README.md", "compose.yaml"]


@cases
def test_it_is_confined(case: str) -> None:
    service = gateway(COMPOSE_CASES[case])
    assert service["user"] == "10001:10001"
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert not {"privileged", "cap_add", "pid", "devices"} & set(service)
    assert service["memswap_limit"] == service["mem_limit"] == 6 * 2**30


@cases
def test_it_is_killed_only_after_its_drain(case: str) -> None:
    release = COMPOSE_CASES[case]
    inside = yaml.safe_load(ComposeTarget().render(release)["pilotlight.yaml"])
    assert inside["drain"] == "20s"
    assert gateway(release)["stop_grace_period"] == f"{20 + SPARE_S:g}s"


@cases
def test_a_reboot_starts_it_by_docker_and_by_podman(case: str) -> None:
    assert gateway(COMPOSE_CASES[case])["restart"] == "always"


def test_with_keys_it_hears_where_it_is_told_and_has_them_as_a_file() -> None:
    release = with_options(COMPOSE, publish="0.0.0.0:80")
    assert gateway(release)["ports"] == ["0.0.0.0:80:8080"]
    assert gateway(release)["environment"]["PORT"] == "8080"
    assert gateway(release)["secrets"] == [
        {"source": "keys", "target": "/etc/pilotlight/keys.json"}
    ]
    assert json.loads(ComposeTarget().render(release)["keys.json"]) == COMPOSE.keys


def test_without_keys_it_hears_on_this_machines_loopback_alone() -> None:
    release = with_options(ALONE, publish="127.0.0.1:9000")
    service, files = gateway(release), ComposeTarget().render(release)
    assert service["network_mode"] == "host"
    assert service["environment"]["PILOTLIGHT_HOST"] == "127.0.0.1"
    assert service["environment"]["PORT"] == "9000"
    assert "ports" not in service
    assert "keys.json" not in files
    assert "secrets" not in document(release)


def test_fetched_models_outlive_the_container() -> None:
    release = COMPOSE_CASES["fetching"]
    assert "models:/cache" in gateway(release)["volumes"]
    assert gateway(release)["environment"]["PILOTLIGHT_STORE_DIRECTORY"] == "/cache"
    assert document(release)["volumes"]["models"]["name"] == "pilotlight-chat-models"


def test_the_image_is_one_line_of_its_own() -> None:
    assert f"PILOTLIGHT_IMAGE={IMAGE}\n" in ComposeTarget().render(COMPOSE)[".env"]
    assert gateway(COMPOSE)["image"].startswith("${PILOTLIGHT_IMAGE:?")


@pytest.mark.parametrize(
    "other",
    [
        replace(COMPOSE, image=IMAGE.replace("0", "f")),
        replace(COMPOSE, keys={**COMPOSE.keys, "keys": []}),
        replace(COMPOSE, serve={**COMPOSE.serve, "drain": "21s"}),
        with_options(COMPOSE, publish="127.0.0.1:8081"),
    ],
    ids=["image", "keys", "configuration", "address"],
)
def test_every_change_is_another_container(other: Release[Any]) -> None:
    name = "container/pilotlight-chat"
    assert ComposeTarget().wanted(other)[name] != ComposeTarget().wanted(COMPOSE)[name]
    assert gateway(other)["labels"] != gateway(COMPOSE)["labels"]


@cases
def test_rendering_twice_is_the_same_and_nothing_to_do(case: str) -> None:
    release = COMPOSE_CASES[case]
    assert ComposeTarget().render(release) == ComposeTarget().render(release)
    assert list(changes(ComposeTarget().wanted(release), ComposeTarget().wanted(release))) == []


TEXTS = st.text(
    st.characters(codec="utf-8", exclude_characters="/:", exclude_categories=("Cc", "Cs")),
    min_size=1,
)


@settings(deadline=None)
@given(TEXTS)
def test_any_cache_folder_is_the_folder_that_is_mounted(name: str) -> None:
    folder = Path("/srv") / name
    release = with_options(replace(COMPOSE, models="mount"), cache=folder)
    assert f"{folder}:/cache:ro".replace("$", "$$") in gateway(release)["volumes"]
