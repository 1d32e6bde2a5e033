"""What the product costs before it does anything: seconds to import, bytes to install.

    python -m benchmarks.footprint [--without-install]

The install goes into a fresh environment without extras, from the configured
package index; pip itself is not counted.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

from benchmarks.report import Figure, Goal, Report
from benchmarks.spread import spread

ROOT = Path(__file__).parent.parent
IMPORTS = 15

_TIMED = (
    "import time; began = time.perf_counter(); import pilotlight.cli; "
    "print(time.perf_counter() - began)"
)


def import_ms() -> list[float]:
    """In fresh interpreters; the first one, which may compile, is left out."""
    argv = [sys.executable, "-c", _TIMED]
    times = [
        float(subprocess.run(argv, check=True, capture_output=True, text=True).stdout) * 1000
        for _ in range(IMPORTS + 1)
    ]
    return times[1:]


def installed_bytes() -> int:
    with tempfile.TemporaryDirectory() as name:
        environment = Path(name) / "environment"
        subprocess.run(
            [sys.executable, "-m", "venv", "--without-pip", str(environment)], check=True
        )
        site = next(environment.glob("lib/python*/site-packages"))
        pip = [sys.executable, "-m", "pip", "install", "-q", "--target", str(site)]
        subprocess.run([*pip, str(ROOT)], check=True)
        return sum(path.lstat().st_size for path in environment.rglob("*") if path.is_file())


def run(with_install: bool) -> Report:
    times = import_ms()
    figures = [Figure("import pilotlight.cli", "ms", spread(times), Goal(150))]
    if with_install:
        size = installed_bytes()
        figures.append(Figure("core install without extras", "MB", size / 1e6, Goal(150)))
    return Report("footprint", tuple(figures), {"import_ms": times})


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.footprint", description=__doc__)
    parser.add_argument("--without-install", action="store_true")
    parser.add_argument("--output", type=Path, help="JSON; else benchmarks/results/footprint.json")
    given = parser.parse_args()
    return run(not given.without_install).publish(given.output)


if __name__ == "__main__":
    raise SystemExit(main())
