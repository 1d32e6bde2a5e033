"""llama.cpp compiled here, for this very processor and GPU, from a source distribution."""

from __future__ import annotations

from pilotlight.engines.environments.environment import LLAMACPP_NATIVE
from pilotlight.engines.environments.host import Host
from pilotlight.engines.environments.plan import Plan, Step, entries, pins
from pilotlight.errors import EngineInstallError
from pilotlight.machine import Machine

SERVER = "llama-server"
VERIFY = (f"{{root}}/bin/{SERVER}", "--version")

_PACKAGE = "llama-cpp-python"  # its source distribution carries llama.cpp whole
_JOB_BYTES = 2**30  # what one compiler takes at its worst
_ROOM_BYTES = {"cpu": 10**9, "cuda": 5 * 10**9}
_PROGRAMS = (SERVER, "llama-quantize", "llama-fit-params")


def plan_native(machine: Machine, host: Host, build: str | None) -> Plan:
    """With CUDA where there are a GPU and its compiler, unless `build` says otherwise.

    Raises:
        EngineInstallError: no compiler.
    """
    if host.compiler is None:
        raise EngineInstallError(
            f"{LLAMACPP_NATIVE} is compiled here, and there is no C++ compiler on PATH",
            hint="install one (Debian, Ubuntu: apt install g++; Fedora: dnf install gcc-c++)",
        )
    version = pins("llamacpp-source")[_PACKAGE]
    variant = _variant(machine, host, build)
    return Plan(
        name=LLAMACPP_NATIVE,
        version=version,
        variant=variant,
        steps=(*_sources(version), *_compile(machine, host, variant, version)),
        verify=VERIFY,
        room_bytes=_ROOM_BYTES[variant],
        locks=("installer", "llamacpp-tools", "llamacpp-source"),
        key=(host.platform, *sorted(machine.instruction_sets), *_gpu_names(machine, variant)),
        # At this verbosity it says what it was compiled for before it looks for the model.
        system_info=(f"{{root}}/bin/{SERVER}", "-lv", "5", "--model", "{work}/none", "--offline"),
        notes=_notes(machine, host, variant, build),
    )


def _variant(machine: Machine, host: Host, build: str | None) -> str:
    if build == "cuda" and host.nvcc is None:
        raise EngineInstallError(
            "a build for CUDA needs nvcc, and there is none on PATH or in /usr/local/cuda",
            hint="install the CUDA toolkit, or leave --build out",
        )
    return build or ("cuda" if machine.gpus and host.nvcc else "cpu")


def _gpu_names(machine: Machine, variant: str) -> tuple[str, ...]:
    return tuple(gpu.name for gpu in machine.gpus) if variant == "cuda" else ()


def _notes(machine: Machine, host: Host, variant: str, build: str | None) -> tuple[str, ...]:
    if variant == "cuda" or build == "cpu" or not machine.gpus:
        return ()
    return (f"{machine.gpus[0].name} stays unused: there is no nvcc, so CUDA can't be compiled",)


def _sources(version: str) -> tuple[Step, ...]:
    return (
        Step("make the tools", ("{base}", "-m", "venv", "--clear", "{work}/tools")),
        Step(
            "fetch the build tools",
            (
                "{tools}", "-m", "pip", "install", "--no-deps", "--require-hashes",
                "--requirement", "{locks}/installer.lock",
                "--requirement", "{locks}/llamacpp-tools.lock",
            ),
            items=len(entries("installer") + entries("llamacpp-tools")),
        ),
        Step(
            "fetch the source",
            (
                "{tools}", "-m", "pip", "download", "--no-deps", "--no-binary", ":all:",
                "--no-build-isolation", "--require-hashes", "--progress-bar", "raw",
                "--dest", "{work}/source", "--requirement", "{locks}/llamacpp-source.lock",
            ),
            items=1,
        ),
        Step(
            "unpack",
            (
                "{tools}", "-m", "tarfile", "--extract",
                f"{{work}}/source/llama_cpp_python-{version}.tar.gz", "{work}/source",
            ),
        ),
    )  # fmt: skip


def _compile(machine: Machine, host: Host, variant: str, version: str) -> tuple[Step, ...]:
    source = f"{{work}}/source/llama_cpp_python-{version}/vendor/llama.cpp"
    jobs = max(1, min(machine.cores, machine.ram_bytes // _JOB_BYTES))
    return (
        Step(
            "configure",
            (
                "{work}/tools/bin/cmake", "-G", "Ninja", "-S", source, "-B", "{work}/build",
                "-DCMAKE_MAKE_PROGRAM={work}/tools/bin/ninja",
                f"-DCMAKE_CXX_COMPILER={host.compiler}",
                "-DCMAKE_BUILD_TYPE=Release", "-DBUILD_SHARED_LIBS=OFF", "-DGGML_NATIVE=ON",
                *_cuda_flags(host, variant),
                # It is spoken to over a socket of this machine, and downloads nothing.
                "-DLLAMA_OPENSSL=OFF", "-DLLAMA_USE_PREBUILT_UI=OFF", "-DLLAMA_BUILD_UI=OFF",
                "-DLLAMA_BUILD_TESTS=OFF", "-DLLAMA_BUILD_EXAMPLES=OFF", "-DLLAMA_BUILD_APP=OFF",
            ),
        ),
        # Interrupted, ninja goes on where it was.
        Step(
            "compile",
            (
                "{work}/tools/bin/cmake", "--build", "{work}/build",
                "--parallel", str(jobs), "--target", *_PROGRAMS,
            ),
        ),
        Step(
            "take the programs",
            (
                "{work}/tools/bin/cmake", "-E", "copy_directory",
                "{work}/build/bin", "{root}/bin",
            ),
            kept=False,
        ),
    )  # fmt: skip


def _cuda_flags(host: Host, variant: str) -> tuple[str, ...]:
    if variant != "cuda":
        return ()
    return (
        "-DGGML_CUDA=ON", "-DCMAKE_CUDA_ARCHITECTURES=native",
        f"-DCMAKE_CUDA_COMPILER={host.nvcc}",
    )  # fmt: skip
