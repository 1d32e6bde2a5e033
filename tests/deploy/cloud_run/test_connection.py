"""Google's clients: what is missing is said before anything is asked."""

from __future__ import annotations

import builtins
from pathlib import Path
from typing import Any

import pytest

from pilotlight.deploy.cloud_run.connection import connect
from pilotlight.errors import ConfigError


def test_without_the_client_its_installation_is_the_hint(monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def missing(name: str, *rest: Any) -> Any:
        if name.startswith("google"):
            raise ImportError(f"No module named {name!r}")
        return real(name, *rest)

    monkeypatch.setattr(builtins, "__import__", missing)
    with pytest.raises(ConfigError, match="isn't installed") as refused:
        connect("acme")
    assert "pip install 'pilotlight[gcp]'" in str(refused.value)


def test_without_credentials_gcloud_is_the_hint(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    # No file, and no metadata server: as on a laptop that never logged in.
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", "")
    monkeypatch.setenv("CLOUDSDK_CONFIG", str(tmp_path))
    monkeypatch.setenv("NO_GCE_CHECK", "true")
    with pytest.raises(ConfigError, match="no credentials for Google Cloud") as refused:
        connect("acme")
    assert "gcloud auth application-default login" in str(refused.value)


@pytest.mark.parametrize(
    ("named", "environment", "project"),
    [("mine", "theirs", "mine"), (None, "theirs", "theirs")],
)
def test_the_project_is_the_setting_then_the_environment(
    monkeypatch: pytest.MonkeyPatch, named: str | None, environment: str, project: str
) -> None:
    import google.auth
    from google.auth.credentials import AnonymousCredentials

    monkeypatch.setattr(google.auth, "default", lambda scopes: (AnonymousCredentials(), None))
    monkeypatch.setenv("GOOGLE_CLOUD_PROJECT", environment)
    assert connect(named).project == project


def test_without_a_project_its_setting_is_the_hint(monkeypatch: pytest.MonkeyPatch) -> None:
    import google.auth
    from google.auth.credentials import AnonymousCredentials

    monkeypatch.setattr(google.auth, "default", lambda scopes: (AnonymousCredentials(), None))
    monkeypatch.delenv("GOOGLE_CLOUD_PROJECT", raising=False)
    with pytest.raises(ConfigError, match="no Google Cloud project"):
        connect(None)
