"""Why an install failed, in words that lead on; the output is that of the real programs."""

from __future__ import annotations

import pytest

from pilotlight.engines.environments.failure import explain

OFFLINE = """\
WARNING: Retrying (Retry(total=0)) after connection broken by 'NewConnectionError(\
'<pip._vendor.urllib3.connection.HTTPSConnection object at 0x7f>: Failed to establish a new \
connection: [Errno -3] Temporary failure in name resolution')': /simple/numpy/
ERROR: Could not find a version that satisfies the requirement numpy==2.3.5 (from versions: none)
ERROR: No matching distribution found for numpy==2.3.5
"""
NO_CPU_TORCH = """\
ERROR: Could not find a version that satisfies the requirement torch==2.13.0+cpu (from versions: \
2.12.0, 2.13.0)
ERROR: No matching distribution found for torch==2.13.0+cpu
"""
HASHES = """\
ERROR: THESE PACKAGES DO NOT MATCH THE HASHES FROM THE REQUIREMENTS FILE. If you have updated
    numpy==2.3.5 from ... Expected sha256 aaaa Got bbbb
"""
NO_VENV = """\
The virtual environment was not created successfully because ensurepip is not available.
"""
NO_ROOM = "OSError: [Errno 28] No space left on device"
NO_MEMORY = "c++: fatal error: Killed signal terminated program cc1plus"
NO_COMPILER = "CMake Error: CMAKE_CXX_COMPILER not set, after EnableLanguage"


@pytest.mark.parametrize(
    ("output", "reason", "hint"),
    [
        (OFFLINE, "can't be reached", "what was fetched is kept"),
        (NO_CPU_TORCH, "no CPU build of torch (torch==2.13.0+cpu)", "--build cuda"),
        (HASHES, "other bytes than those", "pip config list"),
        (NO_VENV, "can't make virtual environments", "python3-venv"),
        (NO_ROOM, "the disk is full", "engines.directory"),
        (NO_MEMORY, "ran out of memory", "goes on where it was"),
        (NO_COMPILER, "the compiler doesn't work", "g++"),
        (NO_CPU_TORCH.replace("torch==2.13.0+cpu", "numba==0.65.0"),
         "no build of a package", "--python"),
    ],
)  # fmt: skip
def test_a_known_failure_leads_on(output: str, reason: str, hint: str) -> None:
    error = explain("vllm", "fetch", 1, output.splitlines(), "/x/install.log")
    assert error.message.startswith("vllm: fetch: ")
    assert reason in error.message
    assert hint in (error.hint or "")


def test_a_kill_is_likely_for_memory() -> None:
    assert "killed, likely for memory" in explain("vllm", "install", -9, [], "log").message


def test_an_unknown_failure_keeps_its_last_words_and_names_the_log() -> None:
    error = explain("vllm", "check", 1, ["a", "b", "", "c", "ImportError: x"], "/x/install.log")
    assert error.message == "vllm: check: exit code 1: b / c / ImportError: x"
    assert error.hint == "its whole output is in /x/install.log"
