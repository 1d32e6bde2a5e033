"""What is measured: started and stopped, or found at an address."""

from __future__ import annotations

import os
import re
from dataclasses import replace
from pathlib import Path

import psutil
import pytest
import yaml

from pilotlight.bench.subjects import Recipe, Subject, serving
from pilotlight.bench.subjects.asking import Endpoint, ask
from pilotlight.bench.subjects.endpoint import base_url, described, is_cold, is_loopback
from pilotlight.bench.subjects.footprint import memory_bytes
from pilotlight.errors import BenchError, EngineStartError, ServerUnreachableError

from .conftest import ground, recipe


def test_a_started_subject_says_what_it_is(fake: Subject) -> None:
    assert re.fullmatch(r"http://127\.0\.0\.1:\d+", fake.url)
    assert (fake.model, fake.engine, fake.slots, fake.here) == ("fake", "fake", 64, True)
    assert fake.build is not None
    assert fake.build.startswith("fake ")
    assert fake.server is not None
    assert fake.server.startswith("pilotlight ")
    assert fake.options == {"parallel": 64, "token_delay_ms": 0.5}


def test_its_cold_start_is_measured_apart(fake: Subject) -> None:
    cold = fake.cold_start
    assert cold is not None
    assert cold.process_ms is not None
    assert cold.load_ms is not None
    assert cold.first_token_ms is not None
    assert 0 < cold.load_ms < cold.first_token_ms
    assert not is_cold(fake), "what follows is warm"


def test_nothing_of_it_stays(tmp_path: Path) -> None:
    with serving(recipe(tmp_path), ground(tmp_path)) as subject:
        assert subject.pid is not None
        family = [subject.pid, *(c.pid for c in psutil.Process(subject.pid).children(True))]
        assert len(family) > 1, "the engine is a process of its own"
        assert (memory_bytes(subject) or 0) > 10 * 2**20
    assert not [pid for pid in family if psutil.pid_exists(pid)]


def test_the_users_own_server_is_left_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its settings hold, from the file and from the environment; its data stays as it is."""
    users = tmp_path / "data" / "pilotlight"
    monkeypatch.setenv("PILOTLIGHT_DATA_DIR", str(users))
    monkeypatch.setenv("PILOTLIGHT_PORT", "1")
    config = tmp_path / "mine.yaml"
    config.write_text(yaml.safe_dump({"max_body": "1MiB", "models": {"other": {"ref": "pypi:x"}}}))
    place = replace(ground(tmp_path), config=config)
    with serving(recipe(tmp_path), place) as subject:
        names = ask(Endpoint(subject.url), "/v1/models")["data"]
        assert [entry["id"] for entry in names] == ["fake"]
        written = yaml.safe_load((tmp_path / "pilotlight.yaml").read_text())
    assert written["max_body"] == "1MiB"
    assert not users.exists()


def test_a_model_that_does_not_load_says_why(tmp_path: Path) -> None:
    with (
        pytest.raises(EngineStartError, match="the weights are rotten"),
        serving(recipe(tmp_path, fail_load="the weights are rotten"), ground(tmp_path)),
    ):
        pytest.fail("it was said to be ready")


def test_a_server_that_does_not_start_says_why(tmp_path: Path) -> None:
    wrong = replace(recipe(tmp_path), policy={"nonsense": 1})
    with pytest.raises(EngineStartError, match="nonsense"), serving(wrong, ground(tmp_path)):
        pytest.fail("it was said to be ready")


def test_an_address_is_asked_for_its_only_model(fake: Subject) -> None:
    found = described(fake.url + "/v1/")
    assert (found.url, found.model, found.engine) == (fake.url, "fake", "fake")
    assert found.pid is None
    assert found.cold_start is None


def test_a_secret_is_in_no_representation() -> None:
    assert "s3cret" not in repr(Subject(name="a", url="http://a", model="m", key="s3cret"))


def test_nobody_at_an_address() -> None:
    with pytest.raises(ServerUnreachableError, match="nobody answers"):
        described("http://127.0.0.1:9")


@pytest.mark.parametrize(
    ("text", "base"),
    [
        ("http://a:1/", "http://a:1"),
        ("https://a/v1", "https://a"),
        ("http://a/path/v1/", "http://a/path"),
    ],
)
def test_addresses_as_people_write_them(text: str, base: str) -> None:
    assert base_url(text) == base


@pytest.mark.parametrize("text", ["a:1", "ftp://a", "http://", "http://u:p@a"])
def test_what_is_no_address(text: str) -> None:
    with pytest.raises(BenchError) as raised:
        base_url(text)
    assert raised.value.hint
    assert ":p@" not in str(raised.value)


def test_loopback_is_this_machine() -> None:
    there = ("http://127.0.0.1:1", "http://localhost", "http://[::1]:8")
    assert all(map(is_loopback, there))
    assert not any(map(is_loopback, ("http://10.0.0.1", "https://example.com")))


def test_a_relative_path_is_the_callers(tmp_path: Path) -> None:
    os.chdir(tmp_path)
    tree = Recipe(name="m", ref="./m.gguf").tree()
    assert tree["models"]["m"]["ref"] == f"file:{tmp_path / 'm.gguf'}"
    assert Recipe(name="m", ref="pypi:m").tree()["models"]["m"]["ref"] == "pypi:m"
