"""Rendered files as they were approved; `(cd tests && python -m deploy.systemd.goldens)`."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path

from deploy.server.releases import SYSTEMD_CASES as CASES
from pilotlight.deploy.systemd.target import SystemdTarget

FOLDER = Path(__file__).parent / "goldens"


def rendered(case: str) -> Mapping[str, str]:
    return SystemdTarget().render(CASES[case])


def approved(case: str) -> Mapping[str, str]:
    return {path.name: path.read_text() for path in (FOLDER / case).iterdir()}


def approve() -> None:
    shutil.rmtree(FOLDER, ignore_errors=True)
    for case in CASES:
        (FOLDER / case).mkdir(parents=True)
        for name, text in rendered(case).items():
            (FOLDER / case / name).write_text(text)


if __name__ == "__main__":
    approve()
