"""The engine's programs on this machine, asked in processes of their own."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from pilotlight.doctor.facts import Program

_PATIENCE_S = 20.0  # a CUDA build looks for its devices first

# llama.cpp's names for what /proc/cpuinfo calls otherwise; the others differ by case alone.
_RENAMED = {
    "avx512": ("avx512f", "avx512bw"),
    "avx512_vbmi": ("avx512vbmi",),
    "neon": ("asimd",),
    "dotprod": ("asimddp",),
    "matmul_int8": ("i8mm",),
}

_ASK_WHEEL = """
import json, xllamacpp
kinds = [str(device["type"]).upper() for device in xllamacpp.get_device_info()]
gpus = sum("GPU" in kind for kind in kinds)
print(json.dumps({"system": xllamacpp.get_system_info(), "gpus": gpus}))
"""


def find_server(configured: Path | None) -> Program | None:
    """The llama-server of the settings, else the one on PATH; None where there is none."""
    path = str(configured) if configured else shutil.which("llama-server")
    if path is None:
        return None
    try:
        said = _run([path, "--version"])
        devices = _run([path, "--list-devices"])
    except (OSError, subprocess.SubprocessError) as error:
        return Program(path, error=_reason(error))
    return Program(path, version=_version(said), gpus=_listed_devices(devices))


def find_wheel() -> Program | None:
    """The xllamacpp wheel; None where it isn't installed."""
    try:
        number = version("xllamacpp")
    except PackageNotFoundError:
        return None
    try:
        answer = json.loads(_run([sys.executable, "-P", "-c", _ASK_WHEEL]).splitlines()[-1])
    except (OSError, subprocess.SubprocessError, ValueError, IndexError) as error:
        return Program("xllamacpp", error=_reason(error))
    return Program("xllamacpp", number, None, instruction_sets(answer["system"]), answer["gpus"])


def instruction_sets(system_info: str) -> frozenset[str]:
    """``CPU : AVX2 = 1 | AVX512 = 1 | …`` → the kernel's names of what is compiled in."""
    names = [name.lower() for name in re.findall(r"(\w+) = [1-9]", system_info)]
    return frozenset(kernel for name in names for kernel in _RENAMED.get(name, (name,)))


def _run(argv: Sequence[str]) -> str:
    """Both streams together: llama-server writes its version to stderr."""
    done = subprocess.run(
        argv,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=_PATIENCE_S,
        check=True,
        env={**os.environ, "LC_ALL": "C"},
    )
    return done.stdout.decode(errors="replace")


def _version(said: str) -> str:
    match = re.search(r"version: (.+)", said)
    return match[1].strip() if match else said.strip().partition("\n")[0]


def _listed_devices(said: str) -> int:
    """One indented line ``CUDA0: NAME (…)`` for each device; ``(none)`` without any."""
    return len(re.findall(r"^\s+\w+\d+: ", said, re.MULTILINE))


def _reason(error: Exception) -> str:
    if isinstance(error, subprocess.CalledProcessError):
        words = error.stdout.decode(errors="replace").strip().splitlines() if error.stdout else []
        return f"exit code {error.returncode}" + (f": {words[-1]}" if words else "")
    return getattr(error, "strerror", None) or type(error).__name__
