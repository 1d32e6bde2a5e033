"""The function as it shall be: sizes in Lambda's units, names, and what its environment says."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any

import yaml

from pilotlight.deploy.aws_lambda import ecr
from pilotlight.deploy.aws_lambda.options import LambdaOptions
from pilotlight.deploy.instance_file import KEYS_VARIABLE, instance_tree
from pilotlight.deploy.release import Release

LambdaRelease = Release[LambdaOptions]

ALIAS = "live"
"""What the URL and the standby hang on; an update moves it once the new version is ready."""

OWNER_TAG = "pilotlight"
"""Its value is the release's name. Whatever lacks it was made by somebody else."""

MOUNT = "/mnt/models"
"""Lambda takes file systems below /mnt alone."""

CONFIG_VARIABLE = "PILOTLIGHT_CONFIG_YAML"
MODE_VARIABLE = "PILOTLIGHT_LAMBDA_MODE"

MIB = 2**20
MB_PER_VCPU = 1769
"""Memory at which a function has one vCPU's worth of time; Lambda guide, memory and computing."""

GENERATION_VARIABLE = "GENERATION"
"""Only `cool` changes it, to make environments anew; nothing reads it."""

OWN_VARIABLES = frozenset({CONFIG_VARIABLE, KEYS_VARIABLE, MODE_VARIABLE, GENERATION_VARIABLE})
"""They say what a release says elsewhere, so that nobody gives them."""

DISK_MB = 512
"""Every environment has this much /tmp, in the price."""


def memory_mb(release: LambdaRelease) -> int:
    """Lambda's MB are 2²⁰ bytes."""
    return math.ceil(release.size.memory_bytes / MIB)


def disk_mb(release: LambdaRelease) -> int:
    return max(DISK_MB, math.ceil(release.size.disk_bytes / MIB))


def timeout_s(release: LambdaRelease) -> int:
    return math.ceil(release.scaling.request_timeout_s)


def vcpus(release: LambdaRelease) -> float:
    return memory_mb(release) / MB_PER_VCPU


def threads(release: LambdaRelease) -> int:
    """That compute: whole vCPUs.

    An environment sees one more than its share is worth (4 at 3.5), and time is taken from all
    of them alike. Threads meet after each operation, so the one that is held back holds all.
    """
    return max(1, int(vcpus(release)))


def region(release: LambdaRelease) -> str | None:
    """Where nobody says: where its image is, for it can't run anywhere else."""
    image = ecr.parse(release.image)
    return release.region or (image.region if image else None)


def partition(region: str) -> str:
    for prefix, name in (("cn-", "aws-cn"), ("us-gov-", "aws-us-gov")):
        if region.startswith(prefix):
            return name
    return "aws"


def log_group(release: LambdaRelease) -> str:
    return f"/aws/lambda/{release.name}"


def role_name(release: LambdaRelease) -> str:
    """Roles are the account's, functions a region's: the same release may be in two regions."""
    return f"{release.name}-{region(release)}"


def role_arn(release: LambdaRelease, account: str) -> str:
    part = partition(region(release) or "")
    return release.options.role or f"arn:{part}:iam::{account}:role/{role_name(release)}"


def tags(release: LambdaRelease) -> dict[str, str]:
    given = {key: _text(value) for key, value in release.options.tags.items()}
    return {**given, OWNER_TAG: release.name}


def environment(release: LambdaRelease) -> dict[str, str]:
    """Lambda mounts no files, so that configuration and keys are variables too."""
    stream = release.options.invoke_mode == "RESPONSE_STREAM"
    keys = json.dumps(release.keys, separators=(",", ":"), sort_keys=True)
    return {
        **{name: _text(value) for name, value in release.options.environment.items()},
        CONFIG_VARIABLE: _config(release),
        **({KEYS_VARIABLE: keys} if release.keys else {}),
        MODE_VARIABLE: "stream" if stream else "buffer",
    }


def _text(value: Any) -> str:
    """As it was written: YAML has numbers and truths, and AWS takes texts alone."""
    return value if isinstance(value, str) else json.dumps(value)


def environment_bytes(variables: Mapping[str, str]) -> int:
    """As Lambda measures it, which its refusal quotes: all of it as JSON, escapes and all."""
    return len(json.dumps(variables, separators=(",", ":"), ensure_ascii=False).encode())


def _config(release: LambdaRelease) -> str:
    tree = instance_tree(release)
    if release.models == "mount":
        tree["store"] = {**tree["store"], "shared": [MOUNT]}
    for model in tree["models"].values():
        if model.get("engine", "llamacpp") == "llamacpp":
            model["options"] = {"threads": threads(release), **(model.get("options") or {})}
    text: str = yaml.safe_dump(tree, sort_keys=False, allow_unicode=True, width=100)
    return text


def vpc(release: LambdaRelease) -> dict[str, Any] | None:
    options = release.options
    if not options.subnets:
        return None
    return {"subnets": sorted(options.subnets), "security_groups": sorted(options.security_groups)}


def file_system(release: LambdaRelease) -> dict[str, str] | None:
    if release.models != "mount" or release.options.access_point is None:
        return None
    return {"access_point": release.options.access_point, "path": MOUNT}
