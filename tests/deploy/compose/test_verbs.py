"""The verbs against an engine in memory; test_podman_real.py has them against a real one."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from deploy.compose.engine import FakeEngine
from deploy.server.answering import answering
from deploy.server.releases import COMPOSE, IMAGE, with_options
from pilotlight.deploy.compose.program import PROGRAMS, find
from pilotlight.deploy.compose.target import ComposeTarget
from pilotlight.deploy.release import Release
from pilotlight.deploy.resources import changes
from pilotlight.errors import ConfigError, DeployError

CONTAINER = "pilotlight-chat"
DATA = "pilotlight-chat-data"


@pytest.fixture
def engine() -> FakeEngine:
    return FakeEngine(images={IMAGE})


@pytest.fixture
def release(tmp_path: Path) -> Release[Any]:
    # Nobody listens at port 1, so nothing here ever becomes ready.
    return with_options(COMPOSE, directory=tmp_path / "kept", publish="127.0.0.1:1", ready=0.01)


@pytest.fixture
def serving(engine: FakeEngine, release: Release[Any]) -> Iterator[Release[Any]]:
    """Where something answers as an instance that is ready, as long as there is a container."""
    with answering(lambda path: 200 if engine.containers else 503) as address:
        yield with_options(release, publish=str(address))


def test_where_somebody_else_answers_nothing_is_started(
    engine: FakeEngine, release: Release[Any]
) -> None:
    with (
        answering(lambda path: 200 if path == "/" else 404) as address,
        pytest.raises(DeployError, match="something else answers") as caught,
    ):
        apply(engine, with_options(release, publish=str(address)))
    assert "compose.publish" in str(caught.value.hint)
    assert not any("up" in argv for argv in engine.asked)


def apply(engine: FakeEngine, release: Release[Any]) -> None:
    target = ComposeTarget(engine)
    target.apply(release, tuple(changes(target.live(release), target.wanted(release))), print)


def test_up_again_updated_and_gone(engine: FakeEngine, serving: Release[Any]) -> None:
    target = ComposeTarget(engine)
    apply(engine, serving)
    assert target.status(serving).state == "ready"
    assert engine.volumes == {DATA}
    assert list(changes(target.live(serving), target.wanted(serving))) == []
    ups = sum("up" in argv for argv in engine.asked)
    apply(engine, serving)
    assert sum("up" in argv for argv in engine.asked) == ups, "the same again does nothing"

    other = replace(serving, serve={**serving.serve, "drain": "21s"})
    todo = {change.name for change in changes(target.live(other), target.wanted(other))}
    assert todo == {"file/compose.yaml", "file/pilotlight.yaml", f"container/{CONTAINER}"}
    apply(engine, other)
    assert list(changes(target.live(other), target.wanted(other))) == []

    target.delete(with_options(other, purge=True), print)
    assert (engine.containers, engine.volumes, target.live(other)) == ({}, set(), {})


def test_a_stopped_container_is_started_again(engine: FakeEngine, serving: Release[Any]) -> None:
    target = ComposeTarget(engine)
    apply(engine, serving)
    engine.containers[CONTAINER]["State"]["Running"] = False
    assert target.status(serving).state == "failed"
    apply(engine, serving)
    assert target.status(serving).state == "ready"


def test_a_new_volume_is_given_to_the_instances_user(
    engine: FakeEngine, serving: Release[Any]
) -> None:
    apply(engine, serving)
    [given] = [argv for argv in engine.asked if "chown" in argv]
    assert given[-2:] == ("10001:10001", "/volume")
    assert f"{DATA}:/volume" in given


def test_nothing_there(engine: FakeEngine, release: Release[Any]) -> None:
    assert ComposeTarget(engine).live(release) == {}
    assert ComposeTarget(engine).status(release).state == "absent"


def test_a_failure_leaves_no_container_no_volume_and_no_folder(
    engine: FakeEngine, release: Release[Any]
) -> None:
    with pytest.raises(DeployError, match="nothing of it was kept"):
        apply(engine, release)
    assert any("up" in argv for argv in engine.asked)
    assert (engine.containers, engine.volumes) == ({}, set())
    assert not (release.options.directory / "chat").exists()


def test_a_volume_that_was_there_outlives_a_failure(
    engine: FakeEngine, release: Release[Any]
) -> None:
    engine.volumes.add(DATA)
    with pytest.raises(DeployError):
        apply(engine, release)
    assert engine.volumes == {DATA}


def test_an_instance_that_ends_again_and_again_is_given_up_at_once(
    engine: FakeEngine, release: Release[Any]
) -> None:
    engine.dies = True
    with pytest.raises(DeployError, match="ended 5 times, with exit status 2"):
        apply(engine, with_options(release, ready=3600.0))


def test_an_image_that_cant_be_had_starts_nothing(
    engine: FakeEngine, release: Release[Any]
) -> None:
    engine.images.clear()
    with pytest.raises(DeployError, match="manifest unknown") as caught:
        apply(engine, release)
    assert "registry" in str(caught.value.hint)
    assert not any("up" in argv for argv in engine.asked)


def test_an_image_that_was_pruned_is_had_again_on_the_way_back(
    engine: FakeEngine, serving: Release[Any]
) -> None:
    other = replace(serving, image=f"{IMAGE[:-1]}0")
    engine.images.add(str(other.image))
    for each in (serving, other):
        apply(engine, each)
    engine.images.remove(IMAGE)
    running = engine.containers[CONTAINER]
    with pytest.raises(DeployError, match="manifest unknown"):
        apply(engine, serving)
    assert engine.containers[CONTAINER] is running, "nothing was touched yet"


def test_a_container_of_somebody_elses_is_never_touched(
    engine: FakeEngine, release: Release[Any]
) -> None:
    engine.containers[CONTAINER] = {"Config": {"Labels": None}, "State": {"Running": True}}
    target = ComposeTarget(engine)
    for verb in (target.live, target.status):
        with pytest.raises(DeployError, match="wasn't made by this"):
            verb(release)
    with pytest.raises(DeployError, match="wasn't made by this"):
        target.delete(release, print)
    assert CONTAINER in engine.containers


def test_delete_keeps_the_volumes_and_says_how_to_remove_them(
    engine: FakeEngine, release: Release[Any]
) -> None:
    engine.volumes.add(DATA)
    said: list[str] = []
    ComposeTarget(engine).delete(release, said.append)
    assert said == [f"kept volume {DATA}; remove it with: docker volume rm {DATA}"]
    ComposeTarget(engine).delete(with_options(release, purge=True), said.append)
    assert engine.volumes == set()


def test_logs_follow_the_container(engine: FakeEngine, release: Release[Any]) -> None:
    lines = ComposeTarget(engine).logs(release, since_s=90, follow=True)
    assert list(lines) == ["a line"]
    assert engine.asked[-1] == ("docker", "logs", "--since", "90s", "--follow", CONTAINER)


def test_the_first_program_that_works_is_taken() -> None:
    assert find(FakeEngine(), None) == PROGRAMS["docker compose"]
    podman = FakeEngine(programs=("podman", "podman-compose"))
    assert find(podman, None) == PROGRAMS["podman compose"]
    assert find(podman, "podman-compose") == PROGRAMS["podman-compose"]


@pytest.mark.parametrize(("name", "said"), [(None, "works here"), ("kubectl", "'kubectl'")])
def test_no_program_is_an_error_with_a_way_out(name: str | None, said: str) -> None:
    with pytest.raises(ConfigError, match=said) as caught:
        find(FakeEngine(programs=()), name)
    assert caught.value.hint
