"""The execution role: one for each release, so that none may more than it needs."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from botocore.exceptions import ClientError

from pilotlight.deploy.aws_lambda import function, policy
from pilotlight.deploy.aws_lambda.function import OWNER_TAG, LambdaRelease
from pilotlight.deploy.aws_lambda.live.aws import Aws, missing, own_tags, require_ours
from pilotlight.deploy.aws_lambda.live.kind import Document
from pilotlight.deploy.aws_lambda.live.patience import code_of


class RoleKind:
    def __init__(self, aws: Aws, release: LambdaRelease) -> None:
        self._aws = aws
        self._owner = release.name
        self._another = release.options.role is not None
        self._name = function.role_name(release)

    def read(self) -> Document | None:
        role = self._find()
        if role is None:
            return None
        tags = _tags(role)
        if self._another and tags.get(OWNER_TAG) != self._owner:
            return None  # somebody else's, of that name by chance, and not asked for
        require_ours("role", self._name, tags, self._owner)
        return {
            "trust": role["AssumeRolePolicyDocument"],
            "policy": self._policy(),
            "tags": own_tags(tags),
        }

    def _find(self) -> Mapping[str, Any] | None:
        try:
            return dict(self._aws.roles.get_role(RoleName=self._name)["Role"])
        except ClientError as error:
            if missing(error):
                return None
            raise

    def _policy(self) -> Any:
        try:
            found = self._aws.roles.get_role_policy(
                RoleName=self._name, PolicyName=policy.POLICY_NAME
            )
        except ClientError as error:
            if missing(error):
                return None
            raise
        text = json.dumps(found["PolicyDocument"])
        # Of ours alone: a user's own ARNs have the account's number as they were given.
        for ours in ("log-group", "function"):
            there, wanted = f":{self._aws.account}:{ours}:", f":{policy.ACCOUNT}:{ours}:"
            text = text.replace(there, wanted)
        return json.loads(text)

    def put(self, document: Document) -> None:
        trust = json.dumps(document["trust"])
        try:
            self._aws.roles.create_role(
                RoleName=self._name,
                AssumeRolePolicyDocument=trust,
                Description=f"What instances of {self._owner} may do; made by pilotlight deploy",
                Tags=_pairs(document["tags"]),
            )
        except ClientError as error:
            if code_of(error) != "EntityAlreadyExists":
                raise
            self.read()  # raises for one that somebody else made meanwhile
            self._aws.roles.update_assume_role_policy(RoleName=self._name, PolicyDocument=trust)
            self._retag(document["tags"])
        self._put_policy(document["policy"])

    def _put_policy(self, wanted: Any) -> None:
        if wanted is None:
            self._remove_policies()
            return
        text = json.dumps(wanted).replace(policy.ACCOUNT, self._aws.account)
        self._aws.roles.put_role_policy(
            RoleName=self._name, PolicyName=policy.POLICY_NAME, PolicyDocument=text
        )

    def _retag(self, tags: Mapping[str, str]) -> None:
        role = self._find()
        before = own_tags(_tags(role)) if role else {}
        self._aws.roles.tag_role(RoleName=self._name, Tags=_pairs(tags))
        if gone := [key for key in before if key not in tags]:
            self._aws.roles.untag_role(RoleName=self._name, TagKeys=gone)

    def remove(self) -> None:
        try:
            self._remove_policies()
            self._aws.roles.delete_role(RoleName=self._name)
        except ClientError as error:
            if not missing(error):
                raise

    def _remove_policies(self) -> None:
        names = self._aws.roles.list_role_policies(RoleName=self._name)["PolicyNames"]
        for name in names:
            self._aws.roles.delete_role_policy(RoleName=self._name, PolicyName=name)


def _tags(role: Mapping[str, Any]) -> dict[str, str]:
    return {pair["Key"]: pair["Value"] for pair in role.get("Tags", [])}


def _pairs(tags: Mapping[str, str]) -> list[dict[str, str]]:
    return [{"Key": key, "Value": value} for key, value in tags.items()]
