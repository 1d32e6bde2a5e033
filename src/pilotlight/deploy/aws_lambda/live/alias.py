"""The alias that callers use: it moves to a new version once that one can run."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from botocore.exceptions import ClientError

from pilotlight.deploy.aws_lambda.function import ALIAS, LambdaRelease
from pilotlight.deploy.aws_lambda.live.aws import Aws, missing
from pilotlight.deploy.aws_lambda.live.concurrency import ConcurrencyKind
from pilotlight.deploy.aws_lambda.live.kind import Document
from pilotlight.deploy.aws_lambda.live.patience import BUSY, code_of
from pilotlight.deploy.aws_lambda.live.versions import Versions

_DESCRIPTION = re.compile(r"pilotlight (?P<fingerprint>[0-9a-f]{16}) is version (?P<version>\d+)")


class AliasKind:
    def __init__(
        self, aws: Aws, release: LambdaRelease, versions: Versions, standby: ConcurrencyKind
    ) -> None:
        self._aws = aws
        self._name = release.name
        self._versions = versions
        self._standby = standby

    def read(self) -> Document | None:
        found = self.find()
        if found is None:
            return None
        noted = _DESCRIPTION.fullmatch(found.get("Description", ""))
        version = found["FunctionVersion"]
        # Somebody may have moved the alias by hand, or the tag of the image that it serves.
        current = self._versions.is_current(int(version))
        if noted is None or noted["version"] != version or not current:
            return {"serves": f"version {version}"}
        return {"serves": noted["fingerprint"]}

    def find(self) -> Mapping[str, Any] | None:
        try:
            return dict(self._aws.functions.get_alias(FunctionName=self._name, Name=ALIAS))
        except ClientError as error:
            if missing(error):
                return None
            raise

    def serving(self) -> int | None:
        found = self.find()
        return int(found["FunctionVersion"]) if found else None

    def put(self, document: Document) -> None:
        serves = str(document["serves"])
        if serves.startswith("version "):
            self._point(int(serves.removeprefix("version ")), "")
        else:
            # One that was published before and is wanted back is there still.
            number = self._versions.of(version_description(serves))
            self.move(serves, number or self._versions.publish(version_description(serves)))

    def move(self, fingerprint: str, number: int) -> None:
        self._point(number, f"pilotlight {fingerprint} is version {number}")

    def _point(self, number: int, description: str) -> None:
        arguments = {
            "FunctionName": self._name,
            "Name": ALIAS,
            "FunctionVersion": str(number),
            "Description": description,
        }
        functions = self._aws.functions
        try:
            self._aws.patience.insist(BUSY, lambda: functions.update_alias(**arguments))
        except ClientError as error:
            if not missing(error):
                raise
            self._create(arguments)
        # What is kept ready moves along, and is made anew from the other version.
        self._standby.ready()

    def _create(self, arguments: Mapping[str, Any]) -> None:
        functions = self._aws.functions
        try:
            functions.create_alias(**arguments)
        except ClientError as error:
            # A connection that broke was retried: the first try may have made it.
            if code_of(error) != "ResourceConflictException":
                raise
            functions.update_alias(**arguments)

    def remove(self) -> None:
        try:
            self._aws.functions.delete_alias(FunctionName=self._name, Name=ALIAS)
        except ClientError as error:
            if not missing(error):
                raise


def version_description(fingerprint: str) -> str:
    return f"pilotlight {fingerprint}"
