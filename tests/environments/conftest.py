"""Plans of tiny steps, run by the Python of the tests: an install without an index."""

from __future__ import annotations

import platform
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from pilotlight.engines.environments.environment import Environment
from pilotlight.engines.environments.host import Host
from pilotlight.engines.environments.install import install
from pilotlight.engines.environments.plan import Plan, Step
from pilotlight.engines.environments.progress import Progress

HOST = Host(
    python=Path(sys.executable),
    python_version=sys.version_info[:2],
    platform=f"linux-{platform.machine()}",
)
MAKE_ROOT = "import os; os.makedirs(r'{root}/bin')"


def script(name: str, code: str, *, kept: bool = True) -> Step:
    return Step(name, ("{base}", "-I", "-c", code), kept=kept)


def note(text: str) -> str:
    """Code that adds a line to a diary in the work directory's parent's parent: it stays."""
    return f"open(r'{{work}}/../../diary', 'a').write('{text}\\n')"


def tiny(*steps: Step, name: str = "tiny", version: str = "1", verify: str = "print(1)") -> Plan:
    return Plan(
        name=name,
        version=version,
        variant="cpu",
        steps=(*steps, script("make the root", MAKE_ROOT, kept=False)),
        verify=("{base}", "-I", "-c", verify),
        room_bytes=1,
        locks=(),
        key=(),
    )


@dataclass
class Installer:
    """Installs under one directory, and remembers what was reported."""

    directory: Path
    reports: list[Progress] = field(default_factory=list)
    waits: int = 0
    on_wait: Callable[[], None] = lambda: None

    def __call__(self, plan: Plan, *, force: bool = False) -> Environment:
        return install(
            self.directory, plan, HOST,
            report=self.reports.append, waiting=self._wait, force=force,
        )  # fmt: skip

    def _wait(self) -> None:
        self.waits += 1
        self.on_wait()

    @property
    def diary(self) -> list[str]:
        return (self.directory / "tiny" / "diary").read_text().split()


@pytest.fixture
def installer(tmp_path: Path) -> Installer:
    return Installer(tmp_path / "engines")
