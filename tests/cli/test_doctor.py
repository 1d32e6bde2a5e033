"""The doctor: each check on made-up facts, and the whole on the machine of the test."""

from __future__ import annotations

import json
import os
import socket
import stat
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from pilotlight.config import Settings
from pilotlight.doctor import checks
from pilotlight.doctor.checks import Finding, Verdict, examine
from pilotlight.doctor.facts import Facts, KeysFile, PortState, Program
from pilotlight.doctor.gather import gather
from pilotlight.doctor.programs import find_server, find_wheel, instruction_sets
from pilotlight.machine import Gpu, Machine

from .conftest import Call

GIB = 2**30
GENERIC = frozenset({"avx", "avx2", "fma", "f16c"})
SERVER = Program("/usr/bin/llama-server", "b7000", gpus=0)
WHEEL = Program("xllamacpp", "2026.10", None, GENERIC, 0)
HEALTHY = Facts(
    machine=Machine("Some CPU", 8, 16 * GIB, (), GENERIC),
    system_ram_bytes=16 * GIB,
    available_ram_bytes=12 * GIB,
    data_dir=Path("/data"),
    data_dir_problem=None,
    disk_free_bytes=100 * GIB,
    engine_prefer="auto",
    server=None,
    server_configured=False,
    wheel=WHEEL,
    installed=(),
    host="127.0.0.1",
    port=8080,
    port_state=PortState.FREE,
    open_files=65536,
    open_files_limit=65536,
    energy="cpu estimated-tdp",
    energy_refused=(),
    keys=KeysFile(Path("/data/keys.json"), 0o600, mine=True),
    proxies={},
)


def _with_sets(*names: str) -> Machine:
    return replace(HEALTHY.machine, instruction_sets=GENERIC | set(names))


def _with_gpu() -> Machine:
    return replace(HEALTHY.machine, gpus=(Gpu(0, "NVIDIA H200", 141 * 10**9, "570.1"),))


def test_a_healthy_machine_has_nothing_to_mend() -> None:
    findings = examine(HEALTHY)
    assert {finding.verdict for finding in findings} == {Verdict.OK}
    assert not any(finding.mend for finding in findings)


@pytest.mark.parametrize(
    ("changes", "check", "verdict", "said", "mend"),
    [
        ({"available_ram_bytes": GIB // 4}, checks.memory, "fail", "268.4 MB avail", "512 MiB"),
        ({}, checks.energy, "ok", "cpu estimated-tdp", None),
        ({"energy_refused": ("denied: chmod",)}, checks.energy, "warn", "estimated", "chmod"),
        ({"system_ram_bytes": 64 * GIB}, checks.memory, "ok", "a cgroup limits it", None),
        ({"disk_free_bytes": 10**6}, checks.disk, "fail", "1.0 MB free at /data", "data_dir"),
        ({"disk_free_bytes": 10**9}, checks.disk, "warn", "1.0 GB free", "larger disk"),
        ({"data_dir_problem": "Read-only file system"}, checks.data_dir, "fail", "Read-only",
         "set data_dir"),
        ({"wheel": None}, checks.engine, "fail", "none installed", "pip install"),
        ({"engine_prefer": "server"}, checks.engine, "fail", "prefer is server", "llama-server"),
        ({"server": Program("/x", error="exit code 1"), "server_configured": True}, checks.engine,
         "fail", "/x doesn't run: exit code 1", "PATH"),
        ({"server": Program("/x", error="exit code 1")}, checks.engine, "ok",
         "xllamacpp runs the models", None),
        ({"server": SERVER}, checks.engine, "ok", "/usr/bin/llama-server runs the models", None),
        ({"server": SERVER, "engine_prefer": "wheel"}, checks.engine, "ok",
         "xllamacpp runs the models", None),
        ({"machine": _with_sets("avx512f", "avx512bw")}, checks.build, "warn",
         "leaves avx512bw, avx512f unused", "pilotlight engines install llamacpp-native"),
        ({"machine": _with_sets("avx512f"), "server": replace(SERVER, instruction_sets=GENERIC)},
         checks.build, "warn", "/usr/bin/llama-server leaves avx512f", "llamacpp-native"),
        ({"machine": _with_sets("avx512f"), "server": replace(SERVER, instruction_sets=GENERIC,
         compiled_here=True)}, checks.build, "ok", "avx512f", None),
        ({"installed": ("vllm 1 (cpu)",)}, checks.installed, "ok", "vllm 1 (cpu)", None),
        ({"machine": _with_sets("amx_int8")}, checks.build, "warn", "amx_int8", "native"),
        ({"machine": _with_sets("sve")}, checks.build, "warn", "sve", "native"),
        ({"machine": _with_sets("avx512f"), "server": SERVER}, checks.build, "ok", "avx512f", None),
        ({"machine": _with_sets("avx512f"), "wheel": replace(WHEEL, gpus=1)}, checks.build, "ok",
         "xllamacpp", None),
        ({"machine": _with_gpu()}, checks.gpus, "warn", "xllamacpp can't use them", "CUDA"),
        ({"machine": _with_gpu(), "wheel": replace(WHEEL, gpus=1)}, checks.gpus, "ok",
         "NVIDIA H200 (141.0 GB), driver 570.1", None),
        ({"port_state": PortState.TAKEN}, checks.port, "fail", "in use by another", "free one"),
        ({"port_state": PortState.OURS}, checks.port, "ok", "held by a running Pilotlight", None),
        ({"port_state": PortState.UNUSABLE}, checks.port, "fail", "can't be listened", "set host"),
        ({"open_files": 1024}, checks.open_files, "warn", "1024", "ulimit -n 4096"),
        ({"open_files": 256, "open_files_limit": 512}, checks.open_files, "warn", "512",
         "LimitNOFILE"),
        ({"keys": None}, checks.keys, "ok", "none", None),
        ({"keys": KeysFile(Path("/k"), 0o644, mine=True)}, checks.keys, "fail", "mode 0644",
         "chmod 600 /k"),
        ({"keys": KeysFile(Path("/k"), 0o600, mine=False)}, checks.keys, "fail", "isn't this",
         "chown"),
        ({"proxies": {"http_proxy": "http://p:1"}}, checks.proxies, "warn", "http_proxy=http://p:1",
         "NO_PROXY"),
        ({"proxies": {"http_proxy": "http://p:1", "no_proxy": "localhost,.corp"}}, checks.proxies,
         "ok", "no_proxy", None),
    ],
)  # fmt: skip
def test_a_fact_leads_to_its_finding(
    changes: dict[str, object], check: object, verdict: str, said: str, mend: str | None
) -> None:
    assert callable(check)
    finding: Finding = check(replace(HEALTHY, **changes))  # type: ignore[arg-type]
    assert finding.verdict == verdict
    assert said in finding.found
    assert (mend is None) == (finding.mend is None)
    assert mend is None or mend in (finding.mend or "")


def test_the_wheels_own_words_become_the_kernels_names() -> None:
    said = "CPU : AVX = 1 | AVX2 = 1 | AVX512 = 1 | AVX512_VNNI = 0 | MATMUL_INT8 = 1 | NEON = 1 |"
    assert instruction_sets(said) == {"avx", "avx2", "avx512f", "avx512bw", "i8mm", "asimd"}


def _program(directory: Path, text: str) -> Path:
    path = directory / "llama-server"
    path.write_text(f"#!{sys.executable}\n{text}")
    path.chmod(0o755)
    return path


def test_a_llama_server_is_asked_for_its_version_and_devices(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = _program(
        tmp_path,
        "import sys\n"
        "if '--version' in sys.argv: sys.stderr.write('noise\\nversion: 7000 (abc)\\nbuilt x\\n')\n"
        "else: print('Available devices:\\n  CUDA0: NVIDIA H200 (1 MiB, 1 MiB free)')\n",
    )
    assert find_server(path) == Program(str(path), "7000 (abc)", gpus=1)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert find_server(None) == find_server(path)


def test_a_llama_server_that_fails_says_why(tmp_path: Path) -> None:
    path = _program(tmp_path, "import sys; sys.exit('no libcuda here')\n")
    found = find_server(path)
    assert found is not None
    assert (found.version, found.error) == (None, "exit code 1: no libcuda here")
    missing = find_server(tmp_path / "nothing")
    assert missing is not None
    assert missing.error == "No such file or directory"


def test_the_wheel_is_asked_what_it_was_built_for() -> None:
    pytest.importorskip("xllamacpp")
    wheel = find_wheel()
    assert wheel is not None
    assert wheel.version
    assert wheel.instruction_sets
    assert wheel.gpus is not None


def _settings(tmp_path: Path, port: int = 0) -> Settings:
    return Settings(data_dir=tmp_path / "not" / "yet", port=port)


def test_gathering_makes_nothing_and_finds_the_machine(tmp_path: Path) -> None:
    facts = gather(_settings(tmp_path), None, {"HTTPS_PROXY": "http://u:pw@p:1", "X": "y"})
    assert facts.machine.cores >= 1
    assert facts.data_dir_problem is None
    assert facts.disk_free_bytes > 0
    assert facts.proxies == {"https_proxy": "http://***@p:1"}
    assert facts.keys is None
    assert facts.port_state is PortState.FREE
    assert list(tmp_path.iterdir()) == []


def test_gathering_tells_our_port_from_anothers(tmp_path: Path) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        settings = _settings(tmp_path, port)
        assert gather(settings, None, {}).port_state is PortState.TAKEN
        ours = f"http://127.0.0.1:{port}"
        assert gather(settings, ours, {}).port_state is PortState.OURS
    foreign = replace(settings, host="192.0.2.1")
    assert gather(foreign, None, {}).port_state is PortState.UNUSABLE


def test_gathering_reads_the_keys_files_permissions(tmp_path: Path) -> None:
    (tmp_path / "not" / "yet").mkdir(parents=True)
    path = tmp_path / "not" / "yet" / "keys.json"
    path.write_text("{}")
    path.chmod(stat.S_IRUSR | stat.S_IRGRP)
    assert gather(_settings(tmp_path), None, {}).keys == KeysFile(path, 0o440, mine=True)


def test_a_data_directory_that_cannot_be_written_is_found_by_trying(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    facts = gather(replace(Settings(), data_dir=tmp_path / "file" / "sub", port=0), None, {})
    assert facts.data_dir_problem == "Not a directory"


def test_the_command_exits_by_its_worst_finding(call: Call, tmp_path: Path) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        result = call("doctor", "--port", str(port))
    assert result.exit_code == 1
    assert f"fail  port: 127.0.0.1 port {port} is in use by another program" in result.stdout
    assert "      hint: set port to a free one" in result.stdout
    free = call("doctor", "--port", "0", "--json")
    found = {entry["name"]: entry for entry in json.loads(free.stdout)["checks"]}
    failed = [entry for entry in found.values() if entry["verdict"] == "fail"]
    assert free.exit_code == (1 if failed else 0)
    assert found["port"]["verdict"] == "ok"
    assert len(found) == len(checks.CHECKS)


def test_root_is_not_needed_to_be_sure_of_the_owner(tmp_path: Path) -> None:
    path = tmp_path / "not" / "yet" / "keys.json"
    path.parent.mkdir(parents=True)
    path.write_text("{}")
    if os.getuid() != 0:
        pytest.skip("only root can give a file away")
    os.chown(path, 12345, 12345)
    keys = gather(_settings(tmp_path), None, {}).keys
    assert keys is not None
    assert not keys.mine
