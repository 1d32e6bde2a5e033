"""The function's log, with its time of keeping: one that Lambda makes itself keeps all for ever."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from botocore.exceptions import ClientError

from pilotlight.deploy.aws_lambda import function
from pilotlight.deploy.aws_lambda.function import LambdaRelease
from pilotlight.deploy.aws_lambda.live.aws import Aws, missing, own_tags, require_ours
from pilotlight.deploy.aws_lambda.live.kind import Document
from pilotlight.deploy.aws_lambda.live.patience import code_of


class LogGroupKind:
    def __init__(self, aws: Aws, release: LambdaRelease) -> None:
        self._aws = aws
        self._owner = release.name
        self._name = function.log_group(release)

    def read(self) -> Document | None:
        found = self._find()
        if found is None:
            return None
        tags = self._tags(found)
        require_ours("log group", self._name, tags, self._owner)
        return {"retention_days": found.get("retentionInDays"), "tags": own_tags(tags)}

    def _find(self) -> Mapping[str, Any] | None:
        pages = self._aws.logs.get_paginator("describe_log_groups")
        for page in pages.paginate(logGroupNamePrefix=self._name):
            for group in page["logGroups"]:
                if group["logGroupName"] == self._name:
                    return dict(group)
        return None

    def _tags(self, group: Mapping[str, Any]) -> dict[str, str]:
        return dict(self._aws.logs.list_tags_for_resource(resourceArn=_arn(group)).get("tags", {}))

    def put(self, document: Document) -> None:
        try:
            self._aws.logs.create_log_group(logGroupName=self._name, tags=document["tags"])
        except ClientError as error:
            if code_of(error) != "ResourceAlreadyExistsException":
                raise
            self.read()  # raises for one that somebody else made meanwhile
            self._retag(document["tags"])
        days = document["retention_days"]
        if days is None:
            self._aws.logs.delete_retention_policy(logGroupName=self._name)
        else:
            self._aws.logs.put_retention_policy(logGroupName=self._name, retentionInDays=days)

    def _retag(self, tags: Mapping[str, str]) -> None:
        group = self._find()
        if group is None:
            return
        before = own_tags(self._tags(group))
        self._aws.logs.tag_resource(resourceArn=_arn(group), tags=dict(tags))
        if gone := [key for key in before if key not in tags]:
            self._aws.logs.untag_resource(resourceArn=_arn(group), tagKeys=gone)

    def remove(self) -> None:
        try:
            self._aws.logs.delete_log_group(logGroupName=self._name)
        except ClientError as error:
            if not missing(error):
                raise


def _arn(group: Mapping[str, Any]) -> str:
    """Without the `:*` for its streams, which tagging doesn't take."""
    return str(group["arn"]).removesuffix(":*")
