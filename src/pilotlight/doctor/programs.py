"""The engine's programs on this machine, asked in processes of their own."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from pilotlight.doctor.facts import Program
from pilotlight.engines.llamacpp.choice import unconfigured_servers
from pilotlight.engines.llamacpp.system_info import instruction_sets

_PATIENCE_S = 20.0  # a CUDA build looks for its devices first

_ASK_WHEEL = """
import json, xllamacpp
kinds = [str(device["type"]).upper() for device in xllamacpp.get_device_info()]
gpus = sum("GPU" in kind for kind in kinds)
print(json.dumps({"system": xllamacpp.get_system_info(), "gpus": gpus}))
"""


def find_server(configured: Path | None, directory: Path | None = None) -> Program | None:
    """The llama-server of the settings, else the first that runs of those installed under
    `directory` and on PATH, else the first of them; None where there is none."""
    if configured:
        return _ask_server(str(configured))
    found = [
        replace(_ask_server(str(path)), compiled_here=_within(path, directory))
        for path in unconfigured_servers(directory)
    ]
    return next((program for program in found if program.version), found[0] if found else None)


def _within(path: Path, directory: Path | None) -> bool:
    return directory is not None and path.is_relative_to(directory.resolve())


def _ask_server(path: str) -> Program:
    try:
        said = _run([path, "--version"])
        devices = _run([path, "--list-devices"])
    except (OSError, subprocess.SubprocessError) as error:
        return Program(path, error=_reason(error))
    return Program(path, _version(said), None, _compiled_for(path), _listed_devices(devices))


def _compiled_for(path: str) -> frozenset[str] | None:
    """At this verbosity it says so before it finds that it has no model, and ends."""
    with tempfile.TemporaryDirectory() as nowhere:
        argv = [path, "-lv", "5", "--offline", "--model", f"{nowhere}/none.gguf", "--port", "0"]
        try:
            said = _run(argv, check=False)
        except (OSError, subprocess.SubprocessError):
            return None
    match = re.search(r"system_info: .*", said)
    return instruction_sets(match[0]) if match else None


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


def _run(argv: Sequence[str], *, check: bool = True) -> str:
    """Both streams together: llama-server writes its version to stderr."""
    done = subprocess.run(
        argv,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=_PATIENCE_S,
        check=check,
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
