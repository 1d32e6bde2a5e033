"""Changes brought about in order, and undone as a whole when one of them fails."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from itertools import groupby

from pilotlight.deploy.kubernetes import engine_key
from pilotlight.deploy.kubernetes.comparing import for_server, is_key, is_scaled, last_applied
from pilotlight.deploy.kubernetes.document import Body, resource_name
from pilotlight.deploy.kubernetes.engine import ENGINE
from pilotlight.deploy.kubernetes.kubectl import Kubectl
from pilotlight.deploy.kubernetes.layout import COMPONENT, RELEASE
from pilotlight.deploy.resources import Change
from pilotlight.deploy.target import Report
from pilotlight.errors import DeployError, PilotlightError

_SERVERS_OWN = ("status",)
_METADATA_OWN = (
    "uid", "resourceVersion", "creationTimestamp", "generation", "managedFields", "selfLink",
)  # fmt: skip
REMOVE_S = 120.0


class Putting:
    """One `apply`. `undo` brings back what was before it, whatever of it was done."""

    def __init__(self, kubectl: Kubectl, report: Report) -> None:
        self._kubectl = kubectl
        self._report = report
        self._versions: frozenset[str] = frozenset()
        self._live: dict[str, Body] = {}
        self._created: list[Body] = []
        self._before: list[Body] = []
        self._keys: dict[str, dict[str, str]] = {}

    def put(self, todo: Sequence[Change]) -> None:
        """All of `todo` but what is to be deleted: somebody may still use that."""
        self._versions = self._kubectl.versions()
        self._refuse_strangers([change for change in todo if change.action == "create"])
        self._live = self._read([change for change in todo if change.action != "create"])
        self._rehearse(todo)
        for step, changes in groupby(todo, key=_step):
            if step != "delete":
                _STEPS[step](self, list(changes))

    def clear(self, todo: Sequence[Change]) -> None:
        """The rest of `todo`."""
        gone = [change for change in todo if change.action == "delete"]
        if gone:
            # Restored in the opposite order: a namespace before what was in it.
            self._before += [self._live[change.name] for change in reversed(gone)]
            self._remove([for_server(_document(change), self._versions) for change in gone])

    def _refuse_strangers(self, created: Sequence[Change]) -> None:
        """What somebody else made would be overwritten, and be gone with `undo`.

        Raises DeployError: one of the names is taken.
        """
        there = self._read(created, "--ignore-not-found")
        for change in created:
            if change.name in there and _owner(there[change.name]) != _owner(_document(change)):
                raise DeployError(
                    f"{change.name} is there already, and this release didn't make it",
                    hint="use a namespace that is there with kubernetes.create_namespace=false, "
                    "or choose another namespace or name",
                )

    def _read(self, changes: Sequence[Change], *flags: str) -> dict[str, Body]:
        """As they are now, with what only their server knows."""
        bodies = [for_server(_document(change), self._versions) for change in changes]
        # Of a kind that the server doesn't have there is nothing.
        text = _stream([_named(body) for body in bodies if body["apiVersion"] in self._versions])
        if not text:
            return {}
        printed = self._kubectl.run("get", "-f", "-", "-o", "json", *flags, text=text)
        found = json.loads(printed or '{"kind": "List", "items": []}')
        items = found["items"] if found["kind"] == "List" else [found]
        return {resource_name(body): body for body in items}

    def _rehearse(self, todo: Sequence[Change]) -> None:
        """The server says no before anything is changed. It can't rehearse in a namespace that
        isn't there yet."""
        bodies = [self._body(change) for change in todo if _step(change) == "put"]
        spaces = [c for c in todo if c.action == "create" and _document(c)["kind"] == "Namespace"]
        if bodies and not spaces:
            self._kubectl.run("apply", "--dry-run=server", "-f", "-", text=_stream(bodies))

    def _put(self, changes: list[Change]) -> None:
        bodies = [self._body(change) for change in changes]
        for change, body in zip(changes, bodies, strict=True):
            if change.action == "create":
                self._created.append(body)
            else:
                self._before.append(self._live[change.name])
        self._say(self._kubectl.run("apply", "-f", "-", text=_stream(bodies), wait_s=REMOVE_S))

    def _body(self, change: Change) -> Body:
        body = for_server(_document(change), self._versions)
        if change.action == "update" and is_scaled(body):
            replicas = self._live[change.name]["spec"].get("replicas", 0)
            return {**body, "spec": {**body["spec"], "replicas": replicas}}
        return body

    def _key(self, changes: list[Change]) -> None:
        """The engines' own key first; the gateway's copy follows, and is the same."""
        for change in changes:
            body = _document(change)
            metadata = body["metadata"]
            engines = metadata["labels"][COMPONENT] == ENGINE
            data = self._made() if engines else self._lent(metadata["namespace"], metadata["name"])
            self._created.append(body)
            text = json.dumps({**body, "data": data})
            self._say(self._kubectl.run("create", "-f", "-", text=text))
            if engines:
                self._keys[metadata["namespace"]] = data

    def _made(self) -> dict[str, str]:
        return engine_key.content(os.urandom(engine_key.ID_CHARACTERS + engine_key.SECRET_BYTES))

    def _lent(self, home: str, name: str) -> dict[str, str]:
        """Raises DeployError: the engines' own Secret is older than its copy, which is gone."""
        tenant = name.rpartition("-engine-key-")[2]
        found = self._keys.get(f"{home}-{tenant}")  # as `Layout.namespace_of` has it
        if found is None:
            raise DeployError(
                f"the gateway's copy {name!r} of {tenant}'s engine key is gone",
                hint=f"delete the Secret of the same name without -{tenant} in {tenant}'s "
                "namespace too: both are then made anew",
            )
        return found

    def _remove(self, bodies: Sequence[Body]) -> None:
        words = ("--ignore-not-found", "-f", "-", f"--timeout={REMOVE_S:.0f}s")
        text = _stream([_named(body) for body in bodies])
        self._say(self._kubectl.run("delete", *words, text=text, wait_s=REMOVE_S))

    def _say(self, printed: str) -> None:
        for line in printed.splitlines():
            self._report(line)

    def undo(self) -> tuple[str, ...]:
        """What was made is removed, users before used; what was changed is as it was.

        The names of what may not be; the second half is tried whatever becomes of the first.
        """
        # Of a kind that the server doesn't have nothing was made.
        made = [body for body in reversed(self._created) if body["apiVersion"] in self._versions]
        before = [previous(body) for body in self._before]
        apply = partial(self._kubectl.run, "apply", "-f", "-", wait_s=REMOVE_S)
        left = self._taken_back(made, lambda: self._remove(made))
        return (*left, *self._taken_back(before, lambda: apply(text=_stream(before))))

    def _taken_back(self, bodies: Sequence[Body], step: Callable[[], object]) -> Iterable[str]:
        if not bodies:
            return ()
        names = [resource_name(body) for body in bodies]
        try:
            step()
        except PilotlightError as error:
            self._report(f"couldn't take back all of {', '.join(names)}: {error.message}")
            return names
        self._report(f"took back {', '.join(names)}")
        return ()


def _stream(bodies: Iterable[Body]) -> str:
    return "\n".join(f"---\n{json.dumps(body)}" for body in bodies)


def _named(body: Body) -> Body:
    """Enough of it to be found by."""
    metadata = {k: v for k, v in body["metadata"].items() if k in ("name", "namespace")}
    return {"apiVersion": body["apiVersion"], "kind": body["kind"], "metadata": metadata}


_STEPS = {"put": Putting._put, "key": Putting._key}


def _step(change: Change) -> str:
    if change.action == "delete":
        return "delete"
    return "key" if change.after is not None and is_key(change.after) else "put"


def _owner(body: Body) -> str | None:
    labels: dict[str, str] = body["metadata"].get("labels") or {}
    return labels.get(RELEASE)


def _document(change: Change) -> Body:
    found = change.after or change.before
    assert found is not None
    return dict(found)


def previous(live: Body) -> Body:
    """What made `live`: as it was last applied, else as it is, without what its server added."""
    body = last_applied(live)
    if body is None:
        metadata = live["metadata"]
        own = {key: value for key, value in metadata.items() if key not in _METADATA_OWN}
        kept = {key: value for key, value in live.items() if key not in _SERVERS_OWN}
        return {**kept, "metadata": own}
    if is_scaled(body):
        body["spec"]["replicas"] = live["spec"].get("replicas", 0)
    return body
