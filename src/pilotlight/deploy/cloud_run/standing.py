"""What stands at Cloud Run now, in the words of every target."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from pilotlight.deploy.cloud_run import service
from pilotlight.deploy.cloud_run.comparison import seen
from pilotlight.deploy.cloud_run.operations import Document, state_of
from pilotlight.deploy.cloud_run.placement import CloudRunRelease
from pilotlight.deploy.resources import Resources
from pilotlight.deploy.target import Status
from pilotlight.errors import DeployError

_DEFAULT_IDENTITY = re.compile(r"\d+-compute@developer\.gserviceaccount\.com")


def require_ours(there: Document, name: str) -> None:
    """Raises DeployError for a service of that name that isn't a release's to change."""
    labels = there.get("labels", {})
    if all(labels.get(key) == value for key, value in service.LABELS.items()):
        return
    pairs = ",".join(f"{key}={value}" for key, value in service.LABELS.items())
    raise DeployError(
        f"there is a service {name!r} already, and `pilotlight deploy` didn't make it",
        hint="choose another name, or hand it over: "
        f"gcloud run services update {name} --update-labels {pairs}",
    )


def live(release: CloudRunRelease, there: Document, members: list[str]) -> Resources:
    """As far as the release decides it; any caller counts, for the release decides on them all."""
    name = service.service_name(release)
    if release.options.service_account is None:
        there = _without_default_identity(there)
    found: dict[str, Mapping[str, Any]] = {name: seen(there, service.service(release))}
    if members:
        found[service.invoker_name(release)] = {"role": service.INVOKER, "members": members}
    return found


def _without_default_identity(there: Document) -> Document:
    """Cloud Run writes it down where a release names none."""
    template = there.get("template", {})
    if not _DEFAULT_IDENTITY.fullmatch(template.get("serviceAccount", "")):
        return there
    return {**there, "template": {**template, "serviceAccount": ""}}


def status(there: Document | None) -> Status:
    if there is None:
        return Status(state="absent")
    template = there["template"]
    return Status(
        state=state_of(there),
        url=there.get("uri"),
        image=template["containers"][0].get("image"),
        detail=there.get("terminalCondition", {}).get("message", ""),
        facts=_facts(there, template),
    )


def _facts(there: Document, template: Document) -> tuple[tuple[str, str], ...]:
    scaling = template.get("scaling", {})
    resources = template["containers"][0].get("resources", {})
    limits = resources.get("limits", {})
    facts = {
        "revision": there.get("latestReadyRevision", "").rpartition("/")[2],
        "vCPUs": limits.get("cpu", ""),
        "memory": limits.get("memory", ""),
        "GPU": template.get("nodeSelector", {}).get("accelerator", ""),
        "concurrency": f"{template.get('maxInstanceRequestConcurrency', '')}",
        "bounds": f"{scaling.get('minInstanceCount', 0)} to "
        f"{scaling.get('maxInstanceCount', 'the default')} instances",
        "billing": "by request" if resources.get("cpuIdle") else "by instance",
    }
    return tuple((name, value) for name, value in facts.items() if value)
