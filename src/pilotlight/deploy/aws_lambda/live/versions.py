"""Published versions: frozen copies of the function, of which the alias names one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from botocore.exceptions import ClientError

from pilotlight.deploy.aws_lambda.function import LambdaRelease
from pilotlight.deploy.aws_lambda.live.aws import Aws, missing
from pilotlight.deploy.aws_lambda.live.function import FunctionKind
from pilotlight.deploy.aws_lambda.live.patience import BUSY
from pilotlight.deploy.target import Report

KEPT = 2
"""The one that serves, and the one before it: requests may still be running there."""


class Versions:
    def __init__(self, aws: Aws, release: LambdaRelease, latest: FunctionKind) -> None:
        self._aws = aws
        self._name = release.name
        self._latest = latest

    def numbers(self) -> dict[int, str]:
        """Number, description; oldest first."""
        pages = self._aws.functions.get_paginator("list_versions_by_function")
        found: dict[int, str] = {}
        for page in pages.paginate(FunctionName=self._name):
            for version in page["Versions"]:
                if version["Version"] != "$LATEST":
                    found[int(version["Version"])] = version.get("Description", "")
        return dict(sorted(found.items()))

    def of(self, description: str) -> int | None:
        """The newest of that description, and of the image that its tag means now."""
        numbers = [n for n, text in self.numbers().items() if text == description]
        return next((n for n in reversed(numbers) if self.is_current(n)), None)

    def is_current(self, number: int) -> bool:
        """False for an image whose tag has moved since."""
        return self._latest.is_current(number)

    def publish(self, description: str) -> int:
        """Returns once it can run. Lambda gives the last one again where nothing has changed."""
        found: Mapping[str, Any] = self._aws.patience.insist(
            BUSY,
            lambda: self._aws.functions.publish_version(
                FunctionName=self._name, Description=description
            ),
        )
        self._latest.ready(str(found["Version"]))
        return int(found["Version"])

    def prune(self, serving: int | None, report: Report) -> None:
        """What nobody needs any more. One that can't be removed does no harm: it is reported."""
        numbers = list(self.numbers())
        kept = [n for n in numbers if serving is not None and n <= serving][-KEPT:]
        for number in numbers:
            if number not in kept:
                self._delete(number, report)

    def _delete(self, number: int, report: Report) -> None:
        try:
            self._aws.functions.delete_function(FunctionName=self._name, Qualifier=str(number))
        except ClientError as error:
            if not missing(error):
                report(f"version {number} of {self._name} stays: {error}")
