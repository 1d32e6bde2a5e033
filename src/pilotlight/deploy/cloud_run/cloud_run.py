"""The target: it only knows which of this package's files answers what."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from pilotlight.deploy.cloud_run import limits, logs, service, standing
from pilotlight.deploy.cloud_run.attempt import Attempt
from pilotlight.deploy.cloud_run.connection import Connection, connect
from pilotlight.deploy.cloud_run.instance import config_text, keys_text
from pilotlight.deploy.cloud_run.knative import service_yaml
from pilotlight.deploy.cloud_run.operations import Document, Operations
from pilotlight.deploy.cloud_run.options import CloudRunOptions
from pilotlight.deploy.cloud_run.placement import CloudRunRelease, platform_of, region_of
from pilotlight.deploy.cloud_run.readme import readme
from pilotlight.deploy.cloud_run.terraform import main_tf
from pilotlight.deploy.resources import Change, Files, Resources
from pilotlight.deploy.target import Report, Status
from pilotlight.deploy.transaction import perform
from pilotlight.deploy.violation import Violation
from pilotlight.errors import PilotlightError


class CloudRun:
    """A `deploy.target.Target`. `connect` opens Google's clients for a project, or raises."""

    name = "cloudrun"
    title = "Google Cloud Run"
    options = CloudRunOptions

    def __init__(self, connect: Callable[[str | None], Connection] = connect) -> None:
        self._connect = connect

    def platform(self, release: CloudRunRelease) -> str:
        return platform_of(release)

    def check(self, release: CloudRunRelease) -> Sequence[Violation]:
        return limits.violations(release)

    def render(self, release: CloudRunRelease) -> Files:
        keys = keys_text(release)
        return {
            "README.md": readme(release),
            "service.yaml": service_yaml(release),
            "main.tf": main_tf(release),
            "pilotlight.yaml": config_text(release),
            **({"keys.json": keys} if keys is not None else {}),
        }

    def wanted(self, release: CloudRunRelease) -> Resources:
        return service.resources(release)

    def live(self, release: CloudRunRelease) -> Resources:
        at = self._at(release)
        there = _ours(at, release)
        return {} if there is None else standing.live(release, there, at.members())

    def apply(self, release: CloudRunRelease, todo: Sequence[Change], report: Report) -> Status:
        if release.options.service_account is None:
            report(
                "it runs as the project's default identity: README.md of `deploy render` makes one "
                "that may do nothing else"
            )
        at = self._at(release)
        perform(todo, Attempt(at).bring, report)
        try:
            return standing.status(at.get())
        except PilotlightError as error:
            # All is made, and was waited for: that stays so, though nobody could look again.
            return Status(state="ready", detail=f"its status couldn't be asked: {error.message}")

    def status(self, release: CloudRunRelease) -> Status:
        return standing.status(self._at(release).get())

    def logs(self, release: CloudRunRelease, *, since_s: float, follow: bool) -> Iterator[str]:
        return logs.lines(
            self._connect(release.options.project),
            service=release.name,
            region=region_of(release),
            since_s=since_s,
            follow=follow,
        )

    def cool(self, release: CloudRunRelease, report: Report) -> None:
        at = self._at(release)
        _ours(at, release)
        at.cool()
        report(f"cooled service/{release.name}: a new revision, without instances")

    def delete(self, release: CloudRunRelease, report: Report) -> None:
        at = self._at(release)
        if _ours(at, release) is not None and at.delete():
            report(f"deleted service/{release.name}")
        else:
            report(f"service/{release.name} is not there")

    def _at(self, release: CloudRunRelease) -> Operations:
        connection = self._connect(release.options.project)
        return Operations(connection, region_of(release), release.name)


def _ours(at: Operations, release: CloudRunRelease) -> Document | None:
    """As it is there. Raises DeployError: it is somebody else's."""
    there = at.get()
    if there is not None:
        standing.require_ours(there, release.name)
    return there
