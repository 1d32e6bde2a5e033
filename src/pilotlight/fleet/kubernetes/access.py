"""Where the cluster's API is and how it lets us in: as the pod we are, or by a kubeconfig."""

from __future__ import annotations

import base64
import os
import ssl
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from pilotlight.errors import ConfigError

POD_DIRECTORY = Path("/var/run/secrets/kubernetes.io/serviceaccount")
"""What Kubernetes mounts into a pod that may talk to the API."""


@dataclass(frozen=True, slots=True)
class Access:
    """`token` is asked for each request, because a pod's is replaced every hour or so."""

    url: str
    namespace: str
    tls: ssl.SSLContext | None = None
    token: Callable[[], str | None] = field(default=lambda: None, repr=False)


class TokenFile:
    """A token on disk, read again whenever the file is another than before."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._stamp = -1
        self._token: str | None = None

    def __call__(self) -> str | None:
        try:
            stamp = self._path.stat().st_mtime_ns
            if stamp != self._stamp:
                self._token, self._stamp = self._path.read_text().strip(), stamp
        except OSError as error:
            raise ConfigError(
                f"can't read the service account's token {str(self._path)!r}: {error.strerror}",
                hint="set automountServiceAccountToken: true for the gateway's pod",
            ) from None
        return self._token


def find(environ: Mapping[str, str] = os.environ, directory: Path = POD_DIRECTORY) -> Access:
    """In a pod, its service account; elsewhere $KUBECONFIG or ~/.kube/config.

    Raises:
        ConfigError: there is neither, or it can't be read.
    """
    if "KUBECONFIG" not in environ and "KUBERNETES_SERVICE_HOST" in environ:
        return _of_pod(environ, directory)
    first = environ.get("KUBECONFIG", "").split(os.pathsep)[0]
    path = Path(first) if first else Path(environ.get("HOME", "/")) / ".kube" / "config"
    if not path.is_file():
        raise ConfigError(
            f"no Kubernetes cluster: this is no pod, and there is no kubeconfig {str(path)!r}",
            hint="set KUBECONFIG to the cluster's kubeconfig",
        )
    return of_kubeconfig(path)


def _of_pod(environ: Mapping[str, str], directory: Path) -> Access:
    host = environ["KUBERNETES_SERVICE_HOST"]
    port = environ.get("KUBERNETES_SERVICE_PORT", "443")
    token = TokenFile(directory / "token")
    token()  # said now rather than at the first request
    return Access(
        f"https://{f'[{host}]' if ':' in host else host}:{port}",
        (directory / "namespace").read_text().strip(),
        ssl.create_default_context(cafile=directory / "ca.crt"),
        token,
    )


def of_kubeconfig(path: Path) -> Access:
    """Its current context. Raises ConfigError for what can't be read or used."""
    try:
        tree = yaml.safe_load(path.read_text())
        context = _named(tree, "contexts", tree["current-context"], "context")
        cluster = _named(tree, "clusters", context["cluster"], "cluster")
        user = _named(tree, "users", context["user"], "user")
        url = str(cluster["server"]).rstrip("/")
        tls = _tls(cluster, user, path.parent) if url.startswith("https:") else None
    except (OSError, yaml.YAMLError, KeyError, TypeError, ValueError, ssl.SSLError) as error:
        raise ConfigError(
            f"can't read the kubeconfig {str(path)!r}: {type(error).__name__}: {error}",
            hint="does `kubectl --kubeconfig` work with it?",
        ) from None
    if "exec" in user or "auth-provider" in user:
        raise ConfigError(
            f"the kubeconfig {str(path)!r} has its token made by a program",
            hint="give the gateway a service account's token: run it in the cluster",
        )
    return Access(url, str(context.get("namespace", "default")), tls, _token(user, path.parent))


def _named(tree: Mapping[str, Any], section: str, name: str, inner: str) -> Mapping[str, Any]:
    found: list[Mapping[str, Any]] = [e[inner] for e in tree[section] if e["name"] == name]
    if not found:
        raise KeyError(f"{section}: {name!r}")
    return found[0]


def _token(user: Mapping[str, Any], beside: Path) -> Callable[[], str | None]:
    if "tokenFile" in user:
        return TokenFile(beside / user["tokenFile"])
    token = user.get("token")
    return lambda: token


def _tls(cluster: Mapping[str, Any], user: Mapping[str, Any], beside: Path) -> ssl.SSLContext:
    authority = _content(cluster, "certificate-authority", beside)
    tls = ssl.create_default_context(cadata=authority.decode() if authority else None)
    if cluster.get("insecure-skip-tls-verify"):
        tls.check_hostname, tls.verify_mode = False, ssl.CERT_NONE
    certificate = _content(user, "client-certificate", beside)
    key = _content(user, "client-key", beside)
    if certificate and key:
        _load(tls, certificate, key)
    return tls


def _content(section: Mapping[str, Any], name: str, beside: Path) -> bytes | None:
    """What stands in the file itself wins, as kubectl has it."""
    if data := section.get(f"{name}-data"):
        return base64.b64decode(data)
    return (beside / section[name]).read_bytes() if name in section else None


def _load(tls: ssl.SSLContext, certificate: bytes, key: bytes) -> None:
    """OpenSSL takes files only; this one is for our eyes, and gone when this returns."""
    with tempfile.NamedTemporaryFile() as file:
        file.write(certificate + b"\n" + key)
        file.flush()
        tls.load_cert_chain(file.name)
