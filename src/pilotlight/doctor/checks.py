"""The checks: pure functions from facts to one finding each."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from pilotlight.doctor.facts import Facts, PortState
from pilotlight.quantities import about_bytes


class Verdict(StrEnum):
    OK = "ok"
    WARN = "warn"
    FAIL = "fail"


@dataclass(frozen=True, slots=True)
class Finding:
    """`mend` is the next step; every finding that isn't ok has one."""

    name: str
    verdict: Verdict
    found: str
    mend: str | None = None


def _ok(name: str, found: str) -> Finding:
    return Finding(name, Verdict.OK, found)


def _warn(name: str, found: str, mend: str) -> Finding:
    return Finding(name, Verdict.WARN, found, mend)


def _fail(name: str, found: str, mend: str) -> Finding:
    return Finding(name, Verdict.FAIL, found, mend)


_SMALLEST_MODEL_BYTES = 512 * 2**20
_ROOM_FOR_MODELS_BYTES = 10 * 10**9
_MANY_FILES = 4096

WIDE = frozenset({
    "avx512f", "avx512bw", "avx512_vnni", "avx512_bf16", "avx_vnni", "amx_int8", "amx_bf16",
    "asimddp", "i8mm", "sve", "sve2",
})  # fmt: skip
"""What llama.cpp's CPU code is compiled for or not, and gains from."""

_NATIVE = "pilotlight engines install llamacpp-native"
_INSTALL = "pip install 'pilotlight[llamacpp]', or put a llama-server on PATH"


def cores(facts: Facts) -> Finding:
    machine = facts.machine
    return _ok("cores", f"{machine.cores} x {machine.cpu}")


def memory(facts: Facts) -> Finding:
    usable, whole = facts.machine.ram_bytes, facts.system_ram_bytes
    found = f"{about_bytes(usable)}, {about_bytes(facts.available_ram_bytes)} available"
    if usable < whole:
        found += f" (a cgroup limits it; the machine has {about_bytes(whole)})"
    if facts.available_ram_bytes < _SMALLEST_MODEL_BYTES:
        return _fail(
            "memory", found, "free memory or raise the limit: the smallest model needs 512 MiB"
        )
    return _ok("memory", found)


def disk(facts: Facts) -> Finding:
    found = f"{about_bytes(facts.disk_free_bytes)} free at {facts.data_dir}"
    mend = "free some, or set data_dir to a larger disk"
    if facts.disk_free_bytes < _SMALLEST_MODEL_BYTES:
        return _fail("disk", found, mend)
    if facts.disk_free_bytes < _ROOM_FOR_MODELS_BYTES:
        return _warn("disk", found, mend)
    return _ok("disk", found)


def data_dir(facts: Facts) -> Finding:
    if facts.data_dir_problem:
        return _fail(
            "data directory",
            f"{facts.data_dir}: {facts.data_dir_problem}",
            "make it writable for this user, or set data_dir to a directory that is",
        )
    return _ok("data directory", f"{facts.data_dir} is writable")


def gpus(facts: Facts) -> Finding:
    found = facts.machine.gpus
    if not found:
        return _ok("gpus", "none")
    names = ", ".join(f"{gpu.name} ({about_bytes(gpu.memory_bytes)})" for gpu in found)
    names += f", driver {found[0].driver}"
    if facts.engine is not None and facts.engine.gpus == 0:
        return _warn(
            "gpus",
            f"{names}; {facts.engine.path} can't use them",
            f"{_NATIVE} (needs nvcc), or set engines.llamacpp.server to one built with CUDA",
        )
    return _ok("gpus", names)


def energy(facts: Facts) -> Finding:
    if facts.energy_refused:
        return _warn("energy", facts.energy, "; ".join(facts.energy_refused))
    return _ok("energy", facts.energy)


def engine(facts: Facts) -> Finding:
    programs = [p for p in (facts.server, facts.wheel) if p is not None]
    found = "; ".join(f"{p.path} {p.version or p.error}" for p in programs) or "none installed"
    chosen = facts.engine
    if chosen is None:
        return _fail("engine", f"{found}; prefer is {facts.engine_prefer}", _INSTALL)
    if chosen.version is None:
        return _fail("engine", f"{chosen.path} doesn't run: {chosen.error}", _INSTALL)
    return _ok("engine", f"{found}; {chosen.path} runs the models")


def build(facts: Facts) -> Finding:
    has = ", ".join(sorted(facts.machine.instruction_sets)) or "nothing notable"
    program = facts.engine
    if program is None or program.instruction_sets is None:
        return _ok("instruction sets", f"the machine has {has}")
    unused = (facts.machine.instruction_sets & WIDE) - program.instruction_sets
    # A GPU does the work: the processor's instructions hardly matter. And one compiled here
    # has whatever the compiler knows.
    if not unused or program.gpus or program.compiled_here:
        return _ok("instruction sets", f"{program.path} uses what the machine has: {has}")
    return _warn(
        "instruction sets",
        f"{program.path} leaves {', '.join(sorted(unused))} unused; a native build served 1.7 "
        "times the load on an AVX-512 machine",
        _NATIVE,
    )


def installed(facts: Facts) -> Finding:
    return _ok("other engines", ", ".join(facts.installed) or "none installed")


def port(facts: Facts) -> Finding:
    where = f"{facts.host} port {facts.port}"
    if facts.port_state is PortState.TAKEN:
        return _fail("port", f"{where} is in use by another program", "set port to a free one")
    if facts.port_state is PortState.UNUSABLE:
        return _fail(
            "port", f"{where} can't be listened on", "set host to an address of this machine"
            " and port to 1024 or more",
        )  # fmt: skip
    held = "held by a running Pilotlight" if facts.port_state is PortState.OURS else "free"
    return _ok("port", f"{where} is {held}")


def open_files(facts: Facts) -> Finding:
    found = f"{facts.open_files}, may be raised to {facts.open_files_limit}"
    if facts.open_files < _MANY_FILES:
        return _warn(
            "open files",
            f"{found}; each client and each of its answers takes one",
            f"raise the limit before serving many clients: ulimit -n {_MANY_FILES}"
            if facts.open_files_limit >= _MANY_FILES
            else "raise the hard limit in limits.conf or the service's LimitNOFILE",
        )
    return _ok("open files", found)


def keys(facts: Facts) -> Finding:
    file = facts.keys
    if file is None:
        return _ok("keys", "none: only loopback can be listened on")
    if file.mode & 0o077 or not file.mine:
        problem = "isn't this user's" if not file.mine else f"has mode {file.mode:04o}"
        return _fail(
            "keys",
            f"{file.path} {problem}: others may add keys or read who has one",
            f"chown it to this user and chmod 600 {file.path}",
        )
    return _ok("keys", f"{file.path} is private")


def proxies(facts: Facts) -> Finding:
    if not facts.proxies:
        return _ok("proxies", "none")
    found = ", ".join(f"{name}={value}" for name, value in sorted(facts.proxies.items()))
    skipped = facts.proxies.get("no_proxy", "")
    if skipped != "*" and not {"localhost", "127.0.0.1"} & set(skipped.split(",")):
        return _warn(
            "proxies",
            f"{found}; clients on this machine may ask the proxy for the local server",
            "export NO_PROXY=localhost,127.0.0.1",
        )
    return _ok("proxies", found)


CHECKS: tuple[Callable[[Facts], Finding], ...] = (
    cores, memory, disk, data_dir, gpus, energy, engine, build, installed, port, open_files, keys,
    proxies,
)  # fmt: skip


def examine(facts: Facts) -> list[Finding]:
    return [check(facts) for check in CHECKS]
