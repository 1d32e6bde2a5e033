"""From a plan or a configuration to a release: every default, and who decides it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from pilotlight.catalog.platform import GIB
from pilotlight.deploy.release import Release
from pilotlight.deploy.resolve import Known, changed, label_of, resolve, resolve_image
from pilotlight.deploy.size import Scaling, Size
from pilotlight.deploy.source import Source, of_file, of_plan
from pilotlight.deploy.source import planned as both
from pilotlight.errors import ConfigError, PlanError

from .fake_target import FakeOptions, FakeTarget
from .made import IMAGE, REF, known, plan_file, planned, released, source

CLOUD_RUN = "cloud-run-request-2x4"


def of(found: Source, *overrides: str, target: FakeTarget | None = None) -> Release[Any]:
    return resolve(target or FakeTarget(), found, known(), overrides)


def test_without_a_plan_the_defaults_are_those_that_the_settings_tell() -> None:
    found = released()
    assert (found.name, found.image, found.models, found.region) == ("chat", IMAGE, "image", None)
    assert found.size == Size(vcpus=2, memory_bytes=6 * GIB, disk_bytes=2**29)
    assert found.scaling == Scaling(
        concurrency=8, minimum=0, maximum=3, idle_s=300, request_timeout_s=300
    )
    assert found.options.maximum == 3, "the target's own default comes before the common one"


def test_a_plan_says_how_large_and_how_many_and_what_is_given_goes_before_it() -> None:
    plan = planned(CLOUD_RUN)
    assert plan.plan is not None
    deployment = plan.plan.deployment
    found = of(plan)
    assert (found.size.vcpus, found.size.memory_bytes) == (2, 4 * GIB), "the whole machine"
    assert found.scaling.concurrency == deployment.concurrency
    assert found.scaling.maximum == max(1, deployment.machines)
    assert found.scaling.idle_s == deployment.idle_s
    assert found.region == deployment.region == "us-central1"
    assert found.name == "llama-3-2-1b"
    assert found.serve["models"][deployment.model]["ref"] == REF
    assert (found.plan_source, list(changed(found))) == ("plan.json", [])

    other = of(plan, "memory=8GB", "concurrency=2", "region=europe-west1", "maximum=9")
    assert (other.size.memory_bytes, other.scaling.maximum) == (8 * 10**9, 9)
    assert (other.scaling.concurrency, other.region) == (2, "europe-west1")
    if deployment.concurrency != 2:
        assert dict(changed(other)) == {
            "concurrency": f"{deployment.concurrency} in the plan, 2 here"
        }


def test_a_plans_region_is_of_its_own_platform_alone() -> None:
    assert of(planned(CLOUD_RUN), target=FakeTarget(row="lambda-x86")).region is None


def test_a_plan_that_never_stops_a_machine_has_all_of_them_ready() -> None:
    found = of(planned("c7i.2xlarge"))
    assert found.plan is not None
    assert (found.plan.deployment.scaling, found.plan.deployment.idle_s) == ("always-on", None)
    assert found.scaling.minimum == found.scaling.maximum == found.plan.deployment.machines


def test_a_gpu_plan_has_its_gpu_and_an_instance_has_all_of_the_machines() -> None:
    found = of(planned("cloud-run-l4-4x16"))
    assert (found.size.gpu, found.size.gpus) == ("l4", 1)
    without = of(planned("cloud-run-l4-4x16"), "gpu=none")
    assert (without.size.gpu, without.size.gpus) == (None, 0)
    assert ("GPU", "l4 in the plan, none here") in list(changed(without))
    assert released("gpu=L4").size.gpus == 1


def test_nobody_is_given_more_at_once_than_the_platform_gives() -> None:
    target = FakeTarget(row="lambda-x86")
    assert released(target=target).scaling.concurrency == 1
    assert released("concurrency=4", target=target).scaling.concurrency == 4, "asked for: checked"
    assert of(planned(CLOUD_RUN), target=target).scaling.concurrency == 1


@pytest.mark.parametrize(
    ("overrides", "said"),
    [
        (("name=Chat",), "deploy.name is 'Chat', expected lower-case"),
        (("name=-chat",), "deploy.name is '-chat'"),
        (("name=" + "a" * 41,), "at most 40"),
        (("models=baked",), "deploy.models is 'baked', expected image or fetch or mount"),
        (("architecture=riscv",), "deploy.architecture is 'riscv', expected x86_64 or arm64"),
        (("memory=0",), "deploy.memory is 0, expected more than none"),
        (("vcpus=-1",), "deploy.vcpus is -1.0"),
        (("concurrency=0",), "deploy.concurrency is 0"),
        (("timeout=forever",), "deploy.timeout is forever"),
        (("minimum=5",), None),
        (("minimum=5", "maximum=4"), "deploy.minimum is 5 and deploy.maximum 4"),
        (("minimum=-1",), "deploy.minimum is -1"),
        (("gpus=2",), "deploy.gpus is 2 without a GPU"),
        (("gpu=rtx-4091",), "unknown GPU 'rtx-4091'"),
        (("models=fetch",), "how large those are isn't known here"),
        (("models=fetch", "disk=2GB"), None),
    ],
)
def test_what_cannot_be_is_named(overrides: tuple[str, ...], said: str | None) -> None:
    if said is None:
        assert released(*overrides)
        return
    with pytest.raises(ConfigError) as caught:
        released(*overrides)
    assert said in caught.value.message


@pytest.mark.parametrize("name", ["a", "chat", "a" * 40, "a-1"])
def test_names_that_platforms_take(name: str) -> None:
    assert released(f"name={name}").name == name


@pytest.mark.parametrize(
    ("model", "label"),
    [
        ("smollm2:135m", "smollm2-135m"),
        ("Llama 3.2_1B", "llama-3-2-1b"),
        ("7b", "model-7b"),
        ("…", "model"),
        ("x" * 60, "x" * 40),
        ("y" * 39 + "-z", "y" * 39),
    ],
)
def test_a_model_that_has_no_such_name_lends_what_it_can(model: str, label: str) -> None:
    assert label_of(model) == label
    assert of(source(serve={"models": {model: {"ref": "pypi:x"}}})).name == label


def test_models_that_are_fetched_need_room() -> None:
    here = known(weights_bytes=lambda source: 10**9)
    found = resolve(FakeTarget(), source(), here, ("models=fetch",))
    assert found.size.disk_bytes == 10**9 + 2**29
    from_plan = of(planned(CLOUD_RUN), "models=fetch")
    assert from_plan.plan is not None
    deployment = from_plan.plan.deployment
    bits = deployment.parameters * deployment.bits_per_weight
    assert from_plan.size.disk_bytes == pytest.approx(bits / 8 + 2**29, abs=1)


def test_whoever_asks_after_it_needs_no_models_on_this_machine() -> None:
    def room(here: Known, *overrides: str) -> int:
        given = ("models=fetch", *overrides)
        return resolve(FakeTarget(), source(), here, given, with_image=False).size.disk_bytes

    assert room(known()) == 2**29
    assert room(known(weights_bytes=lambda source: 10**9)) == 10**9 + 2**29
    assert room(known(), "disk=2GB") == 2 * 10**9


def test_an_image_is_needed_only_where_one_is_sent() -> None:
    nothing = known(image=lambda name: None)
    with pytest.raises(ConfigError, match="no image is named for fake") as caught:
        resolve(FakeTarget(), source(), nothing)
    assert "pilotlight deploy image" in str(caught.value.hint)
    assert resolve(FakeTarget(), source(), nothing, with_image=False).image is None
    assert resolve(FakeTarget(), source(), nothing, ("image=a:1",)).image == "a:1"
    made = known(image=lambda name: f"made-for-{name}")
    assert resolve(FakeTarget(), source(), made, ("name=x",)).image == "made-for-x"

    class Bare(FakeOptions):
        needs_image = False

    assert resolve(FakeTarget(options=Bare), source(), made).image is None


def test_an_image_for_every_target_is_made_for_the_release_of_none() -> None:
    found = resolve_image(source({"models": "mount", "concurrency": 4}), known(), ("name=x",))
    assert (found.name, found.models, found.scaling.concurrency) == ("x", "mount", 4)


def test_a_configuration_is_served_as_it_is_or_not_deployed(tmp_path: Path) -> None:
    path = tmp_path / "pilotlight.yaml"
    path.write_text("max_body: 1MB\nmodels: {a: pypi:x}\ndeploy: {name: b}\n")
    found = of_file(path)
    assert found.serve == {"max_body": "1MB", "models": {"a": "pypi:x"}}
    assert (found.section, found.plan) == ({"name": "b"}, None)

    path.write_text("prot: 1\n")
    with pytest.raises(ConfigError, match="unknown key 'prot'"):
        of_file(path)
    path.write_text("")
    assert list(of_file(path).serve["models"]) == ["smollm2:135m"], "as `serve` has it"


def test_prompts_in_files_of_this_machine_go_along_as_texts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "short.txt").write_text("Be brief.")
    path = tmp_path / "pilotlight.yaml"
    path.write_text(
        "models:\n"
        "  one: {ref: pypi:x, system_prompts: '@short.txt'}\n"
        "  more: {ref: pypi:y, system_prompts: [~ or so., '@short.txt', '@/app/there.txt']}\n"
    )
    models = of_file(path).serve["models"]
    assert models["one"]["system_prompts"] == ["Be brief."]
    assert models["more"]["system_prompts"] == ["~ or so.", "Be brief.", "@/app/there.txt"]


def test_a_secret_in_the_file_is_refused_for_what_is_deployed_can_be_read(tmp_path: Path) -> None:
    path = tmp_path / "pilotlight.yaml"
    path.write_text("store: {hf_token: hunter2}\n")
    with pytest.raises(ConfigError, match=r"store\.hf_token is a secret") as caught:
        of_file(path)
    assert "PILOTLIGHT_STORE_HF_TOKEN" in str(caught.value.hint)
    assert "hunter2" not in str(caught.value)


def test_a_plan_with_a_configuration_says_the_model_and_the_file_all_else() -> None:
    file = source({"memory": "9GB"}, {"max_body": "1MB", "models": {"other": "pypi:y"}})
    found = both(planned(CLOUD_RUN), file)
    assert found.serve["max_body"] == "1MB"
    assert "other" not in found.serve["models"]
    assert of(found).size.memory_bytes == 9 * 10**9


def test_a_plan_that_isnt_there_is_named() -> None:
    with pytest.raises(PlanError, match="has no plan 999"):
        of_plan(plan_file(CLOUD_RUN), "plan.json", rank=999)
    with pytest.raises(PlanError, match=r"plan\.json is not JSON"):
        of_plan(b"{", "plan.json")
