"""What every pod here has: no rights, no root, nothing to write to but a scratch directory."""

from __future__ import annotations

import hashlib
import math
from typing import Any

from pilotlight.deploy.instance_file import CONFIG_FILE, KEYS_FILE, PORT, USER
from pilotlight.deploy.kubernetes.document import Body
from pilotlight.deploy.kubernetes.layout import Layout

CONFIG_DIR = CONFIG_FILE.rpartition("/")[0]
CONFIG_KEY = CONFIG_FILE.rpartition("/")[2]
KEYS_KEY = KEYS_FILE.rpartition("/")[2]
SCRATCH = "/tmp"

PRE_STOP_S = 5
"""Until everybody has seen that the pod leaves; SIGTERM comes only then."""

SLACK_S = 10
"""From the end of the drain to the end of the process."""

CONFIG_STAMP = "pilotlight.dev/config"


def pod_security() -> Body:
    return {
        "runAsNonRoot": True,
        "runAsUser": USER,
        "runAsGroup": USER,
        "fsGroup": USER,
        # A cache of a hundred GB isn't walked through at each start only to find that it fits.
        "fsGroupChangePolicy": "OnRootMismatch",
        "seccompProfile": {"type": "RuntimeDefault"},
    }


def container_security() -> Body:
    return {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }


def pod_spec(layout: Layout, *, account: str | None, **rest: Any) -> Body:
    """`account` may talk to the API server; without one a pod has no token at all."""
    options = layout.options
    spec: Body = {
        "automountServiceAccountToken": account is not None,
        # Variables of services, such as PILOTLIGHT_PORT, would be taken for settings.
        "enableServiceLinks": False,
        "securityContext": pod_security(),
        "terminationGracePeriodSeconds": PRE_STOP_S + math.ceil(options.drain) + SLACK_S,
    }
    if account is not None:
        spec["serviceAccountName"] = account
    if options.pull_secrets:
        spec["imagePullSecrets"] = [{"name": name} for name in options.pull_secrets]
    return {**spec, **rest}


def architecture(layout: Layout) -> dict[str, str]:
    """The nodes that an image of one architecture runs on."""
    arm = layout.release.size.architecture == "arm64"
    return {"kubernetes.io/arch": "arm64" if arm else "amd64"}


def tolerations(layout: Layout) -> list[Body]:
    """Of Arm nodes, which GKE taints; of a lost one, how long its pods are still waited for."""
    seconds = layout.options.dead_node
    return [*_of_arm(layout), *([] if seconds is None else _of_lost(seconds))]


def _of_arm(layout: Layout) -> list[Body]:
    if layout.release.size.architecture != "arm64":
        return []
    taint = {"key": "kubernetes.io/arch", "value": "arm64", "effect": "NoSchedule"}
    return [{**taint, "operator": "Equal"}]


def _of_lost(seconds: float) -> list[Body]:
    return [
        {
            "key": f"node.kubernetes.io/{reason}",
            "operator": "Exists",
            "effect": "NoExecute",
            "tolerationSeconds": math.ceil(seconds),
        }
        for reason in ("not-ready", "unreachable")
    ]


def apart(labels: dict[str, str]) -> list[Body]:
    """On different nodes where there are several, and on one where there is one."""
    return [
        {
            "maxSkew": 1,
            "topologyKey": "kubernetes.io/hostname",
            "whenUnsatisfiable": "ScheduleAnyway",
            "labelSelector": {"matchLabels": labels},
        }
    ]


def lifecycle() -> Body:
    return {"preStop": {"exec": {"command": ["sleep", str(PRE_STOP_S)]}}}


def get(path: str, port: str | int = "http") -> Body:
    return {"httpGet": {"path": path, "port": port}}


def readiness(path: str) -> Body:
    """A pod whose cores all compute answers late, and is as ready as before."""
    return {**get(path), "periodSeconds": 1, "timeoutSeconds": 5, "failureThreshold": 5}


def liveness(path: str) -> Body:
    return {**get(path), "periodSeconds": 10, "timeoutSeconds": 10, "failureThreshold": 6}


def startup(path: str, within_s: float) -> Body:
    """Until it passes the other two don't run: weights take as long as they take."""
    failures = max(1, math.ceil(within_s))
    return {**get(path), "periodSeconds": 1, "timeoutSeconds": 5, "failureThreshold": failures}


def http_port() -> list[Body]:
    return [{"name": "http", "containerPort": PORT, "protocol": "TCP"}]


def etc_volume(config: str, secret: str) -> Body:
    """Configuration and keys in one directory, and as a directory: a file mounted alone would
    never see a new key."""
    return {
        "name": "etc",
        "projected": {
            "defaultMode": 0o440,
            "sources": [
                {"configMap": {"name": config}},
                {"secret": {"name": secret, "items": [{"key": KEYS_KEY, "path": KEYS_KEY}]}},
            ],
        },
    }


def etc_mount() -> Body:
    return {"name": "etc", "mountPath": CONFIG_DIR, "readOnly": True}


def scratch_volume(size: str) -> Body:
    return {"name": "scratch", "emptyDir": {"sizeLimit": size}}


def scratch_mount() -> Body:
    return {"name": "scratch", "mountPath": SCRATCH}


def stamp(text: str) -> str:
    """Of what a pod reads only as it starts."""
    return hashlib.sha256(text.encode()).hexdigest()[:16]
