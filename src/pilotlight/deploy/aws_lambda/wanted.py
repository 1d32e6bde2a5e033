"""What `apply` is to bring about, in the order in which it is made: the used before its users."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from pilotlight.deploy.aws_lambda import function, policy
from pilotlight.deploy.aws_lambda.function import ALIAS, LambdaRelease
from pilotlight.deploy.resources import Resources

Document = Mapping[str, Any]


def log_group_key(release: LambdaRelease) -> str:
    return f"log-group{function.log_group(release)}"


def role_key(release: LambdaRelease) -> str:
    return f"role/{function.role_name(release)}"


def function_key(release: LambdaRelease) -> str:
    return f"function/{release.name}"


def alias_key(release: LambdaRelease) -> str:
    return f"alias/{release.name}:{ALIAS}"


def concurrency_key(release: LambdaRelease) -> str:
    return f"concurrency/{release.name}:{ALIAS}"


def url_key(release: LambdaRelease) -> str:
    return f"url/{release.name}:{ALIAS}"


def wanted(release: LambdaRelease) -> Resources:
    found: dict[str, Document] = {log_group_key(release): _log_group(release)}
    if release.options.role is None:
        found[role_key(release)] = _role(release)
    document = _function(release)
    found[function_key(release)] = document
    found[alias_key(release)] = {"serves": fingerprint(document)}
    if release.options.reserve or release.scaling.minimum:
        found[concurrency_key(release)] = _concurrency(release)
    return {**found, url_key(release): _url(release)}


def _log_group(release: LambdaRelease) -> Document:
    return {"retention_days": release.options.log_retention, "tags": function.tags(release)}


def _role(release: LambdaRelease) -> Document:
    return {
        "trust": policy.trust(),
        "policy": policy.document(policy.instance(release)),
        "tags": function.tags(release),
    }


def _function(release: LambdaRelease) -> Document:
    return {
        "image": release.image,
        "architecture": release.size.architecture,
        "memory_mb": function.memory_mb(release),
        "disk_mb": function.disk_mb(release),
        "timeout_s": function.timeout_s(release),
        "role": release.options.role or function.role_name(release),
        "vpc": function.vpc(release),
        "file_system": function.file_system(release),
        "environment": function.environment(release),
        "tags": function.tags(release),
    }


def fingerprint(document: Document) -> str:
    """Of all that a version freezes. It is the version's description, so that an alias tells."""
    frozen = {key: value for key, value in document.items() if key != "tags"}
    text = json.dumps(frozen, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _concurrency(release: LambdaRelease) -> Document:
    scaling = release.scaling
    return {
        "reserved": scaling.maximum if release.options.reserve else None,
        "standby": scaling.minimum,
    }


def _url(release: LambdaRelease) -> Document:
    public = release.options.auth == "NONE"
    return {
        "auth": release.options.auth,
        "invoke_mode": release.options.invoke_mode,
        "allowed": sorted(policy.public_statements()) if public else [],
    }
