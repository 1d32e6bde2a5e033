"""The steps that make an engine of wheels, run for real with a wheel made here: no index asked."""

from __future__ import annotations

import base64
import hashlib
import subprocess
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest

from pilotlight.engines.environments.recipes import plan
from pilotlight.machine import Machine

from .conftest import HOST, Installer, script, tiny

MACHINE = Machine("Some CPU", 2, 2**33, (), frozenset())
OWN = ("make the tools", "make the environment", "install")


def wheel(path: Path) -> None:
    """The smallest distribution with a console script."""
    files = {
        "motor.py": "VERSION = '4.2'\n\ndef main():\n    print(VERSION)\n",
        "motor-4.2.dist-info/METADATA": "Metadata-Version: 2.1\nName: motor\nVersion: 4.2\n",
        "motor-4.2.dist-info/WHEEL": (
            "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        ),
        "motor-4.2.dist-info/entry_points.txt": "[console_scripts]\nmotor = motor:main\n",
    }
    record = "".join(f"{name},sha256={_digest(text)},\n" for name, text in files.items())
    with zipfile.ZipFile(path, "w") as archive:
        for name, text in {**files, "motor-4.2.dist-info/RECORD": record}.items():
            archive.writestr(name, text)


def _digest(text: str) -> str:
    whole = hashlib.sha256(text.encode()).digest()
    return base64.urlsafe_b64encode(whole).rstrip(b"=").decode()


@pytest.mark.real
def test_an_environment_of_wheels_runs_from_where_it_ends_up(
    installer: Installer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = tmp_path / "motor-4.2-py3-none-any.whl"
    wheel(made)
    fetch = script(
        "fetch",
        "import os, shutil; os.makedirs(r'{work}/wheels'); "
        f"shutil.copy(r'{made}', r'{{work}}/wheels')",
    )
    steps = {step.name: step for step in plan("transformers", MACHINE, HOST, "cpu").steps}
    tools, *rest = (steps[name] for name in OWN)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    motor = replace(
        tiny(name="motor", version="4.2"),
        steps=(tools, fetch, *rest),
        verify=("{root}/bin/python", "-I", "-c", "import motor; print(motor.VERSION)"),
    )
    environment = installer(motor)
    assert environment.record.details["says"] == "4.2"
    for argv in (
        (environment.python, "-I", "-c", "import motor; motor.main()"),
        (environment.program("motor"),),
    ):
        assert subprocess.run(argv, capture_output=True, check=True).stdout == b"4.2\n"
    assert not environment.program("pip").exists(), "nothing is ever added to it"
