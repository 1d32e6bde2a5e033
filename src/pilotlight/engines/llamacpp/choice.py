"""Which llama.cpp program runs here: found out once, cheaply, without importing any."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from functools import lru_cache
from importlib import metadata
from pathlib import Path

from pilotlight.config import LlamacppSettings
from pilotlight.engines.base import Engine
from pilotlight.engines.environments import LLAMACPP_NATIVE, find
from pilotlight.engines.llamacpp.engine import LlamacppEngine, missing
from pilotlight.engines.llamacpp.server import ServerEngine
from pilotlight.engines.llamacpp.wheel import WheelEngine
from pilotlight.errors import ConfigError, EngineMissingError
from pilotlight.machine import Machine

_ASK_TIMEOUT_S = 10.0
_VERSION = re.compile(r"version: (.+)")


def choose(settings: LlamacppSettings, machine: Machine, directory: Path | None = None) -> Engine:
    """The configured llama-server, else the one installed under `directory`, which was
    compiled for this machine, else the one on PATH, else the xllamacpp wheel.

    Raises:
        EngineMissingError: none is installed, or the configured one doesn't run.
        ConfigError: `prefer` is none of its three words.
    """
    pickers = {"auto": _any, "server": _server_only, "wheel": _wheel_only}
    if settings.prefer not in pickers:
        raise ConfigError(
            f"engines.llamacpp.prefer is {settings.prefer!r}",
            hint=f"use one of {', '.join(pickers)}",
        )
    return pickers[settings.prefer](settings.server, directory, machine)


def _any(configured: Path | None, directory: Path | None, machine: Machine) -> LlamacppEngine:
    engine = _server(configured, directory, machine) or _wheel(machine)
    if engine is None:
        raise missing("llama.cpp")
    return engine


def _server_only(
    configured: Path | None, directory: Path | None, machine: Machine
) -> LlamacppEngine:
    engine = _server(configured, directory, machine)
    if engine is None:
        raise EngineMissingError(
            "no llama-server installed or on PATH that runs, and engines.llamacpp.prefer is server",
            hint=f"run: pilotlight engines install {LLAMACPP_NATIVE}; or set "
            "engines.llamacpp.server to the path of one, or prefer to auto",
        )
    return engine


def _wheel_only(
    configured: Path | None, directory: Path | None, machine: Machine
) -> LlamacppEngine:
    engine = _wheel(machine)
    if engine is None:
        raise missing("the xllamacpp wheel")
    return engine


def _server(
    configured: Path | None, directory: Path | None, machine: Machine
) -> LlamacppEngine | None:
    """A configured one must run; of the others the first that does, if any."""
    if configured is not None:
        binary = configured.expanduser().absolute()
        return _make_server(binary, _answer(binary), machine)
    for binary in unconfigured_servers(directory):
        try:
            return _make_server(binary, _answer(binary), machine)
        except EngineMissingError:
            continue
    return None


def unconfigured_servers(directory: Path | None) -> Iterator[Path]:
    """The llama-server installed under `directory`, then the one on PATH."""
    native = find(directory, LLAMACPP_NATIVE) if directory is not None else None
    if native is not None:
        yield native.program("llama-server")
    on_path = shutil.which("llama-server")
    if on_path is not None:
        yield Path(on_path)


def _make_server(binary: Path, version: str, machine: Machine) -> LlamacppEngine:
    return ServerEngine(binary, version, machine, lambda: _server_offloads(binary))


def _answer(binary: Path) -> str:
    """The version `binary` states. Raises EngineMissingError when it doesn't run."""
    hint = "set engines.llamacpp.server to a llama-server, or leave it out"
    if not binary.is_file():
        raise EngineMissingError(f"{str(binary)!r} is no file", hint=hint)
    if not os.access(binary, os.X_OK):
        raise EngineMissingError(f"{str(binary)!r} is not executable", hint=f"chmod +x it; {hint}")
    text = _ask(binary, "--version", binary.stat().st_mtime_ns)
    version = _VERSION.search(text or "")
    if version is None:
        raise EngineMissingError(
            f"{str(binary)!r} doesn't answer --version as a llama-server does", hint=hint
        )
    return version[1].strip()


@lru_cache(maxsize=8)
def _ask(binary: Path, question: str, modified_ns: int) -> str | None:
    """What `binary` prints; asked again only when the file changed."""
    try:
        answer = subprocess.run(
            (str(binary), question),
            capture_output=True,
            stdin=subprocess.DEVNULL,
            timeout=_ASK_TIMEOUT_S,
            text=True,
            errors="replace",
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return answer.stdout + answer.stderr if answer.returncode == 0 else None


def _server_offloads(binary: Path) -> bool:
    """It lists one accelerator a line, indented, under a heading."""
    text = _ask(binary, "--list-devices", binary.stat().st_mtime_ns) or ""
    return any(line.startswith("  ") and line.strip() for line in text.splitlines())


def _wheel(machine: Machine) -> LlamacppEngine | None:
    try:
        installed = metadata.distribution("xllamacpp")
    except metadata.PackageNotFoundError:
        return None
    site = Path(str(installed.locate_file("")))
    return WheelEngine(installed.version, site, machine, lambda: _wheel_offloads(site))


@lru_cache(maxsize=2)
def _wheel_offloads(site: Path) -> bool:
    """A build for accelerators names their driver's library; the plain wheel names none."""
    libraries = (b"libcuda.so", b"libcudart", b"libamdhip64.so", b"libvulkan.so")
    for path in (site / "xllamacpp").glob("*.so"):
        content = path.read_bytes()
        if any(library in content for library in libraries):
            return True
    return False
