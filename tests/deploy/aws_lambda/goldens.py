"""Rendered files as they were approved; `(cd tests && python -m deploy.aws_lambda.goldens)`."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path

from deploy.aws_lambda.releases import CASES
from pilotlight.deploy.aws_lambda.target import LambdaTarget

FOLDER = Path(__file__).parent / "goldens"


def rendered(case: str) -> Mapping[str, str]:
    return LambdaTarget().render(CASES[case])


def approved(case: str) -> Mapping[str, str]:
    folder = FOLDER / case
    files = (path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): path.read_text() for path in files}


def approve() -> None:
    shutil.rmtree(FOLDER, ignore_errors=True)
    for case in CASES:
        for name, text in rendered(case).items():
            path = FOLDER / case / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)


if __name__ == "__main__":
    approve()
