"""What stands at Cloud Run now, in the words of every target."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pilotlight.deploy.cloud_run import service
from pilotlight.deploy.cloud_run.comparison import seen
from pilotlight.deploy.cloud_run.operations import Document, state_of
from pilotlight.deploy.cloud_run.placement import CloudRunRelease
from pilotlight.deploy.resources import Resources
from pilotlight.deploy.target import Status


def live(release: CloudRunRelease, there: Document, members: list[str]) -> Resources:
    """As far as the release decides it; any caller counts, for the release decides on them all."""
    name = service.service_name(release)
    found: dict[str, Mapping[str, Any]] = {name: seen(there, service.service(release))}
    if members:
        found[service.invoker_name(release)] = {"role": service.INVOKER, "members": members}
    return found


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
