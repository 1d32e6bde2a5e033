"""Who may do what: the function, its callers, Lambda at the registry, and whoever deploys."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pilotlight.deploy.aws_lambda.function import (
    LambdaRelease,
    log_group,
    partition,
    region,
    role_name,
)

Statement = Mapping[str, Any]

VERSION = "2012-10-17"
POLICY_NAME = "instance"
ACCOUNT = "${account}"
"""Stands for the account's number where it isn't known, in what is wanted and what is live."""


def document(statements: Sequence[Statement]) -> dict[str, Any]:
    return {"Version": VERSION, "Statement": list(statements)}


def trust() -> dict[str, Any]:
    """Lambda alone may take the role."""
    return document(
        [
            {
                "Effect": "Allow",
                "Principal": {"Service": "lambda.amazonaws.com"},
                "Action": "sts:AssumeRole",
            }
        ]
    )


def instance(release: LambdaRelease, account: str = ACCOUNT) -> list[Statement]:
    """All that an instance may do with AWS: write its own log. In a VPC, also be in it.

    Its image is pulled by Lambda, not by this role.
    """
    return [_logs(release, account), *_network(release, account), *_models(release)]


def _arn(release: LambdaRelease, service: str, resource: str, account: str) -> str:
    where = region(release) or ""
    return f"arn:{partition(where)}:{service}:{where}:{account}:{resource}"


def _logs(release: LambdaRelease, account: str) -> Statement:
    return {
        "Sid": "WriteItsOwnLog",
        "Effect": "Allow",
        "Action": ["logs:CreateLogStream", "logs:PutLogEvents"],
        "Resource": _arn(release, "logs", f"log-group:{log_group(release)}:*", account),
    }


def _network(release: LambdaRelease, account: str) -> list[Statement]:
    """Lambda makes the interfaces with this role; the function's own code must not.

    These actions know no resource that could be named before they are made.
    """
    if not release.options.subnets:
        return []
    actions = [
        "ec2:AssignPrivateIpAddresses",
        "ec2:CreateNetworkInterface",
        "ec2:DeleteNetworkInterface",
        "ec2:DescribeNetworkInterfaces",
        "ec2:DescribeSubnets",
        "ec2:UnassignPrivateIpAddresses",
    ]
    function = _arn(release, "lambda", f"function:{release.name}", account)
    return [
        {"Sid": "LambdaConnectsIt", "Effect": "Allow", "Action": actions, "Resource": "*"},
        {
            "Sid": "ItsCodeDoesNot",
            "Effect": "Deny",
            "Action": actions,
            "Resource": "*",
            "Condition": {"ArnEquals": {"lambda:SourceFunctionArn": function}},
        },
    ]


def _models(release: LambdaRelease) -> list[Statement]:
    """To read them, through the one access point."""
    options = release.options
    if release.models != "mount" or not (options.access_point and options.file_system):
        return []
    through = {"StringEquals": {"elasticfilesystem:AccessPointArn": options.access_point}}
    return [
        {
            "Sid": "ReadModels",
            "Effect": "Allow",
            "Action": ["elasticfilesystem:ClientMount"],
            "Resource": options.file_system,
            "Condition": through,
        }
    ]


def public_statements() -> dict[str, Mapping[str, Any]]:
    """Statement id, `add_permission`'s arguments: both are needed since October 2025.

    The second without its condition would let anybody invoke the function past its URL.
    """
    return {
        "FunctionURLAllowPublicAccess": {
            "Action": "lambda:InvokeFunctionUrl",
            "FunctionUrlAuthType": "NONE",
        },
        "FunctionURLInvokeAllowPublicAccess": {
            "Action": "lambda:InvokeFunction",
            "InvokedViaFunctionUrl": True,
        },
    }


def repository(release: LambdaRelease, account: str) -> dict[str, Any]:
    """For the image's repository: Lambda may pull for this function, and nothing more.

    In the function's own account Lambda adds this itself, where whoever deploys may change it.
    """
    function = _arn(release, "lambda", f"function:{release.name}", account)
    return document(
        [
            {
                "Sid": "LambdaPullsForThisFunction",
                "Effect": "Allow",
                "Principal": {"Service": "lambda.amazonaws.com"},
                "Action": ["ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"],
                "Condition": {"StringLike": {"aws:SourceArn": function}},
            }
        ]
    )


_FUNCTION_ACTIONS = (
    "AddPermission", "CreateAlias", "CreateFunction", "CreateFunctionUrlConfig", "DeleteAlias",
    "DeleteFunction", "DeleteFunctionConcurrency", "DeleteFunctionUrlConfig",
    "DeleteProvisionedConcurrencyConfig", "GetAlias", "GetFunction", "GetFunctionConcurrency",
    "GetFunctionConfiguration", "GetFunctionUrlConfig", "GetPolicy",
    "GetProvisionedConcurrencyConfig", "ListTags", "ListVersionsByFunction", "PublishVersion",
    "PutFunctionConcurrency", "PutProvisionedConcurrencyConfig", "RemovePermission",
    "TagResource", "UntagResource", "UpdateAlias", "UpdateFunctionCode",
    "UpdateFunctionConfiguration", "UpdateFunctionUrlConfig",
)  # fmt: skip
_ROLE_ACTIONS = (
    "CreateRole", "DeleteRole", "DeleteRolePolicy", "GetRole", "GetRolePolicy", "ListRolePolicies",
    "PutRolePolicy", "TagRole", "UntagRole", "UpdateAssumeRolePolicy",
)  # fmt: skip
_LOG_ACTIONS = (
    "CreateLogGroup", "DeleteLogGroup", "DeleteRetentionPolicy", "FilterLogEvents",
    "ListTagsForResource", "PutRetentionPolicy", "TagResource", "UntagResource",
)  # fmt: skip
_REPOSITORY_ACTIONS = (
    "BatchGetImage", "DescribeImages", "GetDownloadUrlForLayer", "GetRepositoryPolicy",
    "SetRepositoryPolicy",
)  # fmt: skip

_NETWORK_ACTIONS = ("DescribeSecurityGroups", "DescribeSubnets", "DescribeVpcs")


def deployer(release: LambdaRelease, account: str, repository_arn: str) -> dict[str, Any]:
    """All that `pilotlight deploy` needs on Lambda for this release."""
    function = _arn(release, "lambda", f"function:{release.name}", account)
    group = _arn(release, "logs", f"log-group:{log_group(release)}", account)
    statements = [
        _allow("Function", "lambda", _FUNCTION_ACTIONS, [function, f"{function}:*"]),
        _allow("Log", "logs", _LOG_ACTIONS, [group, f"{group}:*"]),
        # Listing is of all groups or none.
        _allow("FindLog", "logs", ("DescribeLogGroups",), ["*"]),
        _allow("Image", "ecr", _REPOSITORY_ACTIONS, [repository_arn]),
    ]
    if release.options.subnets:
        # Lambda looks at the network with the rights of whoever connects a function to it.
        statements.append(_allow("Network", "ec2", _NETWORK_ACTIONS, ["*"]))
    if release.models == "mount":
        statements.append(_allow("Files", "elasticfilesystem", ("DescribeMountTargets",), ["*"]))
    return document([*statements, *_deployers_role(release, account)])


def _deployers_role(release: LambdaRelease, account: str) -> list[Statement]:
    where = partition(region(release) or "")
    own = f"arn:{where}:iam::{account}:role/{role_name(release)}"
    passed = {
        "Sid": "HandRoleToLambda",
        "Effect": "Allow",
        "Action": ["iam:PassRole"],
        "Resource": [release.options.role or own],
        "Condition": {"StringEquals": {"iam:PassedToService": "lambda.amazonaws.com"}},
    }
    return [passed, _allow("Role", "iam", _ROLE_ACTIONS, [own])]


def _allow(sid: str, service: str, actions: Sequence[str], resources: list[str]) -> Statement:
    return {
        "Sid": sid,
        "Effect": "Allow",
        "Action": [f"{service}:{action}" for action in actions],
        "Resource": resources,
    }
