"""One release at AWS: all its kinds of things together, and the verbs on them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from pilotlight.deploy.aws_lambda import wanted
from pilotlight.deploy.aws_lambda.function import GENERATION_VARIABLE, LambdaRelease
from pilotlight.deploy.aws_lambda.live.alias import AliasKind, version_description
from pilotlight.deploy.aws_lambda.live.aws import Aws, in_our_words
from pilotlight.deploy.aws_lambda.live.concurrency import ConcurrencyKind
from pilotlight.deploy.aws_lambda.live.function import FunctionKind
from pilotlight.deploy.aws_lambda.live.kind import Kind
from pilotlight.deploy.aws_lambda.live.log_group import LogGroupKind
from pilotlight.deploy.aws_lambda.live.role import RoleKind
from pilotlight.deploy.aws_lambda.live.url import UrlKind
from pilotlight.deploy.aws_lambda.live.versions import Versions
from pilotlight.deploy.resources import Change, Resources
from pilotlight.deploy.target import Report, State, Status
from pilotlight.deploy.transaction import perform
from pilotlight.errors import DeployError, PilotlightError


class Deployment:
    def __init__(self, aws: Aws, release: LambdaRelease) -> None:
        self._aws = aws
        self._release = release
        self._function = FunctionKind(aws, release)
        self._versions = Versions(aws, release, self._function)
        self._concurrency = ConcurrencyKind(aws, release)
        self._alias = AliasKind(aws, release, self._versions, self._concurrency)
        self._url = UrlKind(aws, release)
        self._kinds: Mapping[str, Kind] = {
            wanted.log_group_key(release): LogGroupKind(aws, release),
            wanted.role_key(release): RoleKind(aws, release),
            wanted.function_key(release): self._function,
            wanted.alias_key(release): self._alias,
            wanted.concurrency_key(release): self._concurrency,
            wanted.url_key(release): self._url,
        }

    def live(self) -> Resources:
        with in_our_words():
            found = {name: kind.read() for name, kind in self._kinds.items()}
        return {name: document for name, document in found.items() if document is not None}

    def apply(self, todo: Sequence[Change], report: Report) -> Status:
        try:
            perform(todo, self._bring, report)
        except BaseException:
            self._tidy(report)
            raise
        self._tidy(report)
        try:
            return self.status()
        except PilotlightError as error:
            # All is made, and was waited for: that stays so, though nobody could look again.
            return Status(state="ready", detail=f"its status couldn't be asked: {error.message}")

    def _bring(self, change: Change) -> None:
        kind = self._kinds[change.name]
        with in_our_words():
            if change.after is not None:
                kind.put(change.after)
            elif kind.read() is not None:
                # Read first: it raises for what somebody else made of that name meanwhile.
                kind.remove()

    def _tidy(self, report: Report) -> None:
        """Versions that nobody needs; what stays does no harm, so it never fails a deployment."""
        try:
            if self._function.find() is not None:
                self._versions.prune(self._alias.serving(), report)
        except (ClientError, BotoCoreError, PilotlightError) as error:
            report(f"versions that nobody needs stay: {error}")

    def status(self) -> Status:
        with in_our_words():
            found = self._function.find()
            alias = self._alias.find()
            if found is None:
                return Status(state="absent")
            url, standby = self._url.find(), self._concurrency.standby()
        return _status(found, alias, url, standby)

    def cool(self, report: Report) -> None:
        """A new version has no environments: only a changed variable makes Lambda publish one."""
        with in_our_words():
            latest = self._function.find()
            serves = self._alias.read()
            if latest is None or serves is None:
                raise DeployError(
                    f"there is no function {self._release.name!r} to cool",
                    hint="put it up first: pilotlight deploy apply lambda",
                )
            if self._concurrency.standby() is not None:
                raise DeployError(
                    f"{self._release.name!r} has instances that are kept ready, so that no "
                    "request meets a cold start",
                    hint="to measure one, apply with --set lambda.minimum=0 first",
                )
            self._renew(latest["Configuration"], str(serves["serves"]))
        report(f"made {self._release.name} cold")
        self._tidy(report)

    def _renew(self, latest: Mapping[str, Any], fingerprint: str) -> None:
        variables = dict(latest.get("Environment", {}).get("Variables", {}))
        generation = int(variables.get(GENERATION_VARIABLE, "0")) + 1
        variables[GENERATION_VARIABLE] = str(generation)
        self._function.configure({"Environment": {"Variables": variables}})
        number = self._versions.publish(version_description(fingerprint))
        self._alias.move(fingerprint, number)

    def delete(self, report: Report) -> None:
        """From the URL down: nobody is let in while the rest goes."""
        live = self.live()
        for name, kind in reversed(list(self._kinds.items())):
            if name in live:
                with in_our_words():
                    kind.remove()
                report(f"deleted {name}")


Found = Mapping[str, Any]


def _status(found: Found, alias: Found | None, url: Found | None, standby: Found | None) -> Status:
    configuration = found["Configuration"]
    return Status(
        state=_state(configuration, alias, standby),
        url=url["FunctionUrl"] if url else None,
        instances=standby.get("AvailableProvisionedConcurrentExecutions", 0) if standby else None,
        image=found["Code"].get("ImageUri"),
        detail=_detail(configuration, alias, standby),
        facts=_facts(found, alias, standby),
    )


def _state(configuration: Found, alias: Found | None, standby: Found | None) -> State:
    states = {configuration.get("State"), configuration.get("LastUpdateStatus")}
    kept = standby["Status"] if standby else "READY"
    if alias is None or "Failed" in states or kept == "FAILED":
        return "failed"
    return "updating" if states & {"Pending", "InProgress"} or kept != "READY" else "ready"


def _detail(configuration: Found, alias: Found | None, standby: Found | None) -> str:
    if alias is None:
        return "it has no version to serve: apply once more"
    reasons = (
        configuration.get("StateReason"),
        configuration.get("LastUpdateStatusReason"),
        standby.get("StatusReason") if standby else None,
    )
    return "; ".join(reason for reason in reasons if reason)


def _facts(found: Found, alias: Found | None, standby: Found | None) -> tuple[tuple[str, str], ...]:
    configuration = found["Configuration"]
    reserved = found.get("Concurrency", {}).get("ReservedConcurrentExecutions")
    facts = [
        ("version", str(alias["FunctionVersion"]) if alias else "none"),
        ("memory", f"{configuration['MemorySize']} MB"),
        ("/tmp", f"{configuration.get('EphemeralStorage', {}).get('Size', 512)} MB"),
        ("timeout", f"{configuration['Timeout']} s"),
        ("architecture", str(configuration.get("Architectures", ["x86_64"])[0])),
        ("reserved", "none" if reserved is None else str(reserved)),
    ]
    if standby:
        asked = standby["RequestedProvisionedConcurrentExecutions"]
        facts.append(("standby", f"{asked} ({standby['Status'].lower()})"))
    if digest := found["Code"].get("ResolvedImageUri"):
        facts.append(("digest", str(digest).rpartition("@")[2]))
    return tuple(facts)
