"""Cloud Run's Admin API v2 for one service, through the official client (gRPC).

Documents are the API's own JSON. Every call blocks until its operation is over, and raises
DeployError in Cloud Run's words.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from typing import Any

from pilotlight.deploy.cloud_run import service
from pilotlight.deploy.cloud_run.comparison import merged
from pilotlight.deploy.cloud_run.connection import Connection, refusals
from pilotlight.deploy.target import State
from pilotlight.errors import DeployError

COOLED = "pilotlight.dev/cooled"
PATIENCE_S = 900.0
"""For one operation: a start may take 240 s, and an image has to be fetched before."""

Document = dict[str, Any]

_STATES: Mapping[str, State] = {
    "CONDITION_SUCCEEDED": "ready",
    "CONDITION_FAILED": "failed",
}
"""Every other condition is on its way."""


class Operations:
    def __init__(self, connection: Connection, region: str, name: str) -> None:
        self._at = connection
        self._name = name
        self._parent = f"projects/{connection.project}/locations/{region}"
        self._path = f"{self._parent}/services/{name}"

    def get(self) -> Document | None:
        """None where there is no such service."""
        from google.api_core.exceptions import NotFound

        with refusals(f"to show {self._path}"):
            try:
                return _document(self._at.services.get_service(name=self._path))
            except NotFound:
                return None

    def create(self, document: Document) -> None:
        request = {"parent": self._parent, "service_id": self._name, "service": _message(document)}
        with refusals(f"to create {self._path}"):
            self._ready(self._wait(self._at.services.create_service(request=request)))

    def update(self, document: Document) -> None:
        """The whole of it; with an etag only if nobody changed it since that was read."""
        request = {"service": _message({**document, "name": self._path})}
        with refusals(f"to update {self._path}"):
            self._ready(self._wait(self._at.services.update_service(request=request)))

    def delete(self) -> bool:
        """In whatever state it is; whether there was one."""
        from google.api_core.exceptions import NotFound

        with refusals(f"to delete {self._path}"):
            try:
                self._wait(self._at.services.delete_service(name=self._path))
            except NotFound:
                return False
        return True

    def cool(self) -> None:
        """A revision that differs by a mark, of which nobody starts an instance.

        Raises DeployError where there always is one.
        """
        there = self.get()
        if there is None:
            raise DeployError(
                f"there is no service {self._name!r} to cool",
                hint="put it up: pilotlight deploy apply cloudrun",
            )
        if minimum := there["template"].get("scaling", {}).get("minInstanceCount", 0):
            raise DeployError(
                f"{self._name!r} keeps {minimum} instances ready, so none of its starts is cold",
                hint="put it up with --set minimum=0 to measure cold starts",
            )
        # Cloud Run tries every new revision in an instance, which then would be warm.
        marks = {COOLED: uuid.uuid4().hex}
        template = {"revision": None, "healthCheckDisabled": True, "annotations": marks}
        self.update(merged(there, {"template": template}))

    def delete_revision(self, path: str) -> None:
        from google.api_core.exceptions import NotFound

        with refusals(f"to delete {path}"):
            try:
                self._wait(self._at.revisions.delete_revision(name=path))
            except NotFound:
                return

    def members(self) -> list[str]:
        """Who may call it."""
        bindings = [each for each in self._policy().bindings if each.role == service.INVOKER]
        return sorted({member for each in bindings for member in each.members})

    def bind(self, members: Sequence[str]) -> None:
        """These and nobody else may call it; the policy's etag guards others' changes of it."""
        policy = self._policy()
        kept = [each for each in policy.bindings if each.role != service.INVOKER]
        del policy.bindings[:]
        policy.bindings.extend(kept)
        if members:
            policy.bindings.add(role=service.INVOKER, members=members)
        request = {"resource": self._path, "policy": policy}
        try:
            with refusals(f"to let {', '.join(members) or 'nobody'} call {self._path}"):
                self._at.services.set_iam_policy(request=request)
        except DeployError as error:
            if "allUsers" in members and "FailedPrecondition" in error.message:
                # Domain restricted sharing, an organization's policy.
                error.hint = "--set cloudrun.invoker_check=false lets our API keys say who may ask"
            raise

    def _policy(self) -> Any:
        # Of a version below 3 the conditions are left out, and would be lost where it is set again.
        request = {"resource": self._path, "options": {"requested_policy_version": 3}}
        with refusals(f"to show the policy of {self._path}"):
            return self._at.services.get_iam_policy(request=request)

    def _wait(self, operation: Any) -> Any:
        """What the operation came to."""
        from google.api_core.future.polling import DEFAULT_POLLING

        polling = DEFAULT_POLLING.with_timeout(PATIENCE_S).with_delay(
            initial=self._at.poll_s, maximum=5 * self._at.poll_s, multiplier=1.5
        )
        try:
            return operation.result(polling=polling)
        except TimeoutError:
            raise DeployError(
                f"{self._path} is not there after {PATIENCE_S:.0f} s",
                hint="see `pilotlight deploy logs cloudrun`",
            ) from None

    def _ready(self, made: Any) -> None:
        """Raises DeployError for a service that doesn't serve."""
        there = _document(made)
        if state_of(there) == "failed":
            words = there["terminalCondition"].get("message", "no reason given")
            raise DeployError(
                f"{self._path} did not become ready: {words}",
                hint="see `pilotlight deploy logs cloudrun`",
            )


def state_of(there: Document) -> State:
    if there.get("reconciling"):
        return "updating"
    return _STATES.get(there.get("terminalCondition", {}).get("state", ""), "updating")


def _message(document: Document) -> Any:
    """Raises DeployError for what this version of the client can't say."""
    from google.cloud import run_v2
    from google.protobuf import json_format

    try:
        return run_v2.Service.wrap(json_format.ParseDict(document, run_v2.Service.pb()()))
    except json_format.ParseError as error:
        raise DeployError(
            f"google-cloud-run can't say this: {error}",
            hint="put it up from the files of `pilotlight deploy render cloudrun`, or update the "
            "client: pip install --upgrade google-cloud-run",
        ) from error


def _document(message: Any) -> Document:
    from google.protobuf import json_format

    found: Document = json_format.MessageToDict(type(message).pb(message))
    return found
