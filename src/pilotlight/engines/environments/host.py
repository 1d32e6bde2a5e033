"""What an install is made with: the Python, the compilers and the platform."""

from __future__ import annotations

import json
import platform
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from pilotlight.errors import EngineInstallError

_ASK_TIMEOUT_S = 20.0
_ASK_PYTHON = "import json, sys; print(json.dumps(sys.version_info[:2]))"
_CUDA_HOME = Path("/usr/local/cuda")


@dataclass(frozen=True, slots=True)
class Host:
    """Programs by path, None where there is none."""

    python: Path
    python_version: tuple[int, int]
    platform: str
    """``linux-x86_64``: the kernel and the processor, as wheels are named by."""

    compiler: Path | None = None
    nvcc: Path | None = None


def survey_host(python: Path | None = None) -> Host:
    """Look once; `python` makes the environments, this very one by default.

    Raises:
        EngineInstallError: `python` doesn't run.
    """
    path = Path(sys.executable) if python is None else python.expanduser().absolute()
    return Host(
        python=path,
        python_version=sys.version_info[:2] if python is None else _version_of(path),
        platform=f"{sys.platform}-{platform.machine()}",
        compiler=_which("c++") or _which("g++") or _which("clang++"),
        nvcc=_which("nvcc") or _existing(_CUDA_HOME / "bin" / "nvcc"),
    )


def _version_of(python: Path) -> tuple[int, int]:
    try:
        done = subprocess.run(
            (str(python), "-I", "-c", _ASK_PYTHON),
            capture_output=True, stdin=subprocess.DEVNULL, timeout=_ASK_TIMEOUT_S, check=True,
        )  # fmt: skip
        major, minor = json.loads(done.stdout)
    except (OSError, subprocess.SubprocessError, ValueError) as error:
        raise EngineInstallError(
            f"{str(python)!r} doesn't run as a Python: {error}",
            hint="give --python the path of a Python's program, such as /usr/bin/python3.12",
        ) from None
    return int(major), int(minor)


def _which(name: str) -> Path | None:
    found = shutil.which(name)
    return Path(found) if found else None


def _existing(path: Path) -> Path | None:
    return path if path.is_file() else None
