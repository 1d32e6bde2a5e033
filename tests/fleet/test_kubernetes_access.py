"""Who we are to a cluster: a pod's service account whose token changes, or a kubeconfig."""

from __future__ import annotations

import base64
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import trustme
import yaml

from pilotlight.errors import ConfigError
from pilotlight.fleet.kubernetes.access import TokenFile, find, of_kubeconfig
from pilotlight.fleet.kubernetes.fleet import new_identity

AUTHORITY = trustme.CA()
IN_POD = {"KUBERNETES_SERVICE_HOST": "10.0.0.1", "KUBERNETES_SERVICE_PORT": "6443"}


@pytest.fixture
def account(tmp_path: Path) -> Path:
    """What Kubernetes mounts into a pod."""
    (tmp_path / "token").write_text("first\n")
    (tmp_path / "namespace").write_text("models")
    AUTHORITY.cert_pem.write_to_path(tmp_path / "ca.crt")
    return tmp_path


def test_a_pod_uses_its_service_account(account: Path) -> None:
    access = find(IN_POD, account)
    assert (access.url, access.namespace) == ("https://10.0.0.1:6443", "models")
    assert access.token() == "first"
    assert access.tls is not None
    assert len(access.tls.get_ca_certs()) == 1, "the cluster's authority and no other"


def test_an_address_of_version_6_is_in_brackets(account: Path) -> None:
    access = find({"KUBERNETES_SERVICE_HOST": "fd00::1"}, account)
    assert access.url == "https://[fd00::1]:443"


def test_a_token_that_was_replaced_is_read_again(account: Path) -> None:
    token = TokenFile(account / "token")
    assert token() == "first"
    (account / "token").write_text("second")
    os.utime(account / "token", ns=(1, 1))
    assert token() == "second"


def test_a_token_that_was_replaced_by_a_link_is_read_again(tmp_path: Path) -> None:
    """A kubelet exchanges the directory behind a symbolic link."""
    for name, stamp in (("a", 1), ("b", 2)):
        (tmp_path / name).write_text(name)
        os.utime(tmp_path / name, ns=(stamp, stamp))
    link = tmp_path / "token"
    link.symlink_to("a")
    token = TokenFile(link)
    assert token() == "a"
    link.unlink()
    link.symlink_to("b")
    assert token() == "b"


def test_a_pod_without_a_token_says_how_to_get_one(account: Path) -> None:
    (account / "token").unlink()
    with pytest.raises(ConfigError, match="automountServiceAccountToken"):
        find(IN_POD, account)


def test_no_cluster_at_all(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="set KUBECONFIG"):
        find({"HOME": str(tmp_path)})


def kubeconfig(
    path: Path, cluster: Mapping[str, Any], user: Mapping[str, Any], **more: Any
) -> Path:
    tree = {
        "current-context": "here",
        "contexts": [
            {"name": "elsewhere", "context": {"cluster": "none", "user": "nobody"}},
            {"name": "here", "context": {"cluster": "c", "user": "u", **more}},
        ],
        "clusters": [{"name": "c", "cluster": cluster}],
        "users": [{"name": "u", "user": user}],
    }
    path.write_text(yaml.safe_dump(tree))
    return path


def encoded(pem: bytes) -> str:
    return base64.b64encode(pem).decode()


def test_a_kubeconfig_with_a_token(tmp_path: Path) -> None:
    path = kubeconfig(
        tmp_path / "config",
        {
            "server": "https://k8s:6443/",
            "certificate-authority-data": encoded(AUTHORITY.cert_pem.bytes()),
        },
        {"token": "abc"},
        namespace="models",
    )
    access = find({"KUBECONFIG": f"{path}{os.pathsep}/other", **IN_POD})
    assert (access.url, access.namespace, access.token()) == ("https://k8s:6443", "models", "abc")


def test_a_kubeconfig_with_certificates_beside_it(tmp_path: Path) -> None:
    client = AUTHORITY.issue_cert("gateway")
    AUTHORITY.cert_pem.write_to_path(tmp_path / "ca.pem")
    client.cert_chain_pems[0].write_to_path(tmp_path / "client.pem")
    client.private_key_pem.write_to_path(tmp_path / "key.pem")
    path = kubeconfig(
        tmp_path / "config",
        {"server": "https://k8s:6443", "certificate-authority": "ca.pem"},
        {"client-certificate": "client.pem", "client-key": "key.pem"},
    )
    access = of_kubeconfig(path)
    assert access.namespace == "default"
    assert access.token() is None
    assert access.tls is not None


def test_a_token_file_beside_a_kubeconfig(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("fresh")
    path = kubeconfig(tmp_path / "config", {"server": "http://k8s"}, {"tokenFile": "token"})
    assert of_kubeconfig(path).token() == "fresh"


def test_a_kubeconfig_that_runs_a_program_is_refused(tmp_path: Path) -> None:
    path = kubeconfig(
        tmp_path / "config",
        {"server": "http://k8s"},
        {"exec": {"command": "gke-gcloud-auth-plugin"}},
    )
    with pytest.raises(ConfigError, match="made by a program"):
        of_kubeconfig(path)


@pytest.mark.parametrize("text", ["", "[]", "a: [", "current-context: none\ncontexts: []\n"])
def test_a_kubeconfig_that_is_none_names_its_path(tmp_path: Path, text: str) -> None:
    path = tmp_path / "config"
    path.write_text(text)
    with pytest.raises(ConfigError, match="config"):
        of_kubeconfig(path)


def test_an_identity_is_fit_for_an_annotation() -> None:
    one, other = new_identity(), new_identity()
    assert one != other
    assert len(one) <= 63
    assert one == one.lower()
