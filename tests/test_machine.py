"""The limits a cgroup sets, read from trees as kernels lay them out."""

from __future__ import annotations

from pathlib import Path

import pytest

from pilotlight import machine


@pytest.fixture
def tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cgroup tree in place of the kernel's; write files into it."""
    monkeypatch.setattr(machine, "CGROUPS", tmp_path / "cgroup")
    monkeypatch.setattr(machine, "OWN_GROUPS", tmp_path / "own")
    return tmp_path


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def test_version_2_takes_the_tightest_limit_on_the_way_up(tree: Path) -> None:
    write(tree / "own", "0::/system.slice/pilotlight.service\n")
    service = tree / "cgroup/system.slice/pilotlight.service"
    write(service / "memory.max", "max\n")
    write(service / "cpu.max", "400000 100000\n")
    write(service.parent / "memory.max", str(2 * 2**30))
    write(service.parent / "cpu.max", "150000 100000\n")
    assert machine._cgroup_memory_bytes() == 2 * 2**30
    assert machine._cgroup_cpu_quota() == 1.5


def test_version_1_has_a_tree_for_each_controller(tree: Path) -> None:
    write(tree / "own", "4:memory:/docker/abc\n3:cpu,cpuacct:/docker/abc\n1:pids:/\n")
    write(tree / "cgroup/memory/docker/abc/memory.limit_in_bytes", "6000000000")
    write(tree / "cgroup/memory/memory.limit_in_bytes", "9223372036854771712")
    write(tree / "cgroup/cpu,cpuacct/docker/abc/cpu.cfs_quota_us", "50000")
    write(tree / "cgroup/cpu,cpuacct/docker/abc/cpu.cfs_period_us", "100000")
    assert machine._cgroup_memory_bytes() == 6_000_000_000
    assert machine._cgroup_cpu_quota() == 0.5


def test_inside_a_container_the_mount_is_our_own_group(tree: Path) -> None:
    write(tree / "own", "0::/not/visible/here\n")
    write(tree / "cgroup/memory.max", "1073741824")
    write(tree / "cgroup/cpu.max", "max 100000")
    assert machine._cgroup_memory_bytes() == 2**30
    assert machine._cgroup_cpu_quota() is None


def test_without_cgroups_the_machine_is_the_limit(tree: Path) -> None:
    assert machine._cgroup_memory_bytes() is None
    assert machine.memory_limit_bytes() > 2**28


def test_cache_that_nobody_used_lately_is_spare_within_version_2(tree: Path) -> None:
    write(tree / "own", "0::/ours\n")
    write(tree / "cgroup/ours/memory.max", "1000000")
    write(tree / "cgroup/ours/memory.current", "900000")
    write(tree / "cgroup/ours/memory.stat", "anon 5\ninactive_file 300000\nactive_file 400000\n")
    assert machine.memory_spare_bytes() == 400_000


def test_the_tightest_group_says_what_is_spare_in_version_1(tree: Path) -> None:
    write(tree / "own", "4:memory:/docker/abc\n")
    for group, limit, used in (("docker/abc", "1000000", "400000"), ("docker", "700000", "600000")):
        write(tree / f"cgroup/memory/{group}/memory.limit_in_bytes", limit)
        write(tree / f"cgroup/memory/{group}/memory.usage_in_bytes", used)
        write(tree / f"cgroup/memory/{group}/memory.stat", "total_inactive_file 1000\n")
    assert machine.memory_spare_bytes() == 101_000


def test_a_group_over_its_limit_has_nothing_to_spare(tree: Path) -> None:
    write(tree / "own", "0::/ours\n")
    write(tree / "cgroup/ours/memory.max", "1000")
    write(tree / "cgroup/ours/memory.current", "4000")
    assert machine.memory_spare_bytes() == 0


def test_without_cgroups_the_machine_has_it_to_spare(tree: Path) -> None:
    assert 0 < machine.memory_spare_bytes() < machine.memory_limit_bytes()


def test_the_survey_of_this_machine_is_sane() -> None:
    found = machine.survey()
    assert found.cores >= 1
    assert found.ram_bytes > 2**28
    assert found.cpu
    assert str(found.cores) in found.fingerprint
