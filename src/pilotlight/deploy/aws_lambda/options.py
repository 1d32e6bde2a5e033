"""What a release may choose on Lambda beside what every target has."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from pilotlight.config import setting
from pilotlight.deploy.settings import Common

AUTH = ("NONE", "AWS_IAM")
INVOKE_MODES = ("RESPONSE_STREAM", "BUFFERED")


@dataclass(frozen=True, slots=True, kw_only=True)
class LambdaOptions(Common):
    """Values are AWS's own words where it has one."""

    concurrency: int | None = setting(
        1, help="always 1: an environment is given one request at a time"
    )
    auth: str = setting(
        "NONE", help="NONE: anybody reaches it and our API keys decide; AWS_IAM: signed requests"
    )
    invoke_mode: str = setting(
        "RESPONSE_STREAM", help="RESPONSE_STREAM: tokens as they are made; BUFFERED: at the end"
    )
    reserve: bool = setting(
        True,
        help="hold `maximum` of the account's concurrency for it, which bounds the bill too; "
        "false leaves both to the account's limit",
    )
    log_retention: int = setting(14, help="days that CloudWatch keeps its logs")
    role: str | None = setting(
        None,
        help="ARN of an execution role that is there already; else one is made for it alone",
        example="arn:aws:iam::123456789012:role/pilotlight",
    )
    environment: Mapping[str, str] = setting(
        dict, help="further variables of the function", example={"HF_HUB_OFFLINE": "1"}
    )
    tags: Mapping[str, str] = setting(
        dict, help="on everything that is made", example={"team": "search"}
    )
    subnets: tuple[str, ...] = setting(
        (), help="run it in these subnets of a VPC", example=["subnet-0123456789abcdef0"]
    )
    security_groups: tuple[str, ...] = setting(
        (), help="of the VPC, with `subnets`", example=["sg-0123456789abcdef0"]
    )
    access_point: str | None = setting(
        None,
        help="ARN of the EFS access point whose file system holds the models, with models: mount",
        example="arn:aws:elasticfilesystem:us-east-1:123456789012:access-point/"
        "fsap-0123456789abcdef0",
    )
    file_system: str | None = setting(
        None,
        help="ARN of that file system, for the role's permission to read it",
        example="arn:aws:elasticfilesystem:us-east-1:123456789012:file-system/fs-0123456789abcdef0",
    )
