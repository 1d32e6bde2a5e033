"""The command line as a whole: quick to start, plain about errors."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path

import pytest

from pilotlight import __version__

from .conftest import Call

_HEAVY = ("aiohttp", "asyncio", "uvicorn", "psutil", "yaml", "prometheus_client", "pynvml", "ssl")


def _python(program: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60
    )
    return done.stdout


def test_importing_the_command_line_imports_nothing_heavy() -> None:
    program = f"import sys, pilotlight.cli; print([m for m in {_HEAVY!r} if m in sys.modules])"
    assert _python(program) == "[]\n"


def test_importing_the_command_line_takes_at_most_150_ms() -> None:
    program = (
        "import time; began = time.perf_counter(); import pilotlight.cli;"
        "print(time.perf_counter() - began)"
    )
    assert min(float(_python(program)) for _ in range(5)) < 0.150


@pytest.mark.parametrize("arguments", [["ps"], ["--help"], ["keys", "list"]])
def test_a_light_command_starts_fast(arguments: list[str]) -> None:
    def once_s() -> float:
        began_s = time.perf_counter()
        subprocess.run(
            [sys.executable, "-m", "pilotlight.cli", *arguments], capture_output=True, timeout=60
        )
        return time.perf_counter() - began_s

    assert min(once_s() for _ in range(5)) < 0.5


def test_the_version_is_told_in_both_ways(call: Call) -> None:
    assert call("--version").stdout == call("version").stdout == f"pilotlight {__version__}\n"
    assert json.loads(call("version", "--json").stdout)["pilotlight"] == __version__


def test_wrong_usage_has_the_shape_of_every_error(call: Call) -> None:
    result = call("serv")
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.startswith("error: No such command 'serv'")
    assert result.stderr.endswith("hint: see pilotlight --help\n")
    assert call("keys").exit_code == 2
    assert call().exit_code == 2


def test_an_operating_system_error_is_no_traceback(call: Call, home: Path) -> None:
    (home / "data").write_text("a file where the data directory should be")
    result = call("keys", "create")
    assert result.exit_code == 1
    assert result.stderr.startswith("error: ")
    assert "hint" in result.stderr or "'" in result.stderr


def test_a_reader_that_leaves_early_is_no_traceback() -> None:
    program = f"{sys.executable} -m pilotlight.cli config reference | head -n 1"
    done = subprocess.run(
        ["sh", "-c", program], capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout == "# Configuration\n"
    assert done.stderr == ""
