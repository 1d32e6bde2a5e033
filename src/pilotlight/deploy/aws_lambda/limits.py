"""Lambda's limits, each held against a release before anything is sent.

What the catalog's row has comes from there; the rest is from the Lambda developer guide (quotas,
environment variables, function URLs) and the API reference (patterns), read 2026-11.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import chain

from pilotlight.catalog.platform import Limits
from pilotlight.deploy.aws_lambda import ecr, function
from pilotlight.deploy.aws_lambda.function import MB_PER_VCPU, MIB, LambdaRelease
from pilotlight.deploy.aws_lambda.options import AUTH, INVOKE_MODES
from pilotlight.deploy.violation import Violation

GIB = 2**30
MB_PER_GIB = 1024

LEAST_MEMORY_MB = 128
ENVIRONMENT_BYTES = 4096
NAME_CHARACTERS = 64
SUBNETS = 16
SECURITY_GROUPS = 5
TAGS = 50
RETENTION_DAYS = (
    1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922,
    3288, 3653,
)  # fmt: skip
"""CloudWatch Logs API, PutRetentionPolicy."""

EVENT_BYTES = 256
"""About what one token takes as an event of a streamed chat, its id and model's name included."""

_NAME = re.compile(r"[a-zA-Z0-9_-]+")
_ROLE = re.compile(r"arn:aws[a-z-]*:iam::\d{12}:role/[\w+=,.@/-]+")
_ACCESS_POINT = re.compile(
    r"arn:aws[a-z-]*:elasticfilesystem:[a-z0-9-]+:\d{12}:access-point/fsap-[0-9a-f]{17}"
)
_FILE_SYSTEM = re.compile(
    r"arn:aws[a-z-]*:elasticfilesystem:[a-z0-9-]+:\d{12}:file-system/fs-[0-9a-f]{8,40}"
)
_VARIABLE = re.compile(r"[a-zA-Z][a-zA-Z0-9_]+")
_RESERVED_VARIABLES = frozenset({
    "_HANDLER", "_X_AMZN_TRACE_ID", "AWS_ACCESS_KEY", "AWS_ACCESS_KEY_ID", "AWS_DEFAULT_REGION",
    "AWS_EXECUTION_ENV", "AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "AWS_LAMBDA_FUNCTION_NAME",
    "AWS_LAMBDA_FUNCTION_VERSION", "AWS_LAMBDA_INITIALIZATION_TYPE", "AWS_LAMBDA_LOG_GROUP_NAME",
    "AWS_LAMBDA_LOG_STREAM_NAME", "AWS_LAMBDA_RUNTIME_API", "AWS_REGION", "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN", "LAMBDA_RUNTIME_DIR", "LAMBDA_TASK_ROOT",
})  # fmt: skip


@dataclass(frozen=True, slots=True)
class _Case:
    release: LambdaRelease
    limits: Limits


def violations(release: LambdaRelease, limits: Limits) -> list[Violation]:
    """`limits` are those of the catalog's row for this architecture."""
    case = _Case(release, limits)
    return list(chain.from_iterable(rule(case) for rule in RULES))


def _name(case: _Case) -> Iterator[Violation]:
    release = case.release
    if not _NAME.fullmatch(release.name):
        yield Violation(
            "a function's name has letters, digits, dashes and underscores",
            repr(release.name),
            "choose another name",
        )
    names = [("a function's name", release.name)]
    if release.options.role is None and function.region(release):
        names.append(
            ("the name of its role, which ends in the region,", function.role_name(release))
        )
    for what, name in names:
        if (over := len(name) - NAME_CHARACTERS) > 0:
            yield Violation(
                f"{what} has at most {NAME_CHARACTERS} characters",
                f"{len(name)}: {name!r}",
                f"choose a name of at most {len(release.name) - over} characters",
            )


def _region(case: _Case) -> Iterator[Violation]:
    if function.region(case.release) is None:
        yield Violation("a function is in a region", "none", "set region, such as us-east-1")


def _image(case: _Case) -> Iterator[Violation]:
    release = case.release
    image = ecr.parse(release.image)
    if image is None:
        yield Violation(
            "an image must be in a private registry of ECR",
            repr(release.image),
            "push it to <account>.dkr.ecr.<region>.amazonaws.com/<repository> and set image",
        )
    elif image.region != function.region(release):
        yield Violation(
            "an image must be in ECR of the function's own region",
            f"an image in {image.region}, a function in {release.region}",
            f"set region to {image.region}, or push the image to {release.region}",
        )


def _memory(case: _Case) -> Iterator[Violation]:
    memory_mb = function.memory_mb(case.release)
    if memory_mb < LEAST_MEMORY_MB:
        yield Violation(
            f"memory at least {LEAST_MEMORY_MB} MB", f"{memory_mb} MB", "set memory to 128MiB"
        )
    most_mb = _mb(case.limits.memory_gib)
    if most_mb is not None and memory_mb > most_mb:
        yield Violation(
            f"memory at most {most_mb} MB",
            f"{memory_mb} MB",
            f"set memory to {most_mb}MiB, with a smaller model or quantization",
        )


def _disk(case: _Case) -> Iterator[Violation]:
    disk_mb, most_mb = function.disk_mb(case.release), _mb(case.limits.disk_gib)
    if most_mb is not None and disk_mb > most_mb:
        yield Violation(
            f"ephemeral storage (/tmp) at most {most_mb} MB",
            f"{disk_mb} MB",
            f"set disk to {most_mb}MiB, or models to image or mount",
        )


def _timeout(case: _Case) -> Iterator[Violation]:
    asked_s, most_s = case.release.scaling.request_timeout_s, case.limits.request_s
    if most_s is not None and asked_s > most_s:
        yield Violation(
            f"timeout at most {most_s:g} s", f"{asked_s:g} s", f"set timeout to {most_s:g}s"
        )
    if asked_s <= 0:
        yield Violation("timeout at least 1 s", f"{asked_s:g} s", "set timeout to 5m")


def _processors(case: _Case) -> Iterator[Violation]:
    """They can't be chosen. Whoever asks for more than the memory gives would wait for nothing."""
    release = case.release
    plan = release.plan.deployment.vcpus if release.plan else None
    asked = release.options.vcpus if release.options.vcpus is not None else plan
    if asked is None:
        return
    needed_mb = round(asked * MB_PER_VCPU)
    memory_mb = function.memory_mb(release)
    # A plan's figure was rounded.
    if needed_mb > memory_mb * 1.02:
        yield Violation(
            f"vCPUs come with memory, one for each {MB_PER_VCPU} MB",
            f"{asked:g} vCPUs with {memory_mb} MB, which has {memory_mb / MB_PER_VCPU:.2f}",
            f"set memory to {needed_mb}MiB, or vcpus to {max(1, memory_mb // MB_PER_VCPU)}",
        )


def _gpu(case: _Case) -> Iterator[Violation]:
    size = case.release.size
    if size.gpu is not None or size.gpus:
        yield Violation(
            "Lambda has no GPU",
            f"{max(1, size.gpus)}x {size.gpu or 'GPU'}",
            "plan for a CPU, or deploy to cloudrun or kubernetes",
        )


def _concurrency(case: _Case) -> Iterator[Violation]:
    scaling, most = case.release.scaling, case.limits.concurrency
    if most is not None and scaling.concurrency > most:
        yield Violation(
            f"an environment is given {most} request at a time",
            f"concurrency {scaling.concurrency}",
            f"set lambda.concurrency to {most}",
        )
    if scaling.maximum < 1:
        yield Violation(
            "a function with no concurrency answers nobody",
            f"maximum {scaling.maximum}",
            "set maximum to 1 or more",
        )
    if scaling.minimum > scaling.maximum:
        yield Violation(
            "provisioned concurrency (minimum) is at most the reserved (maximum)",
            f"minimum {scaling.minimum}, maximum {scaling.maximum}",
            f"set maximum to at least {scaling.minimum}",
        )


def _environment(case: _Case) -> Iterator[Violation]:
    variables = function.environment(case.release)
    for name in case.release.options.environment:
        if name in function.OWN_VARIABLES:
            yield Violation(
                "a variable that Pilotlight sets itself can't be given",
                repr(name),
                "leave it out of lambda.environment, and set what it is for in pilotlight.yaml",
            )
        if name in _RESERVED_VARIABLES or not _VARIABLE.fullmatch(name):
            yield Violation(
                "a variable's name has two or more letters, digits and underscores, a letter "
                "first, and is none of Lambda's own",
                repr(name),
                "choose another name in lambda.environment",
            )
    size = function.environment_bytes(variables)
    if size > ENVIRONMENT_BYTES:
        largest = max(variables, key=lambda name: len(variables[name]))
        yield Violation(
            f"environment variables at most {ENVIRONMENT_BYTES} bytes together",
            f"{size} bytes, most of them in {largest}",
            "revoke keys that nobody uses, or shorten the configuration",
        )


def _model(case: _Case) -> Iterator[Violation]:
    """By the plan, which knows the model's bytes."""
    release = case.release
    if release.plan is None:
        return
    used, weights = release.plan.memory.used_bytes, release.plan.memory.parts.get("weights", 0)
    if used > release.size.memory_bytes:
        yield Violation(
            "the model must fit into memory",
            f"{_mib(used)} MiB by the plan, and {function.memory_mb(release)} MB",
            f"set memory to {_mib(used)}MiB",
        )
    if release.models == "fetch" and weights > function.disk_mb(release) * MIB:
        yield Violation(
            "models that are fetched at start must fit into /tmp",
            f"{_mib(weights)} MiB of weights and {function.disk_mb(release)} MB",
            f"set disk to {_mib(weights)}MiB, or models to image",
        )
    most_gib = case.limits.image_gib
    if release.models == "image" and most_gib is not None and weights > most_gib * GIB:
        yield Violation(
            f"image at most {most_gib:g} GB",
            f"{_mib(weights)} MiB of weights alone",
            "use a smaller quantization, or set models to fetch or mount",
        )


def _response(case: _Case) -> Iterator[Violation]:
    release, most_mib = case.release, case.limits.response_mib
    if release.plan is None or most_mib is None:
        return
    tokens = release.plan.deployment.context
    if release.options.invoke_mode == "RESPONSE_STREAM" and tokens * EVENT_BYTES > most_mib * MIB:
        fitting = int(most_mib * MIB / EVENT_BYTES)
        yield Violation(
            f"a streamed response at most {most_mib:g} MB",
            f"up to {tokens} tokens, about {_mib(tokens * EVENT_BYTES)} MiB as events",
            f"plan with a context of at most {fitting} tokens",
        )


def _choices(case: _Case) -> Iterator[Violation]:
    options = case.release.options
    for key, value, known in (
        ("auth", options.auth, AUTH),
        ("invoke_mode", options.invoke_mode, INVOKE_MODES),
    ):
        if value not in known:
            yield Violation(
                f"{key} is one of {', '.join(known)}",
                repr(value),
                f"set lambda.{key} to {known[0]}",
            )
    if options.log_retention not in RETENTION_DAYS:
        above = [days for days in RETENTION_DAYS if days > options.log_retention]
        yield Violation(
            f"CloudWatch keeps logs for one of {', '.join(map(str, RETENTION_DAYS))} days",
            f"{options.log_retention} days",
            f"set lambda.log_retention to {above[0] if above else RETENTION_DAYS[-1]}",
        )
    if options.role is not None and not _ROLE.fullmatch(options.role):
        yield Violation(
            "a role is named by its ARN",
            repr(options.role),
            "set lambda.role to arn:aws:iam::<account>:role/<name>, or leave it out",
        )


def _keys(case: _Case) -> Iterator[Violation]:
    """Without any, an instance answers signed requests alone."""
    if case.release.options.auth == "NONE" and not case.release.keys.get("keys"):
        yield Violation(
            "a URL that anybody reaches needs API keys",
            "none",
            "make one with `pilotlight keys create`, or set lambda.auth to AWS_IAM",
        )


def _network(case: _Case) -> Iterator[Violation]:
    options = case.release.options
    if bool(options.subnets) != bool(options.security_groups):
        yield Violation(
            "a VPC needs subnets and security groups",
            f"{len(options.subnets)} subnets, {len(options.security_groups)} security groups",
            "set lambda.subnets and lambda.security_groups, or neither",
        )
    for key, given, most in (
        ("subnets", options.subnets, SUBNETS),
        ("security_groups", options.security_groups, SECURITY_GROUPS),
    ):
        if len(given) > most:
            yield Violation(
                f"at most {most} {key.replace('_', ' ')}",
                str(len(given)),
                f"shorten lambda.{key}",
            )


def _mount(case: _Case) -> Iterator[Violation]:
    release, options = case.release, case.release.options
    if release.models != "mount":
        yield from _mounts_nothing(case)
        return
    for key, value, form in (
        ("access_point", options.access_point, _ACCESS_POINT),
        ("file_system", options.file_system, _FILE_SYSTEM),
    ):
        # A role of the user's own has its own permissions: the file system's ARN is for ours.
        needed = key == "access_point" or options.role is None
        if (value is None and needed) or (value is not None and not form.fullmatch(value)):
            yield Violation(
                "mounted models are in EFS, named by the ARNs of access point and file system",
                f"{key} {value!r}",
                f"set lambda.{key}, or models to image or fetch",
            )
    if not options.subnets:
        yield Violation(
            "EFS is reached from inside its VPC alone",
            "no subnets",
            "set lambda.subnets and lambda.security_groups to those of the mount targets",
        )


def _mounts_nothing(case: _Case) -> Iterator[Violation]:
    release, options = case.release, case.release.options
    for key in ("access_point", "file_system"):
        if getattr(options, key) is not None:
            yield Violation(
                "a file system is mounted with models: mount alone",
                f"{key}, and models: {release.models}",
                f"set models to mount, or leave lambda.{key} out",
            )


def _tags(case: _Case) -> Iterator[Violation]:
    tags = function.tags(case.release)
    if len(tags) > TAGS:
        yield Violation(f"at most {TAGS} tags, ours included", str(len(tags)), "drop lambda.tags")
    for key, value in tags.items():
        plain = all(sign.isalnum() or sign.isspace() or sign in "_.:/=+-@" for sign in key + value)
        long = not 1 <= len(key) <= 128 or len(value) > 256
        if long or not plain or key.lower().startswith("aws:"):
            yield Violation(
                "a tag has a key of 1 to 128 characters, not from aws:, and a value of up to 256, "
                "of letters, digits, spaces and _.:/=+-@",
                f"{key!r}: {value!r}",
                "change it in lambda.tags",
            )


RULES: tuple[Callable[[_Case], Iterator[Violation]], ...] = (
    _name,
    _region,
    _image,
    _memory,
    _disk,
    _timeout,
    _processors,
    _gpu,
    _concurrency,
    _environment,
    _model,
    _response,
    _choices,
    _keys,
    _network,
    _mount,
    _tags,
)


def _mb(gib: float | None) -> int | None:
    return None if gib is None else round(gib * MB_PER_GIB)


def _mib(size_bytes: float) -> int:
    return -(-int(size_bytes) // MIB)
