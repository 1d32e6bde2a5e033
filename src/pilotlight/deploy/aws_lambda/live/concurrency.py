"""How many environments there may be, and how many are kept ready on the alias."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from botocore.exceptions import ClientError

from pilotlight.deploy.aws_lambda.function import ALIAS, LambdaRelease
from pilotlight.deploy.aws_lambda.live.aws import Aws, missing
from pilotlight.deploy.aws_lambda.live.kind import Document
from pilotlight.deploy.aws_lambda.live.patience import BUSY
from pilotlight.errors import DeployError


class ConcurrencyKind:
    def __init__(self, aws: Aws, release: LambdaRelease) -> None:
        self._aws = aws
        self._name = release.name

    def read(self) -> Document | None:
        try:
            found = self._aws.functions.get_function_concurrency(FunctionName=self._name)
        except ClientError as error:
            if missing(error):
                return None
            raise
        reserved, standby = found.get("ReservedConcurrentExecutions"), self.standby()
        if reserved is None and standby is None:
            return None
        asked = standby["RequestedProvisionedConcurrentExecutions"] if standby else 0
        return {"reserved": reserved, "standby": asked}

    def standby(self) -> Mapping[str, Any] | None:
        try:
            found = self._aws.functions.get_provisioned_concurrency_config(
                FunctionName=self._name, Qualifier=ALIAS
            )
        except ClientError as error:
            if missing(error):
                return None
            raise
        return dict(found)

    def put(self, document: Document) -> None:
        """Standby never exceeds what is reserved, on the way down neither."""
        before = self.read() or {"standby": 0}
        if document["standby"] < before["standby"]:
            self._keep_ready(document["standby"])
            self._reserve(document["reserved"])
        else:
            self._reserve(document["reserved"])
            self._keep_ready(document["standby"])

    def _reserve(self, count: int | None) -> None:
        if count is None:
            self._aws.functions.delete_function_concurrency(FunctionName=self._name)
        else:
            self._aws.functions.put_function_concurrency(
                FunctionName=self._name, ReservedConcurrentExecutions=count
            )

    def _keep_ready(self, count: int) -> None:
        if count == 0:
            self._cool_down()
            return
        self._aws.patience.insist(
            BUSY,
            lambda: self._aws.functions.put_provisioned_concurrency_config(
                FunctionName=self._name, Qualifier=ALIAS, ProvisionedConcurrentExecutions=count
            ),
        )
        self.ready()

    def ready(self) -> None:
        """Returns once every environment kept ready is."""
        self._aws.patience.until(f"standby of {self._name}", self._settled)

    def _settled(self) -> bool | None:
        found = self.standby()
        status = found["Status"] if found else "READY"
        if status == "FAILED":
            reason = found.get("StatusReason", "no reason given") if found else ""
            raise DeployError(
                f"Lambda couldn't keep instances of {self._name!r} ready: {reason}",
                hint="look at its first log lines: pilotlight deploy logs lambda",
            )
        return True if status == "READY" else None

    def _cool_down(self) -> None:
        try:
            self._aws.functions.delete_provisioned_concurrency_config(
                FunctionName=self._name, Qualifier=ALIAS
            )
        except ClientError as error:
            if not missing(error):
                raise

    def remove(self) -> None:
        try:
            self._cool_down()
            self._reserve(None)
        except ClientError as error:
            if not missing(error):
                raise
