"""A Kubernetes API server of the tests' own, strict about what it is asked, with a ReplicaSet.

Real HTTP. It knows the paths, verbs and preconditions that the product needs and refuses all
else; a pod goes on only when a test says so, unless `prompt` has every pod ready at once.
"""

from __future__ import annotations

import asyncio
import copy
import itertools
import json
from collections.abc import Awaitable, Callable
from typing import Any

from aiohttp import web

NAMESPACE = "models"
DEPLOYMENT = "chat"
TOKEN = "token-of-the-gateway"
LABELS = {"app": DEPLOYMENT}
_PODS = f"/api/v1/namespaces/{NAMESPACE}/pods"
_DEPLOYMENTS = f"/apis/apps/v1/namespaces/{NAMESPACE}/deployments"
_COST = "controller.kubernetes.io/pod-deletion-cost"
_QUERIES = {
    "labelSelector", "watch", "resourceVersion", "timeoutSeconds", "allowWatchBookmarks",
    "container", "previous", "tailLines",
}  # fmt: skip

Json = dict[str, Any]


class Cluster:
    """One Deployment with its pods."""

    def __init__(self, minor: int = 32) -> None:
        self.replicas = 0
        self.pods: dict[str, Json] = {}
        self.minor = minor
        self.forbidden: set[str] = set()
        """What the gateway's account may not do, such as ``patch deployments/scale``."""

        self.quota: int | None = None
        self.prompt: Callable[[int], str] | None = None
        """Gives each new pod its address, and has it ready at once."""

        self.asked: list[str] = []
        """Verbs and paths, in order."""

        self.watching = 0
        self.logs: dict[str, str] = {}
        self.stuck = False
        """The ReplicaSet's controller does nothing meanwhile."""

        self.meanwhile: Callable[[], None] | None = None
        """Called once, before the next change is applied: what another does in between."""

        self._version = itertools.count(100)
        self.version = 100
        self._oldest = 0
        self._numbers = itertools.count(1)
        self._events: list[tuple[int, Json]] = []
        self._news = asyncio.Event()
        self._over = asyncio.Event()
        self._failure: str | None = None
        self._runner: web.AppRunner | None = None
        self.port = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def start(self) -> None:
        app = web.Application(middlewares=[self._strictly])
        app.router.add_get("/version", self._get_version)
        app.router.add_get(f"{_DEPLOYMENTS}/{{name}}", self._get_deployment)
        app.router.add_get(f"{_DEPLOYMENTS}/{{name}}/scale", self._get_scale)
        app.router.add_patch(f"{_DEPLOYMENTS}/{{name}}/scale", self._patch_scale)
        app.router.add_get(_PODS, self._get_pods)
        app.router.add_get(f"{_PODS}/{{pod}}", self._get_pod)
        app.router.add_patch(f"{_PODS}/{{pod}}", self._patch_pod)
        app.router.add_delete(f"{_PODS}/{{pod}}", self._delete_pod)
        app.router.add_get(f"{_PODS}/{{pod}}/log", self._get_log)
        self._runner = web.AppRunner(app, handler_cancellation=True, shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", self.port)
        await site.start()
        self.port = site._server.sockets[0].getsockname()[1]  # type: ignore[union-attr]
        self._over, self._news = asyncio.Event(), asyncio.Event()

    async def stop(self) -> None:
        self._over.set()
        self._news.set()
        assert self._runner is not None
        await self._runner.cleanup()

    # What a test does

    def only(self) -> Json:
        """The one pod there is."""
        (pod,) = self.living()
        return pod

    def living(self) -> list[Json]:
        return [pod for pod in self.pods.values() if "deletionTimestamp" not in pod["metadata"]]

    def schedule(self, pod: Json, node: str = "node-1") -> None:
        pod["spec"]["nodeName"] = node
        self.condition(pod, "PodScheduled", "True")

    def run(self, pod: Json) -> None:
        self.container(pod, {"running": {}}, ready=False)

    def ready(self, pod: Json, address: str = "127.0.0.2") -> None:
        pod["status"].update(phase="Running", podIP=address)
        self.container(pod, {"running": {}}, ready=True)
        self.condition(pod, "Ready", "True")

    def container(
        self,
        pod: Json,
        state: Json,
        *,
        ready: bool = False,
        restarts: int = 0,
        last: Json | None = None,
    ) -> None:
        pod["status"]["containerStatuses"] = [{
            "name": "engine", "state": state, "ready": ready, "restartCount": restarts,
            "lastState": last or {},
        }]  # fmt: skip
        self.changed(pod)

    def condition(self, pod: Json, kind: str, status: str, message: str = "") -> None:
        kept = [each for each in pod["status"]["conditions"] if each["type"] != kind]
        pod["status"]["conditions"] = [*kept, {"type": kind, "status": status, "message": message}]
        self.changed(pod)

    def annotate(self, pod: Json, name: str, value: str) -> None:
        pod["metadata"]["annotations"][name] = value
        self.changed(pod)

    def annotations(self, pod: Json) -> dict[str, str]:
        found: dict[str, str] = pod["metadata"]["annotations"]
        return found

    def tell_to_go(self, pod: Json) -> None:
        """As a rollout, an eviction or `kubectl delete` does; `remove` once it is gone."""
        pod["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
        self.changed(pod)
        self._reconcile()

    def remove(self, pod: Json) -> None:
        if self.pods.pop(pod["metadata"]["name"], None) is not None:
            pod["metadata"]["resourceVersion"] = str(self._next())
            self._tell("DELETED", pod)
        self._reconcile()

    def scale(self, replicas: int) -> None:
        self.replicas = replicas
        self._next()
        self._reconcile()

    def add(self) -> Json:
        """A pod beyond the scale, as a rollout makes one."""
        return self._make()

    def changed(self, pod: Json) -> None:
        pod["metadata"]["resourceVersion"] = str(self._next())
        self._tell("MODIFIED", pod)

    def forget_events(self) -> None:
        """Every watch from before has to list anew; those under way are told so."""
        self._oldest = self._next()
        gone = {"kind": "Status", "code": 410, "reason": "Expired", "message": "too old"}
        self._tell("ERROR", gone)

    def tell(self, kind: str, thing: Json) -> None:
        """An event that is no pod's, to every watch under way."""
        self._next()
        self._tell(kind, thing)

    def cut_watches(self) -> None:
        """Their connections end, as when the API server restarts."""
        self._over.set()
        self._news.set()
        self._over = asyncio.Event()

    # The ReplicaSet's controller

    def _reconcile(self) -> None:
        if self.stuck:
            return
        while len(self.living()) < self.replicas:
            if self.quota is not None and len(self.pods) >= self.quota:
                self._failure = "pods is forbidden: exceeded quota: tenant, requested: pods=1"
                return
            self._make()
        self._failure = None
        going = sorted(self.living(), key=self._rank)
        for pod in going[: len(going) - self.replicas]:
            self.tell_to_go(pod)

    def work(self) -> None:
        """The controller is no longer stuck."""
        self.stuck = False
        self._reconcile()

    def _rank(self, pod: Json) -> Any:
        """Who goes first: kubernetes/pkg/controller/controller_utils.go, ActivePodsWithRanks."""
        conditions = {each["type"]: each["status"] for each in pod["status"]["conditions"]}
        cost = int(pod["metadata"]["annotations"].get(_COST, 0)) if self.minor >= 22 else 0
        newest = -int(pod["metadata"]["uid"])
        return (
            "nodeName" in pod["spec"],
            pod["status"]["phase"] == "Running",
            conditions.get("Ready") == "True",
            cost,
            newest,
        )

    def _make(self) -> Json:
        number = next(self._numbers)
        pod: Json = {
            "metadata": {
                "name": f"{DEPLOYMENT}-{number}",
                "uid": str(number),
                "labels": LABELS,
                "annotations": {},
                "creationTimestamp": f"2026-01-01T00:00:{number:02}Z",
                "resourceVersion": str(self._next()),
            },
            "spec": {},
            "status": {"phase": "Pending", "conditions": []},
        }
        self.pods[pod["metadata"]["name"]] = pod
        self._tell("ADDED", pod)
        if self.prompt is not None:
            self.schedule(pod)
            self.ready(pod, self.prompt(number))
        return pod

    def _next(self) -> int:
        self.version = next(self._version)
        return self.version

    def _tell(self, kind: str, thing: Json) -> None:
        self._events.append((self.version, {"type": kind, "object": copy.deepcopy(thing)}))
        self._news.set()
        self._news = asyncio.Event()

    # What the API answers

    @web.middleware
    async def _strictly(
        self, request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
    ) -> web.StreamResponse:
        if request.headers.get("Authorization") != f"Bearer {TOKEN}":
            return _status(401, "Unauthorized", "Unauthorized")
        if unknown := set(request.query) - _QUERIES:
            return _status(400, "BadRequest", f"unknown query {unknown}")
        verb = _verb(request)
        self.asked.append(verb)
        if verb in self.forbidden:
            action, resource = verb.split(" ")
            return _status(
                403, "Forbidden", f'{resource} "{DEPLOYMENT}" is forbidden: User '
                f'"system:serviceaccount:models:gateway" cannot {action} resource "{resource}"',
            )  # fmt: skip
        if request.method == "PATCH" and request.content_type != "application/merge-patch+json":
            return _status(415, "UnsupportedMediaType", request.content_type)
        if request.method != "GET" and self.meanwhile is not None:
            meanwhile, self.meanwhile = self.meanwhile, None
            meanwhile()
        name = request.match_info.get("name", DEPLOYMENT)
        if name != DEPLOYMENT:
            return _status(404, "NotFound", f'deployments.apps "{name}" not found')
        pod = request.match_info.get("pod")
        if pod is not None and pod not in self.pods:
            return _status(404, "NotFound", f'pods "{pod}" not found')
        try:
            return await handler(request)
        except web.HTTPException:
            return _status(404, "NotFound", f"no {request.method} {request.path}")

    async def _get_version(self, request: web.Request) -> web.Response:
        return web.json_response({"major": "1", "minor": f"{self.minor}+"})

    async def _get_deployment(self, request: web.Request) -> web.Response:
        conditions = [{"type": "Available", "status": "True"}]
        if self._failure:
            conditions.append(
                {"type": "ReplicaFailure", "status": "True", "reason": "FailedCreate",
                 "message": self._failure}
            )  # fmt: skip
        return web.json_response({"status": {"conditions": conditions}})

    async def _get_scale(self, request: web.Request) -> web.Response:
        return web.json_response(self._scale_document())

    def _scale_document(self) -> Json:
        spec = {"replicas": self.replicas} if self.replicas else {}
        return {
            "kind": "Scale",
            "metadata": {"name": DEPLOYMENT, "resourceVersion": f"s{self.replicas}"},
            "spec": spec,
            "status": {"replicas": len(self.pods), "selector": f"app={DEPLOYMENT}"},
        }

    async def _patch_scale(self, request: web.Request) -> web.Response:
        change = await request.json()
        if set(change) != {"metadata", "spec"} or set(change["spec"]) != {"replicas"}:
            return _status(422, "Invalid", f"a scale can't be changed so: {change}")
        if change["metadata"].get("resourceVersion") != f"s{self.replicas}":
            return _status(409, "Conflict", "the object has been modified")
        if not 0 <= change["spec"]["replicas"] < 1000:
            return _status(422, "Invalid", "must be at least 0")
        self.scale(change["spec"]["replicas"])
        return web.json_response(self._scale_document())

    async def _get_pods(self, request: web.Request) -> web.StreamResponse:
        if request.query.get("labelSelector") != f"app={DEPLOYMENT}":
            return _status(400, "BadRequest", "whose pods?")
        if "watch" in request.query:
            return await self._watch(request)
        metadata = {"resourceVersion": str(self.version)}
        return web.json_response({"metadata": metadata, "items": list(self.pods.values())})

    async def _watch(self, request: web.Request) -> web.StreamResponse:
        since = int(request.query["resourceVersion"])
        if since < self._oldest:
            return _status(410, "Expired", "too old resource version")
        response = web.StreamResponse(headers={"Content-Type": "application/json"})
        await response.prepare(request)
        over, told = self._over, 0
        self.watching += 1
        try:
            while not over.is_set():
                news = self._news
                for version, event in self._events[told:]:
                    if version > since:
                        await response.write(json.dumps(event).encode() + b"\n")
                told = len(self._events)
                await news.wait()
        finally:
            self.watching -= 1
        return response

    async def _get_pod(self, request: web.Request) -> web.Response:
        return web.json_response(self.pods[request.match_info["pod"]])

    async def _patch_pod(self, request: web.Request) -> web.Response:
        pod = self.pods[request.match_info["pod"]]
        change = (await request.json())["metadata"]
        if set(change) - {"annotations", "resourceVersion"}:
            return _status(422, "Invalid", f"a pod can't be changed so: {change}")
        version = change.get("resourceVersion")
        if version is not None and version != pod["metadata"]["resourceVersion"]:
            return _status(409, "Conflict", "the object has been modified")
        annotations = {**pod["metadata"]["annotations"], **change["annotations"]}
        pod["metadata"]["annotations"] = {k: v for k, v in annotations.items() if v is not None}
        self.changed(pod)
        return web.json_response(pod)

    async def _delete_pod(self, request: web.Request) -> web.Response:
        pod = self.pods[request.match_info["pod"]]
        if (await request.json())["preconditions"] != {"uid": pod["metadata"]["uid"]}:
            return _status(409, "Conflict", "the UID in the precondition is another")
        self.tell_to_go(pod)
        return web.json_response(pod)

    async def _get_log(self, request: web.Request) -> web.Response:
        if request.query.get("previous") != "true":
            return _status(400, "BadRequest", "the container waits to start")
        return web.Response(text=self.logs[request.match_info["pod"]])


def _verb(request: web.Request) -> str:
    """As a Role would have it."""
    words = {"GET": "get", "PATCH": "patch", "DELETE": "delete"}
    parts = request.path.strip("/").split("/")
    if "deployments" in parts:
        scale = "/scale" if parts[-1] == "scale" else ""
        return f"{words[request.method]} deployments{scale}"
    if parts[-1] == "pods":
        return "watch pods" if "watch" in request.query else "list pods"
    if parts[-1] == "log":
        return "get pods/log"
    return f"{words[request.method]} {'pods' if 'pods' in parts else parts[-1]}"


def _status(code: int, reason: str, message: str) -> web.Response:
    document = {"kind": "Status", "code": code, "reason": reason, "message": message}
    return web.json_response(document, status=code)
