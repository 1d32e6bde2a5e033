"""One `apply`: each change brought about, or taken back by its opposite after a failure.

A call whose answer is lost may have been obeyed. So every service that an attempt sends carries
its mark, and taking back looks for the mark rather than trust an answer: what somebody else made
in the meantime stays.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping
from typing import Any

from pilotlight.deploy.cloud_run.comparison import merged
from pilotlight.deploy.cloud_run.operations import Document, Operations, state_of
from pilotlight.deploy.resources import Change
from pilotlight.errors import DeployError

MARK = "pilotlight.dev/apply"


class Attempt:
    """`bring` is a `deploy.transaction.Do`."""

    def __init__(self, operations: Operations) -> None:
        self._at = operations
        self._mark = uuid.uuid4().hex
        self._tried = False
        self._before: Document | None = None
        """The service as it was before its update."""

        self._does: Mapping[tuple[str, str], Callable[[Change], None]] = {
            ("service", "create"): self._create,
            ("service", "update"): self._update,
            ("service", "delete"): self._take_away,
            ("invoker", "create"): self._bind,
            ("invoker", "update"): self._bind,
            ("invoker", "delete"): self._bind,
        }

    def bring(self, change: Change) -> None:
        self._does[change.name.partition("/")[0], change.action](change)

    def _create(self, change: Change) -> None:
        self._at.create(merged(None, {**(change.after or {}), "annotations": {MARK: self._mark}}))

    def _update(self, change: Change) -> None:
        if self._tried:
            self._restore()
            return
        self._tried = True
        self._before = self._at.get()
        if self._before is None:
            raise DeployError("the service has gone meanwhile", hint="run it again")
        after = merged(self._before, {**(change.after or {}), "annotations": {MARK: self._mark}})
        # A name given by hand is taken, and new revisions are tried whatever `cool` did.
        fresh = {"template": {"revision": None, "healthCheckDisabled": None}}
        self._at.update(merged(after, fresh))

    def _take_away(self, change: Change) -> None:
        if self._is_ours(self._at.get()):
            self._at.delete()

    def _restore(self) -> None:
        before, there = self._before, self._at.get()
        if before is None or there is None or not self._is_ours(there):
            return
        # The etag would be of another time, and the revision's name is taken.
        kept = {key: value for key, value in before.items() if key != "etag"}
        try:
            self._at.update(merged(kept, {"template": {"revision": None}}))
        except DeployError:
            if state_of(before) != "failed":  # Else it is as it was: not ready then either.
                raise
        failed = there.get("latestCreatedRevision")
        if failed and failed != before.get("latestCreatedRevision"):
            self._at.delete_revision(failed)

    def _bind(self, change: Change) -> None:
        self._at.bind(_members(change.after))

    def _is_ours(self, there: Document | None) -> bool:
        return there is not None and there.get("annotations", {}).get(MARK) == self._mark


def _members(document: Mapping[str, Any] | None) -> list[str]:
    return list((document or {}).get("members", []))
