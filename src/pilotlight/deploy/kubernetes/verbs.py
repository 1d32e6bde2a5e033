"""The Kubernetes target: the verbs, each of them a few words to kubectl."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from pilotlight.deploy.kubernetes import limits
from pilotlight.deploy.kubernetes.comparing import seen, wanted
from pilotlight.deploy.kubernetes.document import Body
from pilotlight.deploy.kubernetes.engine import ENGINE
from pilotlight.deploy.kubernetes.found import (
    kinds_of,
    namespaces,
    objects,
    of_cluster,
    removed,
    selector,
)
from pilotlight.deploy.kubernetes.gateway import GATEWAY
from pilotlight.deploy.kubernetes.kubectl import Kubectl, is_absent, is_forbidden
from pilotlight.deploy.kubernetes.layout import COMPONENT, KubernetesRelease, Layout
from pilotlight.deploy.kubernetes.options import KubernetesOptions
from pilotlight.deploy.kubernetes.putting import REMOVE_S, Putting
from pilotlight.deploy.kubernetes.render import render
from pilotlight.deploy.kubernetes.standing import component, status, trouble
from pilotlight.deploy.resources import Change, Files, Resources
from pilotlight.deploy.target import Report, Status
from pilotlight.deploy.violation import Violation
from pilotlight.errors import DeployError, PilotlightError


class KubernetesTarget:
    """`deploy.target.Target` for any cluster that kubectl reaches."""

    name = "kubernetes"
    title = "Kubernetes"
    options: type[KubernetesOptions] = KubernetesOptions

    def platform(self, release: KubernetesRelease) -> str:
        """Nodes are rented machines; GKE's are Compute Engine's, at its prices."""
        planned = release.plan.deployment.platform if release.plan else None
        return planned if planned in ("ec2", "own", "runpod") else "gce"

    def check(self, release: KubernetesRelease) -> Sequence[Violation]:
        return limits.check(Layout(release))

    def render(self, release: KubernetesRelease) -> Files:
        return render(Layout(release))

    def wanted(self, release: KubernetesRelease) -> Resources:
        return wanted(Layout(release))

    def live(self, release: KubernetesRelease) -> Resources:
        layout = Layout(release)
        return seen(objects(Kubectl(release.options), layout), wanted(layout))

    def apply(self, release: KubernetesRelease, todo: Sequence[Change], report: Report) -> Status:
        layout, kubectl = Layout(release), Kubectl(release.options)
        putting = Putting(kubectl, report)
        try:
            putting.put(todo)
            self._await_ready(kubectl, layout, report)
            putting.clear(todo)
        except BaseException as error:
            left = putting.undo()
            if left and isinstance(error, PilotlightError):
                raise DeployError(
                    f"{error.message}; and this couldn't be taken back: {', '.join(left)}",
                    hint="look at it there, then run the same command again",
                ) from error
            raise
        return self.status(release)

    def _await_ready(self, kubectl: Kubectl, layout: Layout, report: Report) -> None:
        """Engines first: the gateway is ready when as many of them are as shall always be."""
        wait_s = layout.options.wait
        names = [(each.namespace, each.name) for each in layout.engines]
        for namespace, name in (*names, (layout.home, layout.name)):
            report(f"waiting for {name}")
            try:
                _rolled_out(kubectl, namespace, name, wait_s)
            except DeployError as error:
                raise DeployError(
                    f"{name} isn't ready after {wait_s:.0f} s: {_why(kubectl, layout) or error}",
                    hint="see its log: pilotlight deploy logs kubernetes; "
                    "or give it longer: --set kubernetes.wait=20m",
                ) from error

    def status(self, release: KubernetesRelease) -> Status:
        layout, kubectl = Layout(release), Kubectl(release.options)
        found = list(_everywhere(kubectl, layout, "deployments,services,pods"))
        deployments = [each for each in found if each["kind"] == "Deployment"]
        service = next((each for each in found if each["kind"] == "Service"), None)
        by_port = service is not None and service["spec"].get("type") == "NodePort"
        node = _node_address(kubectl) if by_port else None
        return status(layout, deployments, list(_running(found)), service, node)

    def logs(self, release: KubernetesRelease, *, since_s: float, follow: bool) -> Iterator[str]:
        layout, kubectl = Layout(release), Kubectl(release.options)
        words = (
            "-l", selector(layout), "--all-containers", "--prefix", "--tail=-1",
            f"--since={max(1, round(since_s))}s", "--max-log-requests=50",
            "--ignore-errors", *(("-f",) if follow else ()),
        )  # fmt: skip
        return kubectl.lines([("logs", "-n", each, *words) for each in layout.namespaces])

    def cool(self, release: KubernetesRelease, report: Report) -> None:
        """The gateway goes too, for a moment: it would take pods that vanish for a fault."""
        layout, kubectl = Layout(release), Kubectl(release.options)
        gateway = (layout.home, layout.name)
        _scaled(kubectl, *gateway, 0)
        try:
            for each in layout.engines:
                _scaled(kubectl, each.namespace, each.name, 0)
                report(f"no pods of {each.model}")
            _await_gone(kubectl, layout)
        finally:
            _scaled(kubectl, *gateway, layout.options.gateways)
        _rolled_out(kubectl, *gateway, layout.options.wait)

    def delete(self, release: KubernetesRelease, report: Report) -> None:
        layout, kubectl = Layout(release), Kubectl(release.options)
        whole = list(of_cluster(kubectl, layout))
        kinds = ",".join(kinds_of(kubectl.versions()))
        for namespace in namespaces(layout, whole):
            _say(report, _deleted(kubectl, layout, kinds, "-n", namespace))
        for kinds in ("persistentvolumes", "namespaces") if whole else ():
            _say(report, _deleted(kubectl, layout, kinds))


def _say(report: Report, printed: str) -> None:
    for line in printed.splitlines():
        if "deleted" in line:
            report(line)


def _deleted(kubectl: Kubectl, layout: Layout, kinds: str, *where: str) -> str:
    words = (kinds, *where, "-l", selector(layout), "--ignore-not-found")
    return removed(kubectl, *words, wait_s=2 * REMOVE_S)


def _everywhere(kubectl: Kubectl, layout: Layout, kinds: str) -> Iterator[Body]:
    for namespace in layout.namespaces:
        yield from kubectl.items(kinds, namespace, selector(layout))


def _running(found: Iterable[Body]) -> Iterator[Body]:
    """Pods that make up the deployment; the cache's helpers aren't any of it."""
    for each in found:
        if each["kind"] == "Pod" and component(each) in (GATEWAY, ENGINE):
            yield each


def _why(kubectl: Kubectl, layout: Layout) -> str:
    pods = _everywhere(kubectl, layout, "pods")
    return "; ".join(text for _, text in trouble(_running(pods)))


def _rolled_out(kubectl: Kubectl, namespace: str, name: str, wait_s: float) -> None:
    words = ("rollout", "status", f"deployment/{name}", "-n", namespace)
    kubectl.run(*words, f"--timeout={wait_s:.0f}s", wait_s=wait_s)


def _scaled(kubectl: Kubectl, namespace: str, name: str, replicas: int) -> None:
    kubectl.run("scale", f"deployment/{name}", "-n", namespace, f"--replicas={replicas}")


def _await_gone(kubectl: Kubectl, layout: Layout) -> None:
    for namespace in layout.namespaces:
        pods = f"{selector(layout)},{COMPONENT}={ENGINE}"
        words = ("wait", "pods", "-n", namespace, "-l", pods, "--for=delete")
        try:
            kubectl.run(*words, f"--timeout={REMOVE_S:.0f}s", wait_s=REMOVE_S)
        except DeployError as error:
            if not is_absent(error):
                raise


def _node_address(kubectl: Kubectl) -> str | None:
    """None where we may not look at nodes, as with rights in one namespace alone."""
    try:
        nodes = kubectl.json("get", "nodes").get("items", ())
    except DeployError as error:
        if is_forbidden(error):
            return None
        raise
    for node in nodes:
        addresses = {a["type"]: a["address"] for a in node["status"].get("addresses", ())}
        if found := addresses.get("ExternalIP") or addresses.get("InternalIP"):
            return str(found)
    return None
