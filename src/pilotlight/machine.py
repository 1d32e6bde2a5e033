"""What this machine has, as a container or cgroup lets us use it."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import psutil

CGROUPS = Path("/sys/fs/cgroup")
OWN_GROUPS = Path("/proc/self/cgroup")


@dataclass(frozen=True, slots=True)
class Gpu:
    """One accelerator; memory in bytes."""

    index: int
    name: str
    memory_bytes: int
    driver: str | None = None


@dataclass(frozen=True, slots=True)
class Machine:
    """Cores, memory and accelerators that engines may use here."""

    cpu: str
    cores: int
    ram_bytes: int
    gpus: tuple[Gpu, ...]
    instruction_sets: frozenset[str]

    @property
    def fingerprint(self) -> str:
        """What a measurement on this machine is keyed by."""
        gpus = "+".join(gpu.name for gpu in self.gpus) or "no gpu"
        return f"{self.cpu} x{self.cores}, {self.ram_bytes >> 20} MiB, {gpus}"


NOTABLE = (
    "avx", "avx2", "fma", "f16c", "avx_vnni", "avx512f", "avx512bw", "avx512vl", "avx512_vnni",
    "avx512_bf16", "avx512vbmi", "amx_int8", "amx_bf16", "asimd", "asimddp", "i8mm", "sve", "sve2",
)  # fmt: skip
"""The sets that change how fast llama.cpp runs, in /proc/cpuinfo's own words."""


def survey() -> Machine:
    """Look at the machine once. Reads /proc, the cgroup files and NVML; blocks for milliseconds."""
    cpu, flags = _cpu()
    return Machine(
        cpu=cpu,
        cores=_cores(),
        ram_bytes=memory_limit_bytes(),
        gpus=tuple(_gpus()),
        instruction_sets=frozenset(flags) & frozenset(NOTABLE),
    )


def _cpu() -> tuple[str, list[str]]:
    name = platform.processor() or platform.machine()
    flags: list[str] = []
    try:
        text = Path("/proc/cpuinfo").read_text()
    except OSError:
        return name, flags
    for line in text.splitlines():
        key, _, value = line.partition(":")
        if key.strip() == "model name":
            name = value.strip()
        if key.strip() in ("flags", "Features"):
            return name, value.split()
    return name, flags


def _cores() -> int:
    affinity = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else None
    cores = affinity or os.cpu_count() or 1
    quota = _cgroup_cpu_quota()
    return max(1, min(cores, int(quota))) if quota else cores


def _read(path: Path) -> str | None:
    try:
        return path.read_text().strip()
    except OSError:
        return None


def _cgroup_directories(controller: str) -> list[Path]:
    """This process's cgroup and all above it: any of them may set a limit.

    Version 2 has one tree; version 1 has one for each controller. Inside a
    container the tree is mounted at our own group, and the path from
    /proc/self/cgroup doesn't exist below it: then the mount itself is ours.
    """
    directories = []
    for line in (_read(OWN_GROUPS) or "").splitlines():
        _, controllers, path = line.split(":", 2)
        if controllers and controller not in controllers.split(","):
            continue
        root = CGROUPS / controllers if controllers else CGROUPS
        group = root / path.lstrip("/")
        directories += [group, *(up for up in group.parents if up.is_relative_to(root))]
    return directories


def _cgroup_cpu_quota() -> float | None:
    """Cores' worth of time allowed, by the tightest limit; None without one."""
    quotas = [_quota(directory) for directory in _cgroup_directories("cpu")]
    return min((quota for quota in quotas if quota is not None), default=None)


def _quota(directory: Path) -> float | None:
    if both := _read(directory / "cpu.max"):  # v2: "max 100000" or "50000 100000"
        quota, _, period = both.partition(" ")
        return None if quota == "max" else int(quota) / int(period)
    quota = _read(directory / "cpu.cfs_quota_us") or "-1"
    period = _read(directory / "cpu.cfs_period_us") or "100000"
    return int(quota) / int(period) if int(quota) > 0 else None


def _cgroup_memory_bytes() -> int | None:
    files = ("memory.max", "memory.limit_in_bytes")
    limits = [
        _read(directory / file) for directory in _cgroup_directories("memory") for file in files
    ]
    return min((int(limit) for limit in limits if limit and limit != "max"), default=None)


def memory_limit_bytes() -> int:
    """RAM this process may use: the machine's, or the cgroup's limit where that is less."""
    total = int(psutil.virtual_memory().total)
    return min(total, _cgroup_memory_bytes() or total)


def memory_spare_bytes() -> int:
    """RAM that page cache may grow by and push out nothing in use: free, or cache not used lately.

    By the tightest of the machine and the cgroups that a limit is set for.
    """
    spares = (_spare(directory) for directory in _cgroup_directories("memory"))
    return max(0, min((spare for spare in spares if spare is not None), default=_machine_spare()))


def _machine_spare() -> int:
    lines = (line.split() for line in (_read(Path("/proc/meminfo")) or "").splitlines())
    kib = {words[0]: int(words[1]) for words in lines if len(words) > 1}
    if "Inactive(file):" not in kib:
        return int(psutil.virtual_memory().free)
    return (kib["MemFree:"] + kib["Inactive(file):"]) * 1024


def _spare(directory: Path) -> int | None:
    for limit_file, used_file, cached in _MEMORY_FILES:
        limit, used = _read(directory / limit_file), _read(directory / used_file)
        if limit and used and limit != "max":
            lines = (line.split() for line in (_read(directory / "memory.stat") or "").splitlines())
            inactive = {name: int(value) for name, value in lines}.get(cached, 0)
            return min(_machine_spare(), int(limit) - int(used) + inactive)
    return None


_MEMORY_FILES = (
    ("memory.max", "memory.current", "inactive_file"),
    ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"),
)
"""Of cgroups version 2 and 1: the limit, the use, and the cache not used lately."""


def _gpus() -> Iterable[Gpu]:
    import pynvml

    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError:
        return  # no driver: no NVIDIA GPU to report
    try:
        driver = str(pynvml.nvmlSystemGetDriverVersion())
        for index in range(pynvml.nvmlDeviceGetCount()):
            handle = pynvml.nvmlDeviceGetHandleByIndex(index)
            memory = int(pynvml.nvmlDeviceGetMemoryInfo(handle).total)
            yield Gpu(index, str(pynvml.nvmlDeviceGetName(handle)), memory, driver)
    finally:
        pynvml.nvmlShutdown()
