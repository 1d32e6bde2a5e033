"""The cluster: what GKE would refuse, and that both ways to make it make the same."""

from __future__ import annotations

import re
import subprocess
from dataclasses import replace
from typing import Any

import pytest

from pilotlight.deploy.kubernetes.cluster import ClusterOptions, check, render
from pilotlight.deploy.kubernetes.machines import machines
from pilotlight.errors import DeployLimitError


@pytest.mark.parametrize(
    ("option", "good", "bad"),
    [
        ("name", "a" * 39, "a" * 41),
        ("name", "pilot-1", "Pilot"),
        ("zone", "europe-west4-b", "europe-west4"),
        ("machine", "a3-highgpu-8g", "p4d.24xlarge"),
        ("channel", "rapid", "newest"),
        ("gpu_nodes", 1, 0),
        ("gateway_nodes", 1, 0),
        ("disk", 50, 49),
    ],
)
def test_limits(option: str, good: Any, bad: Any) -> None:
    assert not check(replace(ClusterOptions(), **{option: good}))
    [violation] = check(replace(ClusterOptions(), **{option: bad}))
    assert str(bad) in violation.value
    with pytest.raises(DeployLimitError):
        render(replace(ClusterOptions(), **{option: bad}))


@pytest.mark.parametrize("machine", sorted(machines()))
def test_gcloud_and_terraform_make_the_same_pools(machine: str) -> None:
    files = render(ClusterOptions(machine=machine))
    commands, resources = files["cluster.sh"], files["terraform/main.tf"]
    asked = re.findall(r"--machine-type=(\S+)", commands)
    assert asked == re.findall(r'machine_type +=\s"(\S+)"', resources) == ["e2-standard-2", machine]
    bounds = list(
        zip(
            re.findall(r"--min-nodes=(\d+)", commands),
            re.findall(r"--max-nodes=(\d+)", commands),
            strict=True,
        )
    )
    assert bounds == [("1", "2"), ("0", "2")]
    assert bounds == re.findall(r"min_node_count = (\d+)\n +max_node_count = (\d+)", resources)
    there = machines()[machine]
    if there.gpu:
        accelerator = f"--accelerator=type={there.label},count={there.gpus},"
        assert accelerator in commands
        assert f'type  = "{there.label}"' in resources
    else:
        assert "--accelerator" not in commands
        assert "guest_accelerator" not in resources
    for text, words in ((commands, "--spot"), (resources, "spot ")):
        assert words not in text
        assert words in "".join(render(ClusterOptions(machine=machine, spot=True)).values())


def test_the_cluster_enforces_what_the_manifests_ask_for() -> None:
    files = render(ClusterOptions(authorized=("203.0.113.0/24",)))
    assert "--enable-dataplane-v2" in files["cluster.sh"], "or no NetworkPolicy holds"
    assert 'datapath_provider = "ADVANCED_DATAPATH"' in files["terraform/main.tf"]
    assert "--workload-pool=" in files["cluster.sh"]
    assert "--enable-image-streaming" in files["cluster.sh"]
    assert "--master-authorized-networks=203.0.113.0/24" in files["cluster.sh"]
    assert '["203.0.113.0/24"]' in files["terraform/variables.tf"]


def test_a_long_name_makes_a_service_account_all_the_same() -> None:
    """Of at most thirty characters."""
    text = render(ClusterOptions(name="a" * 40))["terraform/main.tf"]
    [length] = re.findall(r'account_id +=\s"\${substr\(var.name, 0, (\d+)\)}-nodes"', text)
    assert int(length) + len("-nodes") <= 30


@pytest.mark.parametrize("machine", ["n4-standard-8", "c4a-standard-8", "a3-ultragpu-8g"])
def test_machines_that_take_hyperdisks_alone(machine: str) -> None:
    files = render(ClusterOptions(machine=machine))
    assert "--disk-type=hyperdisk-balanced" in files["cluster.sh"]
    assert '"hyperdisk-balanced"' in files["terraform/main.tf"]


def test_the_scripts_are_shell() -> None:
    for path, text in render(ClusterOptions()).items():
        if path.endswith(".sh"):
            subprocess.run(["sh", "-n"], input=text, text=True, check=True, timeout=10)


def test_braces_are_balanced() -> None:
    for path, text in render(ClusterOptions(machine="ct5lp-hightpu-8t")).items():
        if path.endswith(".tf"):
            assert text.count("{") == text.count("}"), path
