"""What would be done on which machine: golden files, and refusals before anything is done."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest

from pilotlight.engines.environments.host import Host, survey_host
from pilotlight.engines.environments.plan import Plan, entries, lock, pins, render
from pilotlight.engines.environments.recipes import RECIPES, plan
from pilotlight.errors import EngineInstallError
from pilotlight.machine import Gpu, Machine

GOLDEN = Path(__file__).parent / "golden"
GIB = 2**30
CPU = Machine("Some CPU", 2, 8 * GIB, (), frozenset({"avx2", "avx512f"}))
GPU = replace(CPU, gpus=(Gpu(0, "NVIDIA H200", 141 * 10**9, "580.1"),))
HOST = Host(Path("/usr/bin/python3"), (3, 12), "linux-x86_64", Path("/usr/bin/c++"))
CUDA_HOST = replace(HOST, nvcc=Path("/usr/local/cuda/bin/nvcc"))

CASES = {
    "vllm-cpu": ("vllm", CPU, HOST, None),
    "vllm-cuda": ("vllm", GPU, HOST, None),
    "transformers-cpu": ("transformers", CPU, HOST, None),
    "transformers-cuda": ("transformers", GPU, HOST, None),
    "transformers-cuda-asked": ("transformers", CPU, HOST, "cuda"),
    "llamacpp-native-cpu": ("llamacpp-native", CPU, HOST, None),
    "llamacpp-native-cuda": ("llamacpp-native", GPU, CUDA_HOST, None),
    "llamacpp-native-no-nvcc": ("llamacpp-native", GPU, HOST, None),
}


def made(case: str) -> Plan:
    return plan(*CASES[case])


@pytest.mark.parametrize("case", sorted(CASES))
def test_the_plan_is_as_written_down(case: str) -> None:
    """After an intended change: python -m environments.test_plans, in tests."""
    assert render(made(case)) == (GOLDEN / f"{case}.txt").read_text()


def test_every_engine_has_a_golden_plan() -> None:
    assert {case[0] for case in CASES.values()} == set(RECIPES)


@pytest.mark.parametrize("case", ["vllm-cpu", "transformers-cpu", "transformers-cuda"])
@pytest.mark.parametrize("version", [(3, 10), (3, 15), (4, 0)])
def test_a_python_without_wheels_is_refused(case: str, version: tuple[int, int]) -> None:
    name, machine, host, build = CASES[case]
    with pytest.raises(EngineInstallError) as caught:
        plan(name, machine, replace(host, python_version=version), build)
    shown = ".".join(map(str, version))
    assert f"needs Python 3.11 to 3.14, and '/usr/bin/python3' is {shown}" in caught.value.message
    assert caught.value.hint == (f"pilotlight engines install {name} --python /path/to/python3.11")


def test_a_platform_without_wheels_is_refused() -> None:
    with pytest.raises(EngineInstallError, match="no wheels of vllm for 'darwin-arm64'"):
        plan("vllm", CPU, replace(HOST, platform="darwin-arm64"))


def test_llamacpp_needs_a_compiler() -> None:
    with pytest.raises(EngineInstallError, match=r"C\+\+ compiler") as caught:
        plan("llamacpp-native", CPU, replace(HOST, compiler=None))
    assert "apt install g++" in (caught.value.hint or "")


def test_cuda_is_compiled_only_with_its_compiler() -> None:
    with pytest.raises(EngineInstallError, match="needs nvcc"):
        plan("llamacpp-native", GPU, HOST, "cuda")
    [note] = made("llamacpp-native-no-nvcc").notes
    assert "NVIDIA H200 stays unused" in note
    assert plan("llamacpp-native", GPU, CUDA_HOST, "cpu").notes == ()


def test_no_more_compilers_at_once_than_memory_allows() -> None:
    small = replace(CPU, cores=64, ram_bytes=3 * GIB)
    argv = plan("llamacpp-native", small, HOST).steps[-2].argv
    assert argv[argv.index("--parallel") + 1] == "3"


def test_another_machine_or_python_is_another_environment() -> None:
    one = made("llamacpp-native-cpu").digest
    assert plan("llamacpp-native", CPU, HOST).digest == one
    other = replace(CPU, instruction_sets=frozenset({"avx2"}))
    assert plan("llamacpp-native", other, HOST).digest != one
    assert made("llamacpp-native-cuda").digest != one
    older = replace(HOST, python_version=(3, 11))
    assert plan("vllm", CPU, older).digest != made("vllm-cpu").digest
    assert plan("vllm", CPU, replace(HOST, python=Path("/opt/python"))).digest == (
        made("vllm-cpu").digest
    )


LOCKS = sorted({name for case in CASES for name in made(case).locks})


@pytest.mark.parametrize("name", LOCKS)
def test_a_lock_pins_each_version_and_hash_and_names_no_index(name: str) -> None:
    text = lock(name)
    blocks = re.split(r"\n(?=\S)", text.strip())
    assert [block.split(" ")[0] for block in blocks] == entries(name)
    for entry in blocks:
        assert re.match(r"[\w.-]+==[\w.+!-]+( ; .+)? \\\n", entry), entry
        assert re.search(r"--hash=sha256:[0-9a-f]{64}$", entry), entry
    assert "://" not in text
    assert "--index" not in text


def test_the_cpu_locks_leave_torch_to_its_own_step() -> None:
    for name in ("vllm-cpu", "transformers-cpu"):
        packages = pins(name)
        assert not {"torch", "torchvision", "torchaudio", "torchcodec"} & set(packages)
        assert not [package for package in packages if package.startswith("nvidia")]
    assert pins("vllm-cuda")["torch"] == pins("transformers-cuda")["torch"] == "2.13.0"


def test_the_host_is_asked_once_and_another_python_by_running_it(tmp_path: Path) -> None:
    asked = survey_host(survey_host().python)
    assert asked == survey_host()
    silent = tmp_path / "python"
    silent.write_text("#!/bin/sh\nexit 3\n")
    silent.chmod(0o755)
    for path in (silent, tmp_path / "absent"):
        with pytest.raises(EngineInstallError, match="doesn't run as a Python") as caught:
            survey_host(path)
        assert str(path) in caught.value.message


if __name__ == "__main__":
    for case in CASES:
        (GOLDEN / f"{case}.txt").write_text(render(made(case)))
