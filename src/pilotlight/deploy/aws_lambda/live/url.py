"""The function's URL, and who may ask there."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from botocore.exceptions import ClientError

from pilotlight.deploy.aws_lambda import policy
from pilotlight.deploy.aws_lambda.function import ALIAS, LambdaRelease
from pilotlight.deploy.aws_lambda.live.aws import Aws, missing
from pilotlight.deploy.aws_lambda.live.kind import Document
from pilotlight.deploy.aws_lambda.live.patience import code_of


class UrlKind:
    def __init__(self, aws: Aws, release: LambdaRelease) -> None:
        self._aws = aws
        self._which = {"FunctionName": release.name, "Qualifier": ALIAS}

    def read(self) -> Document | None:
        found = self.find()
        if found is None:
            return None
        return {
            "auth": found["AuthType"],
            "invoke_mode": found.get("InvokeMode", "BUFFERED"),
            "allowed": self._allowed(),
        }

    def find(self) -> Mapping[str, Any] | None:
        try:
            return dict(self._aws.functions.get_function_url_config(**self._which))
        except ClientError as error:
            if missing(error):
                return None
            raise

    def _allowed(self) -> list[str]:
        """Of our statements; others, such as for a proxy in front, are their owner's."""
        try:
            text = self._aws.functions.get_policy(**self._which)["Policy"]
        except ClientError as error:
            if missing(error):
                return []
            raise
        there = {statement.get("Sid") for statement in json.loads(text)["Statement"]}
        return sorted(sid for sid in policy.public_statements() if sid in there)

    def put(self, document: Document) -> None:
        arguments = {
            **self._which,
            "AuthType": document["auth"],
            "InvokeMode": document["invoke_mode"],
        }
        try:
            self._aws.functions.create_function_url_config(**arguments)
        except ClientError as error:
            if code_of(error) != "ResourceConflictException":
                raise
            self._aws.functions.update_function_url_config(**arguments)
        for sid, statement in policy.public_statements().items():
            if sid in document["allowed"]:
                self._allow(sid, statement)
            else:
                self._forbid(sid)

    def _allow(self, sid: str, statement: Mapping[str, Any]) -> None:
        try:
            self._aws.functions.add_permission(
                **self._which, StatementId=sid, Principal="*", **statement
            )
        except ClientError as error:
            if code_of(error) != "ResourceConflictException":  # it is there
                raise

    def _forbid(self, sid: str) -> None:
        try:
            self._aws.functions.remove_permission(**self._which, StatementId=sid)
        except ClientError as error:
            if not missing(error):
                raise

    def remove(self) -> None:
        """First the permissions: without them the URL answers nobody."""
        try:
            for sid in policy.public_statements():
                self._forbid(sid)
            self._aws.functions.delete_function_url_config(**self._which)
        except ClientError as error:
            if not missing(error):
                raise
