"""Rendered files as they were approved; `(cd tests && python -m deploy.image.goldens)`."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path

from deploy.image.specs import CASES
from pilotlight.deploy.image.render import render

FOLDER = Path(__file__).parent / "goldens"


def approved(case: str) -> Mapping[str, str]:
    folder = FOLDER / case
    files = (path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): path.read_text() for path in files}


def approve() -> None:
    shutil.rmtree(FOLDER, ignore_errors=True)
    for case, spec in CASES.items():
        for name, text in render(spec).items():
            path = FOLDER / case / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)


if __name__ == "__main__":
    approve()
