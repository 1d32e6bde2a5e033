"""Rendered files as they were approved; `(cd tests && python -m deploy.cloud_run.goldens)`."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path

from deploy.cloud_run.releases import CASES
from pilotlight.deploy.cloud_run.cloud_run import CloudRun

FOLDER = Path(__file__).parent / "goldens"


def rendered(case: str) -> Mapping[str, str]:
    return CloudRun().render(CASES[case])


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
