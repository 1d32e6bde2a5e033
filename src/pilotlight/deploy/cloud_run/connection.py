"""Google's clients, made when they are needed: the official one for Cloud Run, REST for its logs.

Credentials are Application Default Credentials, as gcloud and every Google library find them.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from pilotlight.errors import ConfigError, DeployError

LOGGING_URL = "https://logging.googleapis.com"
_SCOPE = "https://www.googleapis.com/auth/cloud-platform"


@dataclass(frozen=True, slots=True)
class Connection:
    """Live clients. `session` is a requests.Session that signs what it sends."""

    project: str
    services: Any
    revisions: Any
    session: Any
    logging_url: str = LOGGING_URL
    poll_s: float = 1.0
    """Between two looks at a long-running operation."""


def connect(project: str | None) -> Connection:
    """Raises ConfigError: the client isn't installed, there are no credentials, or no project."""
    try:
        import google.auth
        import google.auth.exceptions
        from google.auth.transport.requests import AuthorizedSession
        from google.cloud import run_v2
    except ImportError as error:
        raise ConfigError(
            f"Cloud Run's client isn't installed ({error})", hint="pip install 'pilotlight[gcp]'"
        ) from None
    try:
        credentials, default = google.auth.default(scopes=[_SCOPE])
    except google.auth.exceptions.DefaultCredentialsError as error:
        raise ConfigError(
            f"there are no credentials for Google Cloud: {_first(str(error))}",
            hint="gcloud auth application-default login",
        ) from None
    name = project or os.environ.get("GOOGLE_CLOUD_PROJECT") or default
    if name is None:
        raise ConfigError(
            "no Google Cloud project is named", hint="name it: --set cloudrun.project=PROJECT"
        )
    session: Any = AuthorizedSession  # Untyped there.
    return Connection(
        project=name,
        services=run_v2.ServicesClient(credentials=credentials),
        revisions=run_v2.RevisionsClient(credentials=credentials),
        session=session(credentials),
    )


HINTS: Mapping[str, str] = {
    "PermissionDenied": "ask for roles/run.admin in the project, and roles/iam.serviceAccountUser "
    "on its service account",
    "Forbidden": "ask for roles/run.admin in the project",
    "Unauthenticated": "gcloud auth application-default login",
    "Aborted": "somebody else changed it at the same time; run it again",
    "ResourceExhausted": "ask for more quota in this region, or take another one",
    "ServiceUnavailable": "run it again",
    "DeadlineExceeded": "run it again; `pilotlight deploy status cloudrun` says how it stands",
    "FailedPrecondition": "see `pilotlight deploy logs cloudrun`",
    "InvalidArgument": "change what it names",
}


@contextmanager
def refusals(doing: str) -> Iterator[None]:
    """Cloud Run's refusals in its own words, as DeployError with the next step."""
    from google.api_core.exceptions import GoogleAPICallError, RetryError
    from google.auth.exceptions import GoogleAuthError

    try:
        yield
    except (GoogleAPICallError, RetryError) as error:
        kind = type(error).__name__
        raise DeployError(
            f"Cloud Run refused {doing}: {_first(error.message)} ({kind})",
            hint=HINTS.get(kind, "see `pilotlight deploy logs cloudrun`"),
        ) from error
    except GoogleAuthError as error:
        raise ConfigError(
            f"Google refused the credentials: {_first(str(error))}",
            hint="gcloud auth application-default login",
        ) from error


def _first(text: str) -> str:
    return text.strip().partition("\n")[0]
