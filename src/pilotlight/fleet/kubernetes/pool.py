"""The pods of one Deployment: one run loop owns what is known, and changes what there should be.

Processes join and leave; the API tells of pods; each step then binds, raises, takes away and
renews what the pure functions of `choice` and `leases` say. Whatever fails is tried again.
"""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from pilotlight.engines.base import Pods
from pilotlight.errors import EngineStartError, EngineUnreachableError, PilotlightError
from pilotlight.fleet.kubernetes import choice, trouble
from pilotlight.fleet.kubernetes import pod as documents
from pilotlight.fleet.kubernetes.api import Api, RefusedError, in_words
from pilotlight.fleet.kubernetes.choice import View
from pilotlight.fleet.kubernetes.leases import RENEW_S, Leases
from pilotlight.fleet.kubernetes.pod import CLAIM, Pod
from pilotlight.fleet.kubernetes.process import PodProcess
from pilotlight.fleet.kubernetes.scale import Scale
from pilotlight.fleet.kubernetes.watch import Clock, Watch

log = logging.getLogger(__name__)

LOOK_S = 1.0
"""How often the Deployment is asked why it makes no pod, while a replica waits for one."""

LEAVE_S = 10.0
"""Longest wait for the API when a pod is let go; what it missed then is done later."""

LONGEST_PAUSE_S = 30.0
LOG_LINES = 10


@dataclass(frozen=True, slots=True)
class Gateway:
    """Who looks after the pods: one name a process, so that a restarted one is another."""

    identity: str
    is_shutting_down: Callable[[], bool]
    """From then on pods are left to the next gateway, warm as they are."""


class PodPool:
    """Owned by `PodFleet`; runs from `begin` to `close`."""

    def __init__(self, api: Api, pods: Pods, gateway: Gateway, clock: Clock) -> None:
        self._api = api
        self._pods = pods
        self._gateway = gateway
        self._clock = clock
        self._namespace = pods.namespace or api.namespace
        self._scale = Scale(api, self._namespace, pods.deployment)
        self._watch = Watch(api, self._namespace, self._scale, clock, self._changed)
        self._leases = Leases(gateway.identity)
        self._guests: list[PodProcess] = []
        self._dismissed: set[str] = set()
        self._orphaned = 0
        """Raises of the scale that nobody waits for any more."""

        self._leavers: list[asyncio.Future[None]] = []
        self._renew_s = -math.inf
        self._look_s = -math.inf
        self._retry_s = -math.inf
        self._failures = 0
        self._wake = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def begin(self) -> None:
        if self._task is None:
            self._watch.begin()
            self._task = asyncio.get_running_loop().create_task(self._run())

    async def close(self) -> None:
        """Stops looking after them; claims that are left are taken back."""
        if self._task is None:
            return
        self._task.cancel()
        await self._watch.close()
        await asyncio.gather(self._task, return_exceptions=True)
        for guest in self._guests:
            if guest.pod is not None:
                await self._release(guest.pod)

    def join(self, guest: PodProcess) -> None:
        self._guests.append(guest)
        self._retry_s = -math.inf  # whoever asks anew hears anew whether it works
        self._watch.hurry()
        self.begin()
        self._wake.set()

    async def leave(self, guest: PodProcess) -> None:
        """Returns once it was acted upon, or the API was silent for `LEAVE_S`."""
        if guest not in self._guests:
            return
        self._guests.remove(guest)
        if guest.pod is not None:
            self._dismissed.add(guest.pod.uid)
        elif self._pods.scales:
            self._orphaned += 1
        done = asyncio.get_running_loop().create_future()
        self._leavers.append(done)
        self._retry_s = -math.inf
        self._wake.set()
        try:
            async with asyncio.timeout(LEAVE_S):
                await done
        except TimeoutError:
            log.warning("Deployment %s: the API is slow; a pod goes later", self._pods.deployment)

    # The run loop

    def _changed(self) -> None:
        """Pods are others than before, or can't be seen."""
        self._wake.set()

    async def _run(self) -> None:
        while True:
            self._wake.clear()
            try:
                await self._step()
                self._failures = 0
            except (PilotlightError, RefusedError) as error:
                self._failed(error)
            except Exception:  # a task's edge: pods must not be left alone for a bug
                log.exception("Deployment %s", self._pods.deployment)
                self._pause()
            if self._watch.is_current or self._watch.error:
                self._excuse_leavers()
            await self._rest()

    async def _rest(self) -> None:
        now = self._clock.now()
        moments = [self._renew_s, self._look_s, self._retry_s]
        moments.append(self._leases.next_s(self._pods.linger_s, now))
        due_s = min((moment for moment in moments if moment > now), default=math.inf)
        if due_s == math.inf:
            await self._wake.wait()
            return
        timer = self._clock.call_at(due_s, self._wake.set)
        try:
            await self._wake.wait()
        finally:
            timer.cancel()

    async def _step(self) -> None:
        self._tell_guests()
        if self._watch.error is not None:
            raise self._watch.error
        if not self._watch.is_current or self._clock.now() < self._retry_s:
            return
        await self._bind()
        await self._judge()
        await self._raise()
        await self._take_away()
        await self._renew()

    def _failed(self, error: PilotlightError | RefusedError) -> None:
        """Whoever waits for a pod hears of it; what serves goes on."""
        if isinstance(error, RefusedError):
            error = in_words(error, self._pods.deployment, self._namespace)
        waiting = [guest for guest in self._guests if not guest.is_ready]
        for guest in waiting:
            guest.fail(error)
        if not waiting:
            log.warning("Deployment %s: %s", self._pods.deployment, error.one_line())
        self._pause()

    def _pause(self) -> None:
        self._failures += 1
        pause_s = min(2.0 ** (self._failures - 1), LONGEST_PAUSE_S)
        self._retry_s = self._clock.now() + pause_s

    # What it knows

    def _tell_guests(self) -> None:
        for guest in list(self._guests):
            if guest.pod is not None:
                guest.saw(self._watch.pods.get(guest.pod.uid))
            if not guest.alive:
                self._guests.remove(guest)

    def _view(self) -> View:
        now = self._clock.now()
        pods = tuple(self._watch.pods.values())
        mine = frozenset(guest.pod.uid for guest in self._guests if guest.pod is not None)
        self._dismissed &= {pod.uid for pod in pods} - mine
        self._leases.observe(pods, mine, now)
        unwanted = {
            pod.uid
            for pod in pods
            if pod.uid in self._dismissed
            # Marked by us and still there: another gateway raised the scale at the same time.
            or pod.leaving == self._gateway.identity
            or self._leases.is_forgotten(pod, self._pods.linger_s, now)
        }
        return View(
            pods=pods,
            mine=mine,
            others=frozenset(pod.uid for pod in pods if self._leases.is_held(pod, now)),
            unwanted=frozenset(unwanted),
            waiting=sum(1 for guest in self._guests if guest.pod is None),
        )

    # What it does

    async def _bind(self) -> None:
        """Each guest without a pod gets one, as far as there are any."""
        for guest in list(self._guests):
            while guest.alive and guest.pod is None:
                chosen = choice.candidate(self._view())
                if chosen is None:
                    guest.waits()
                    break
                if await self._claim(chosen):
                    guest.bind(self._watch.pods[chosen.uid])

    async def _claim(self, pod: Pod) -> bool:
        """Marks it as used by us, and takes off the marks of gateways that crashed."""
        now = self._clock.now()
        marks: dict[str, str | None] = {
            CLAIM + gateway: None for gateway in self._leases.expired(pod, now)
        }
        marks[CLAIM + self._gateway.identity] = datetime.now(UTC).isoformat()
        marked = await self._annotate(pod, marks)
        # Another gateway may have begun to take it away since we last heard of it.
        return marked is not None and marked.living and marked.leaving is None

    async def _release(self, pod: Pod) -> None:
        try:
            await self._annotate(pod, {CLAIM + self._gateway.identity: None})
        except (PilotlightError, RefusedError) as error:
            log.warning("pod %s keeps our claim until it ends: %s", pod.name, error)

    async def _annotate(
        self, pod: Pod, annotations: dict[str, str | None], version: str | None = None
    ) -> Pod | None:
        """The pod with them; None where it is gone. With `version` a 409 if it changed since."""
        metadata: dict[str, Any] = {"annotations": annotations}
        if version is not None:
            metadata["resourceVersion"] = version
        try:
            answer = await self._api.patch(self._path(pod), {"metadata": metadata})
        except RefusedError as error:
            if error.status != 404:
                raise
            self._watch.forget(pod.uid)
            return None
        return self._watch.note(documents.read(answer))

    def _path(self, pod: Pod) -> str:
        return f"/api/v1/namespaces/{self._namespace}/pods/{pod.name}"

    async def _judge(self) -> None:
        """A start that can't succeed is given up at once, with the reason and the last log."""
        for guest in self._guests:
            if guest.is_settled or guest.pod is None:
                continue
            found = trouble.trouble(guest.pod)
            if found is not None and found.fatal:
                words = await self._log(guest.pod, found.container) if found.container else ""
                guest.fail(EngineStartError(found.words, last_words=words, hint=found.hint))

    async def _log(self, pod: Pod, container: str) -> str:
        """The end of what it said before it last ended."""
        path = f"{self._path(pod)}/log"
        try:
            text = await self._api.text(
                path, container=container, previous="true", tailLines=str(LOG_LINES)
            )
        except (PilotlightError, RefusedError) as error:
            return f"(its log can't be read: {error})"
        return " | ".join(line.strip() for line in text.splitlines() if line.strip())

    async def _raise(self) -> None:
        """Where replicas wait and no pod is left for them, there have to be more."""
        waiting = [guest for guest in self._guests if guest.pod is None]
        self._look_s = self._clock.now() + LOOK_S if waiting else -math.inf
        if not waiting or not self._pods.scales:
            return
        least = choice.scale_for(self._view())
        if await self._scale.change(lambda scale: max(scale, least)):
            return
        if any(pod.terminating and not pod.lost for pod in self._watch.pods.values()):
            return  # a quota counts them until they are gone, which is soon
        # It was high enough before and there is no pod: is something in the way?
        if words := await self._scale.hindrance():
            # It may pass, as when another team's pods go: the model is not given up for it.
            error = EngineUnreachableError(
                f"Deployment {self._pods.deployment!r} gets no pod: {words}",
                hint="raise the namespace's quota, or mend what the Deployment asks for",
            )
            for guest in waiting:
                guest.fail(error)

    def _excuse_leavers(self) -> None:
        """What they left was dealt with, or failed and is tried again without them."""
        for leaver in self._leavers:
            if not leaver.done():
                leaver.set_result(None)
        self._leavers.clear()

    async def _take_away(self) -> None:
        """Pods that nobody needs, as far as the scale has them over what is needed."""
        view = self._view()
        if self._gateway.is_shutting_down() or not self._pods.scales:
            self._orphaned = 0
        elif view.unwanted or self._orphaned:
            await self._lower(view)
        for pod in list(self._watch.pods.values()):
            if pod.uid in self._dismissed and pod.living and pod.leaving is None:
                await self._release(pod)  # somebody else uses it, or a rollout needs it
        self._dismissed.clear()

    async def _lower(self, view: View) -> None:
        scale = await self._scale.read()
        for pod in choice.victims(view, scale):
            if await self._mark_leaving(pod):
                if not choice.goes_first(view, pod, knows_costs=await self._scale.knows_costs()):
                    # Or the ReplicaSet would choose, and perhaps one in use. It may make another
                    # in its place for a moment, which is then the first to go.
                    await self._delete(pod)
                await self._scale.change(lambda scale: max(0, scale - 1))
                log.info("Deployment %s: pod %s goes", self._pods.deployment, pod.name)
        orphaned, self._orphaned = self._orphaned, 0
        if orphaned:
            least = choice.scale_for(self._view())
            await self._scale.change(lambda scale: min(scale, max(least, scale - orphaned)))

    async def _mark_leaving(self, pod: Pod) -> bool:
        """From here on no gateway claims it. False if one did meanwhile, or it is gone."""
        try:
            fresh = documents.read(await self._api.get(self._path(pod)))
            if fresh.uid != pod.uid or not fresh.living or self._others(fresh) != self._others(pod):
                return False
            marks = {
                documents.LEAVING: self._gateway.identity,
                documents.DELETION_COST: "-1000",
                CLAIM + self._gateway.identity: None,
            }
            return await self._annotate(fresh, marks, fresh.version) is not None
        except RefusedError as error:
            if error.status in (404, 409):
                return False
            raise

    def _others(self, pod: Pod) -> dict[str, str]:
        return {name: at for name, at in pod.claims.items() if name != self._gateway.identity}

    async def _delete(self, pod: Pod) -> None:
        try:
            await self._api.delete(self._path(pod), {"preconditions": {"uid": pod.uid}})
        except RefusedError as error:
            if error.status not in (404, 409):
                raise

    async def _renew(self) -> None:
        held = [guest.pod for guest in self._guests if guest.pod is not None]
        now = self._clock.now()
        if not held:
            self._renew_s = -math.inf
        elif now >= self._renew_s:
            due = self._renew_s > -math.inf
            self._renew_s = now + RENEW_S
            if due:  # the first claim is young
                for pod in held:
                    await self._claim(pod)
